"""Records to columns of text, answers to cells, and the blank lines at the end of a file."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.formats.csv.label_cells import joined_labels
from scorer.formats.csv.splitter import Records
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.cells import Flags, decimal, flags, joined, slices
from scorer.formats.text.dialects import CR, QUOTE, Dialect, quoted_if_needed
from scorer.records import Answers

_MOST = 1 << 20  # bytes of blank lines that are still an end, so that memory stays flat


def texts_of(records: Records) -> pl.Series:
    """Return the text cells' values; an empty cell without quotes is null, `""` is ''."""
    spans = records.spans
    starts, ends = spans.text_starts, spans.text_ends
    if not len(spans):
        return pl.Series("text", [], dtype=pl.String)
    data = np.frombuffer(records.data, np.uint8)
    empty = starts == ends
    dialect = records.dialect
    quoted = ~empty & (data[np.minimum(starts, len(data) - 1)] == QUOTE) & dialect.quoting
    cells = slices(records.data, starts + quoted, ends - quoted, pa.string(), nulls=empty)
    if quoted.any():
        cells = _unescaped(cells, quoted) if dialect.escape else _undoubled(cells, quoted)
    return pl.Series("text", pl.from_arrow(cells), dtype=pl.String)


def merged_rows(records: Records, cells: int, most: int) -> tuple[int, int]:
    """Return how many records of several lines may be several rows, and how many were examined.

    Each of their lines has as many cells as a row: with tabs, or in four columns and more, the
    lines of a tweet do not. Then quotes may be data that have merged them.

    Args:
        records: Rows, as they come from the splitter.
        cells: How many each has.
        most: How many records of several lines are examined.
    """
    spans, dialect = records.spans, records.dialect
    delimiter, ending = bytes([dialect.delimiter]), bytes([dialect.ending])
    few = cells < (2 if delimiter == b"\t" else 4)
    if few or most <= 0 or not len(spans) or not dialect.quoting:
        return 0, 0
    begin, end = int(spans.starts[0]), int(spans.stops[-1])
    inside = np.frombuffer(records.data, np.uint8)[begin:end] == dialect.ending
    inside[spans.stops - 1 - begin] = False  # what is left are line ends in quotes, and of rejects
    endings = np.flatnonzero(inside) + begin
    rows = np.unique(np.searchsorted(spans.starts, endings, side="right") - 1)
    spread = rows[:most].tolist()
    found = 0
    for row in spread:
        lines = records.data[int(spans.starts[row]) : int(spans.ends[row])].split(ending)
        found += len(lines) > 1 and all(line.count(delimiter) + 1 == cells for line in lines)
    return found, len(spread)


def _undoubled(cells: pa.StringArray, quoted: Flags) -> pa.StringArray:
    # Kleene's: a null cell is one without quotes, and does not match.
    mask = pc.and_kleene(flags(quoted), pc.match_substring(cells, '""'))
    if not mask.true_count:
        return cells
    return pc.replace_with_mask(cells, mask, pc.replace_substring(cells.filter(mask), '""', '"'))


def _unescaped(cells: pa.StringArray, quoted: Flags) -> pa.StringArray:
    mask = pc.and_kleene(flags(quoted), pc.match_substring(cells, "\\"))
    if not mask.true_count:
        return cells
    values = pc.replace_substring_regex(cells.filter(mask), r'\\(["\\])', r"\1")
    return pc.replace_with_mask(cells, mask, values)


def with_cells(records: Records, cells: pl.Series) -> bytes:
    """Return the records' own bytes, each with its appended cells before its line ending.

    Args:
        records: The rows, at least one.
        cells: String [rows]: what to append, beginning with a delimiter.
    """
    spans = records.spans
    content = slices(records.data, spans.starts, spans.ends, pa.binary())
    endings = slices(records.data, spans.ends, spans.stops, pa.binary())
    appended = cells.to_arrow().cast(pa.binary())
    return joined(content, appended, endings)


def appended_cells(part: Answers, output_schema: OutputColumns, dialect: Dialect) -> pl.Series:
    """Return what a window's records get: String [rows], each beginning with a delimiter."""
    names = tuple(quoted_if_needed(value, dialect) for value in output_schema.label_values)
    columns = output_schema.columns_of(
        part,
        lambda part: part.labels(names),
        decimal,
        lambda part: joined_labels(part, output_schema, dialect),
    )
    numbered = {str(i): column.fill_null("") for i, column in enumerate(columns)}
    delimiter = chr(dialect.delimiter)
    cells = pl.concat_str([pl.lit(""), *(pl.col(name) for name in numbered)], separator=delimiter)
    return pl.DataFrame(numbered).select(cells.alias("cells")).to_series()


def appended_header(output_schema: OutputColumns, dialect: Dialect) -> str:
    """Return what the header gets."""
    names = (quoted_if_needed(name, dialect) for name in output_schema.names)
    return "".join(chr(dialect.delimiter) + name for name in names)


class TrailingBlanks:
    """Takes blank lines at the end out of a stream of blocks, wherever it is cut."""

    def __init__(self, blocks: Iterable[bytes], ending: int, *, kept: bool = False) -> None:
        """Take a stream.

        Args:
            blocks: Records, from the first byte of one on.
            ending: LF or CR, with which their lines end.
            kept: Blank lines are records: nothing is taken out.
        """
        self.tail = b""  # what was taken out, when all has been read
        self._blocks = blocks
        self._ending = bytes([ending])
        self._kept = kept
        self._signs = b"\r" if ending == CR else b"\r\n"

    def __iter__(self) -> Iterator[bytes]:
        """Yield the rest; a line ending belongs to the record before it."""
        return iter(self._blocks) if self._kept else self._records()

    def _records(self) -> Iterator[bytes]:
        held = b""  # line endings that may be the end
        begun = flooded = False  # whether there are records; whether there are too many blank lines
        for block in self._blocks:
            content = block.rstrip(self._signs)
            if content:
                yield held + block[: len(content)]
                held, begun, flooded = b"", True, False
            held += block[len(content) :]
            if flooded or len(held) > _MOST:
                yield held
                held, begun, flooded = b"", True, True
        if flooded:
            return
        own = held.find(self._ending) + 1 if begun else 0
        last = held.rfind(b"\r\r", own) if self._ending == b"\n" else -1
        if begun and not own:
            own = len(held)
        if last >= 0:  # a line that is a lone CR and more is a record
            own = held.find(b"\n", last) + 1
        if held.endswith(b"\r") and self._ending == b"\n":
            own = len(held)
        self.tail = held[own:]
        yield held[:own]
