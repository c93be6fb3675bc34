"""Cuts a stream of records into windows of texts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import polars as pl

from scorer.files.csv_records import Records
from scorer.files.csv_text import texts_of
from scorer.files.transcode import Encoding
from scorer.records import Reject, TextWindow

REJECTS_HELD = 16 << 20  # bytes of rejects that end a window early, so that memory stays flat
_REJECT_SIZE = 500  # bytes that a reject costs beside its raw ones


class _Window:
    """What was collected for the next window."""

    def __init__(self) -> None:
        self.offset = 0
        self.rows = 0
        self.reject_bytes = 0
        self._texts: list[pl.Series] = []
        self._rejects: list[Reject] = []

    def add(self, texts: pl.Series) -> None:
        """Add rows."""
        self._texts.append(texts)
        self.rows += len(texts)

    def reject(self, reject: Reject) -> None:
        """Add a reject."""
        self._rejects.append(reject)
        self.reject_bytes += _REJECT_SIZE + len(reject.raw)

    def close(self) -> TextWindow:
        """Return the window and begin the next."""
        empty = pl.Series("text", [], dtype=pl.String)
        texts = pl.concat([empty, *self._texts], rechunk=True)
        window = TextWindow(self.offset, texts, tuple(self._rejects))
        self.offset += self.rows
        self.rows = self.reject_bytes = 0
        self._texts, self._rejects = [], []
        return window

    def __bool__(self) -> bool:
        return bool(self.rows or self._rejects)


def cut_windows(stream: Iterable[Records], rows: int, encoding: Encoding) -> Iterator[TextWindow]:
    """Yield windows of `rows` rows; fewer in the last, or where rejects pile up (even none).

    A reject belongs to the window of the row after it, or to the last window.
    """
    window = _Window()
    for records in stream:
        texts = texts_of(records)
        at = 0
        for before, reject in (*records.rejects, (len(records), None)):
            while at < before:
                step = min(before - at, rows - window.rows)
                window.add(texts.slice(at, step))
                at += step
                if window.rows == rows:
                    yield window.close()
            if reject is not None:
                window.reject(replace(reject, raw=encoding.from_utf8(reject.raw)))
            if window.reject_bytes >= REJECTS_HELD:
                yield window.close()
    if window:
        yield window.close()
