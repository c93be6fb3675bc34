"""File formats by extension, and the one door through which an input is opened."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scorer.errors import DataError, UsageError
from scorer.files.storage import reading

if TYPE_CHECKING:
    from scorer.files.source import Source

Compression = Literal["none", "gzip", "zstd"]

_KINDS: dict[str, Literal["csv", "tsv", "parquet"]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

SUPPORTED = ".csv, .tsv (plain, .gz or .zst) and .parquet"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file name says about its content."""

    kind: Literal["csv", "tsv", "parquet"]
    compression: Compression
    suffix: str  # as in the name: ".csv.gz"


def format_of(path: Path) -> FileFormat:
    """Return the format that the extension names, in any letter case; else raise UsageError."""
    name, suffix = path.name, ""
    compression: Compression = "none"
    if (last := Path(name).suffix).lower() in _COMPRESSIONS:
        compression, suffix = _COMPRESSIONS[last.lower()], last
        name = name.removesuffix(last)
    kind = _KINDS.get((last := Path(name).suffix).lower())
    if kind is None or (kind == "parquet" and compression != "none"):
        raise UsageError(f"{path} has no known extension", f"supported are {SUPPORTED}")
    return FileFormat(kind, compression, last + suffix)


def _check_regular(path: Path) -> None:
    """Refuse what cannot be read twice, or would wait for a writer for ever."""
    with reading(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a directory", "name a file")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is not a regular file", "spool it into one first")


def open_source(
    path: Path,
    *,
    text_column: str = "text",
    encoding: str | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
) -> "Source":
    """Open an input and find its text column.

    Args:
        path: A CSV, TSV or Parquet file.
        text_column: The column to score.
        encoding: Of CSV: None for UTF-8, or UTF-16 where a byte-order mark says so.
        delimiter: Of CSV: one ASCII character; None for what the extension says.
        limit: Read the first so many rows only.

    Raises:
        UsageError: unknown extension, encoding or delimiter, or a negative limit.
        InputMissing: there is no such file.
        DataError: not a readable file of its format, or no such text column.
    """
    file_format = format_of(path)
    if limit is not None and limit < 0:
        raise UsageError(f"the limit {limit} is negative", "give the number of rows to read")
    _check_regular(path)
    if file_format.kind == "parquet":
        if encoding is not None or delimiter is not None:
            raise UsageError(f"{path} is Parquet", "encoding and delimiter are for CSV only")
        from scorer.files.parquet.source import ParquetSource

        return ParquetSource(path, text_column=text_column, limit=limit)
    from scorer.files.csv.source import CsvSource

    return CsvSource(
        path, text_column=text_column, encoding=encoding, delimiter=delimiter, limit=limit
    )
