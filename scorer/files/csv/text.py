"""The text cells of a block of records as a column, and records with cells appended."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.cells import Flags, decimal, flags, joined, pieces
from scorer.files.csv.dialect import QUOTE, Dialect, quoted_if_needed
from scorer.files.csv.records import Records
from scorer.files.source import OutputColumns
from scorer.records import Answers


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
    cells = pieces(records.data, starts + quoted, ends - quoted, pa.string(), nulls=empty)
    if quoted.any():
        cells = _unescaped(cells, quoted) if dialect.escape else _undoubled(cells, quoted)
    return pl.Series("text", pl.from_arrow(cells), dtype=pl.String)


def merged_rows(records: Records, cells: int, most: int) -> tuple[int, int]:
    """Return how many records of several lines may be several rows, and how many were looked at.

    Each of their lines has as many cells as a row: with tabs, or in four columns and more, the
    lines of a tweet do not. Then quotes may be data that have merged them.

    Args:
        records: Rows, as they come from the splitter.
        cells: How many each has.
        most: How many records of several lines are looked at.
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
    content = pieces(records.data, spans.starts, spans.ends, pa.binary())
    endings = pieces(records.data, spans.ends, spans.stops, pa.binary())
    appended = cells.to_arrow().cast(pa.binary())
    return joined(content, appended, endings)


def appended_cells(part: Answers, plan: OutputColumns, dialect: Dialect) -> pl.Series:
    """Return what a window's records get: String [rows], each beginning with a delimiter."""
    names = tuple(quoted_if_needed(value, dialect) for value in plan.label_values)
    columns = [part.labels(names), decimal(part.best())]
    columns += [decimal(part.of_class(i)) for i in range(len(plan.score_columns))]
    numbered = {str(i): column.fill_null("") for i, column in enumerate(columns)}
    delimiter = chr(dialect.delimiter)
    cells = pl.concat_str([pl.lit(""), *(pl.col(name) for name in numbered)], separator=delimiter)
    return pl.DataFrame(numbered).select(cells.alias("cells")).to_series()


def appended_header(plan: OutputColumns, dialect: Dialect) -> str:
    """Return what the header gets."""
    return "".join(chr(dialect.delimiter) + quoted_if_needed(n, dialect) for n in plan.names)
