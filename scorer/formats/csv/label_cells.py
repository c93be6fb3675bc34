"""Lists of labels as cells of CSV: joined by `|`, in quotes where a cell needs them."""

from collections.abc import Sequence

import polars as pl

from scorer.errors import UsageError
from scorer.formats.added_columns import label_lists
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.dialects import Dialect, quoted_if_needed
from scorer.records import Answers

SEPARATOR = "|"


def check_separator(output_schema: OutputColumns, dialect: Dialect) -> None:
    """Raise UsageError where a list of labels could not be told from another one."""
    if output_schema.labels_column is None:
        return
    if not dialect.can_hold(SEPARATOR):
        raise UsageError(
            "lists of labels are joined by |, which is the delimiter, and --quote is none",
            "write NDJSON or Parquet, or give another --delimiter",
        )
    for name in output_schema.label_values:
        if SEPARATOR in name:
            raise UsageError(
                f"the label {name!r} cannot be in a list that is joined by |",
                "choose other names with --label-names, or write NDJSON or Parquet",
            )


def joined_labels(part: Answers, output_schema: OutputColumns, dialect: Dialect) -> pl.Series:
    """Return a cell for each row, String [rows]; empty for an empty list, null where blank."""
    values = output_schema.label_values
    inside, quoted = _escaped(values, dialect)
    cells = label_lists(part, inside, output_schema.threshold).list.join(SEPARATOR)
    chosen = part.at_least(output_schema.threshold)
    in_quotes = chosen[:, quoted].any(axis=1)
    if chr(dialect.delimiter) == SEPARATOR:
        in_quotes |= chosen.sum(axis=1) > 1
    if not in_quotes.any():
        return cells
    both = pl.DataFrame({"cell": cells, "quoted": in_quotes})
    in_quotes_too = pl.concat_str(pl.lit('"'), "cell", pl.lit('"'))
    return both.select(pl.when("quoted").then(in_quotes_too).otherwise("cell")).to_series()


def _escaped(values: Sequence[str], dialect: Dialect) -> tuple[list[str], list[int]]:
    """Return names as they stand in quotes, and the numbers of those that need these."""
    cells = [quoted_if_needed(value, dialect) for value in values]
    quoted = [number for number, value in enumerate(values) if cells[number] != value]
    return [cell[1:-1] if i in quoted else cell for i, cell in enumerate(cells)], quoted


def split_labels(cells: pl.Series, dialect: Dialect) -> pl.Series:
    """Return the lists that `joined_labels` has written, List(String) [rows].

    Args:
        cells: As they stand in the file, in quotes or not.
        dialect: Of the file.
    """
    cell = pl.col("cell")
    in_quotes = cell.str.strip_prefix('"').str.strip_suffix('"')
    if dialect.escape:
        inside = in_quotes.str.replace_all(r'\\(["\\])', "${1}")
    else:
        inside = in_quotes.str.replace_all('""', '"', literal=True)
    value = pl.when(cell.str.starts_with('"')).then(inside).otherwise(cell)
    text = value if dialect.quoting else cell
    empty = pl.lit([], dtype=pl.List(pl.String))
    lists = pl.when(text == "").then(empty).otherwise(text.str.split(SEPARATOR))
    return cells.to_frame("cell").select(lists.alias("labels")).to_series()
