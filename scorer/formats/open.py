"""Opens an input by its format, after its content was checked."""

from pathlib import Path
from typing import TYPE_CHECKING

from scorer.errors import UsageError
from scorer.formats.foreign import check_content, known_format
from scorer.formats.registry import NAMES, check_regular
from scorer.options import InputSpec

if TYPE_CHECKING:
    from scorer.formats.base import Source

_AS_IT_IS = InputSpec()


def open_source(path: Path, spec: InputSpec = _AS_IT_IS) -> "Source":
    """Open an input and find its text column.

    Args:
        path: A file of one of the formats.
        spec: How it is read.

    Raises:
        UsageError: unknown extension, encoding or delimiter, or a negative limit.
        InputMissing: there is no such file.
        DataError: not a readable file of its format, or no such text column.
    """
    file_format = known_format(path, spec.format)
    if spec.limit is not None and spec.limit < 0:
        raise UsageError(f"the limit {spec.limit} is negative", "give the number of rows to read")
    check_regular(path)
    check_content(path, file_format, spec.text_column)
    if file_format.kind in {"csv", "tsv"}:
        from scorer.formats.csv import CsvSource

        return CsvSource(path, spec)
    if given := " and ".join(spec.csv.given):
        raise UsageError(
            f"{path} is {NAMES[file_format.kind]}",
            f"leave {given} out, which only CSV has, or name the CSV files alone",
        )
    if file_format.kind == "ndjson":
        from scorer.formats.ndjson import NdjsonSource

        return NdjsonSource(path, spec)
    # Each is imported where it is needed: each loads libraries that the others do not need.
    if file_format.kind == "arrow":
        from scorer.formats.arrow import ArrowSource

        return ArrowSource(path, spec)
    from scorer.formats.parquet import ParquetSource

    return ParquetSource(path, spec)
