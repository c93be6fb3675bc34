"""The values of one key among rows: vectorised where they are of one kind, else one by one."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from scorer.files.cells import content_of, pieces
from scorer.files.ndjson.objects import Objects, doubtful, in_order
from scorer.files.ndjson.strict import text_or_number

_KINDS = (pa.string(), pa.int64())  # of an id: pyarrow takes one of them for all lines at hand


def values_of(rows: Objects, key: str) -> pl.Series:
    """Return strings, and whole numbers as they are spelled: String [rows].

    Null where the key is missing or there twice, or its value is of another kind.
    """
    if not len(rows):
        return pl.Series(key, [], dtype=pl.String)
    lines = pieces(rows.data, rows.starts, rows.stops, pa.binary())
    regular = ~pc.match_substring_regex(lines, doubtful(key)).to_numpy(zero_copy_only=False)
    fast = _parsed(lines.filter(pa.array(regular)), key)
    if fast is None:
        fast, regular = pa.array([], pa.string()), np.zeros_like(regular)
    slow = [text_or_number(line, key) for line in lines.filter(pa.array(~regular)).to_pylist()]
    found = in_order(fast, slow, regular)
    return pl.Series(key, pl.from_arrow(found), dtype=pl.String)


def _parsed(lines: pa.BinaryArray, key: str) -> pa.StringArray | None:
    """Return the values of lines, each an object, or None where they are not of one kind."""
    if not len(lines):
        return pa.array([], pa.string())
    content = content_of(lines)
    if not content.endswith(b"\n"):
        content += b"\n"
    reading = pj.ReadOptions(use_threads=False, block_size=len(content) + 1)
    for kind in _KINDS:
        wanted = pa.schema([pa.field(key, kind)])
        parsing = pj.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="ignore")
        try:
            table = pj.read_json(pa.BufferReader(content), reading, parsing)
        except pa.ArrowInvalid:
            continue
        return table.column(0).combine_chunks().cast(pa.string())
    return None
