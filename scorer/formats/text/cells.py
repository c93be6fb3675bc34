"""Columns of bytes that the text formats share: cells of lines, and windows of texts."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.records import Reject, TextWindow

Offsets = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Some rows' texts, String [rows], and the rejects among them, each with the rows before it.
TextBatch = tuple[pl.Series, Sequence[tuple[int, Reject]]]

# A number of polars: sign, the digit before the point, those after it, exponent.
_SCIENTIFIC = r"^(-?)([0-9])(?:\.([0-9]+))?e([+-]?[0-9]+)$"
_MANY = 1 << 14  # bytes; below, a string is made sooner than a column
TEXTS_HELD = 32 << 20  # bytes of texts that end a window early; tweets never come near it
REJECTS_HELD = 16 << 20  # bytes of rejects that end a window early, so that memory stays flat
_REJECT_SIZE = 500  # bytes that a reject costs beside its raw ones


def slices(
    data: bytes,
    starts: Offsets,
    ends: Offsets,
    kind: pa.DataType,
    nulls: Flags | None = None,
) -> pa.Array:
    """Return data[start:end] for each pair; the pairs are in order and do not overlap."""
    if not len(starts):
        return pa.nulls(0, kind)
    bounds = np.empty(2 * len(starts), np.int32)  # every other element is what lies between
    bounds[0::2], bounds[1::2] = starts, ends
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    both = pa.Array.from_buffers(kind, len(bounds) - 1, buffers)
    wanted = np.arange(0, len(bounds), 2, dtype=np.int32)
    valid = None if nulls is None else _bits(~nulls)
    return both.take(pa.Array.from_buffers(pa.int32(), len(wanted), [valid, pa.py_buffer(wanted)]))


# Not pa.array and pa.scalar: where pandas is installed they import it (0.15 s).
def flags(values: Flags) -> pa.Array:
    """Return the same as a column."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def word(content: bytes) -> pa.Scalar:
    """Return the same as Arrow's one value."""
    bounds = np.array([0, len(content)], np.int32)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.binary(), 1, buffers)[0]


def _bits(values: Flags) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def joined(*columns: pa.Array) -> bytes:
    """Return the rows one after the other, each the bytes of its cells in all columns."""
    rows = pc.binary_join_element_wise(*columns, word(b""))
    return content_of(rows)


def content_of(rows: pa.Array) -> bytes:
    """Return the bytes of all rows, at least one, of a binary column without nulls."""
    first, last = np.frombuffer(rows.buffers()[1], np.int32)[[0, len(rows)]]
    block: bytes = rows.buffers()[2][int(first) : int(last)].to_pybytes()
    return block


def not_utf8(data: bytes, starts: Offsets, ends: Offsets, used: int) -> Flags:
    """Tell which slices hold a byte sequence that is not UTF-8.

    Args:
        data: Bytes, of which those up to `used` are checked.
        starts: Where the slices start, in order.
        ends: Where they end.
        used: Where the last of them ends, at least.
    """
    bad = np.zeros(len(starts), np.bool_)
    view = memoryview(data)
    if not len(starts) or is_utf8(view[:used]):
        return bad
    high = np.flatnonzero(np.frombuffer(data, np.uint8)[:used] >= 0x80)
    high = high[high >= starts[0]]
    for i in np.unique(np.searchsorted(starts, high, side="right") - 1).tolist():
        bad[i] = not is_utf8(view[int(starts[i]) : int(ends[i])])
    return bad


def is_utf8(data: bytes | memoryview) -> bool:
    """Tell whether bytes are UTF-8."""
    try:
        if len(data) < _MANY:
            str(data, "utf-8")
        else:  # without a string of four bytes for each letter
            bounds = pa.py_buffer(np.array([0, len(data)], np.int64))
            whole = [None, bounds, pa.py_buffer(data)]
            pa.Array.from_buffers(pa.large_string(), 1, whole).validate(full=True)
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return False
    return True


def decimal(values: pl.Series) -> pl.Series:
    """Return the shortest decimals that read back as the same float32, never with an exponent.

    Args:
        values: Float32, finite or null.
    """
    text = values.rename("value").cast(pl.String)
    if not text.str.contains("e", literal=True).any():
        return text
    column = pl.col("value")
    sign, whole, part = (column.str.extract(_SCIENTIFIC, i).fill_null("") for i in (1, 2, 3))
    exponent = column.str.extract(_SCIENTIFIC, 4).cast(pl.Int64)
    digits = pl.concat_str(whole, part)
    small = pl.concat_str(pl.lit("0."), _zeros(-1 - exponent), digits)
    large = pl.concat_str(digits, _zeros(exponent - part.str.len_bytes()), pl.lit(".0"))
    positional = pl.concat_str(sign, pl.when(exponent < 0).then(small).otherwise(large))
    return (
        text.to_frame()
        .select(pl.when(exponent.is_null()).then(column).otherwise(positional))
        .to_series()
    )


def _zeros(count: pl.Expr) -> pl.Expr:
    return pl.lit("0").repeat_by(pl.max_horizontal(count, pl.lit(0))).list.join("")


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
