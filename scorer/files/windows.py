"""Cuts a stream of texts, with rejects among them, into windows."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from scorer.records import Reject, TextWindow

# Some rows' texts, String [rows], and the rejects among them, each with the rows before it.
TextBatch = tuple[pl.Series, Sequence[tuple[int, Reject]]]

TEXTS_HELD = 32 << 20  # bytes of texts that end a window early; tweets never come near it
REJECTS_HELD = 16 << 20  # bytes of rejects that end a window early, so that memory stays flat
_REJECT_SIZE = 500  # bytes that a reject costs beside its raw ones


class _Window:
    """What was collected for the next window."""

    def __init__(self) -> None:
        self.offset = 0
        self.rows = 0
        self.text_bytes = 0
        self.reject_bytes = 0
        self._texts: list[pl.Series] = []
        self._rejects: list[Reject] = []

    def add(self, texts: pl.Series, most: int) -> int:
        """Add rows up to the limits of the window, `most` in all; return how many."""
        texts = texts.head(most - self.rows)
        sizes = texts.str.len_bytes().fill_null(0).to_numpy()
        held = self.text_bytes + np.cumsum(sizes, dtype=np.int64)
        (over,) = np.nonzero(held > TEXTS_HELD)
        if over.size:
            texts = texts.head(int(over[0]) + 1)
        self._texts.append(texts)
        self.rows += len(texts)
        self.text_bytes = int(held[len(texts) - 1])
        return len(texts)

    def is_full(self, most: int) -> bool:
        """Tell whether the window ends here."""
        held = (self.text_bytes > TEXTS_HELD, self.reject_bytes >= REJECTS_HELD)
        return self.rows == most or any(held)

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
        self.rows = self.text_bytes = self.reject_bytes = 0
        self._texts, self._rejects = [], []
        return window

    def __bool__(self) -> bool:
        return bool(self.rows or self._rejects)


def cut_windows(batches: Iterable[TextBatch], rows: int) -> Iterator[TextWindow]:
    """Yield windows of `rows` rows; fewer in the last, or where texts or rejects pile up.

    A reject belongs to the window of the row after it, or to the last window.
    """
    window = _Window()
    for texts, rejects in batches:
        at = 0
        for before, reject in (*rejects, (len(texts), None)):
            while at < before:
                at += window.add(texts.slice(at, before - at), rows)
                if window.is_full(rows):
                    yield window.close()
            if reject is not None:
                window.reject(reject)
                if window.is_full(rows):
                    yield window.close()
    if window:
        yield window.close()
