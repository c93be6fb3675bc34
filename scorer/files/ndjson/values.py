"""The values of one key among rows: by msgspec where all is well, else one by one."""

import re
from typing import Any

import msgspec
import polars as pl

from scorer.files.ndjson.decoder import Decoder
from scorer.files.ndjson.objects import Objects
from scorer.files.ndjson.strict import text_or_number
from scorer.files.nested import Keys

_WHOLE = re.compile(rb"-?[0-9]+").fullmatch
_string = msgspec.json.Decoder(str).decode


class Values:
    """Takes strings, and whole numbers as they are spelled, out of rows.

    Args:
        path: Keys, from the outermost.
    """

    def __init__(self, path: Keys) -> None:
        self._path = path
        self._decoder = Decoder(path, msgspec.Raw)

    def of(self, rows: Objects) -> pl.Series:
        """Return String [rows]; null where a key is missing or there twice, or of another kind."""
        lines = rows.lines()
        found, doubts = self._decoder.values(lines, memoryview(rows.data))
        cells = list(map(_spelled, found))
        for i in doubts:
            cells[i] = text_or_number(lines[i], self._path)
        return pl.Series(self._path[-1], cells, dtype=pl.String)


def _spelled(value: Any) -> str | None:
    if value is None:
        return None
    raw = bytes(value)
    if raw.startswith(b'"'):
        return _string(raw) if b"\\" in raw else raw[1:-1].decode()
    return raw.decode() if _WHOLE(raw) else None
