"""Opens an input by its format."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import UsageError
from scorer.files.csv.options import CsvOptions
from scorer.files.foreign import check_content, known_format
from scorer.files.formats import NAMES, Kind, check_regular

if TYPE_CHECKING:
    from scorer.files.source import Source


def open_source(
    path: Path,
    *,
    text_column: str = "text",
    csv: CsvOptions | None = None,
    limit: int | None = None,
    kind: Kind | None = None,
) -> "Source":
    """Open an input and find its text column.

    Args:
        path: A file of one of the formats.
        text_column: The column to score.
        csv: How it is written, where it is CSV.
        limit: Read the first so many rows only.
        kind: What it is, whatever its extension says; None for what that says.

    Raises:
        UsageError: unknown extension, encoding or delimiter, or a negative limit.
        InputMissing: there is no such file.
        DataError: not a readable file of its format, or no such text column.
    """
    file_format = known_format(path, kind)
    if limit is not None and limit < 0:
        raise UsageError(f"the limit {limit} is negative", "give the number of rows to read")
    check_regular(path)
    check_content(path, file_format, text_column)
    wanted: dict[str, Any] = {"text_column": text_column, "limit": limit, "kind": kind}
    if file_format.kind in {"csv", "tsv"}:
        from scorer.files.csv.source import CsvSource

        return CsvSource(path, options=csv, **wanted)
    if csv and csv.given:
        raise UsageError(
            f"{path} is {NAMES[file_format.kind]}",
            f"leave {' and '.join(csv.given)} out, which only CSV has, or name the CSV files alone",
        )
    if file_format.kind == "ndjson":
        from scorer.files.ndjson.source import NdjsonSource

        return NdjsonSource(path, **wanted)
    return _of_arrow(file_format.kind)(path, text_column=text_column, limit=limit)


def _of_arrow(kind: Kind) -> "Callable[..., Source]":
    """Import what reads a format: each loads libraries that the others do not need."""
    if kind == "arrow":
        from scorer.files.arrow.source import ArrowSource

        return ArrowSource
    from scorer.files.parquet.source import ParquetSource

    return ParquetSource
