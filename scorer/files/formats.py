"""File formats by extension, and the one door through which an input is opened."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scorer.errors import DataError, UsageError
from scorer.files.csv.options import CsvOptions
from scorer.files.storage import reading

if TYPE_CHECKING:
    from scorer.files.source import Source

Compression = Literal["none", "gzip", "zstd"]

Kind = Literal["csv", "tsv", "parquet", "ndjson", "arrow"]

_KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}
EXTENSIONS: dict[str, str] = {kind: name for name, kind in reversed(_KINDS.items())}  # the usual
_OF_ARROW = {"parquet", "arrow"}  # compressed inside, if at all
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

_NAMES = {"parquet": "Parquet", "ndjson": "NDJSON", "arrow": "Arrow IPC"}

SUPPORTED = (
    ".csv, .tsv, .ndjson, .jsonl (plain, .gz or .zst), .parquet, .arrow, .arrows, .ipc and .feather"
)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file name says about its content."""

    kind: Kind
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
    if kind is None or (kind in _OF_ARROW and compression != "none"):
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
    csv: CsvOptions | None = None,
    limit: int | None = None,
) -> "Source":
    """Open an input and find its text column.

    Args:
        path: A file of one of the formats.
        text_column: The column to score.
        csv: How it is written, where it is CSV.
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
    if file_format.kind in {"csv", "tsv"}:
        from scorer.files.csv.source import CsvSource

        return CsvSource(path, text_column=text_column, options=csv, limit=limit)
    if csv and csv.given:
        raise UsageError(
            f"{path} is {_NAMES[file_format.kind]}",
            f"leave {' and '.join(csv.given)} out, which only CSV has, or name the CSV files alone",
        )
    return _source_type(file_format.kind)(path, text_column=text_column, limit=limit)


def _source_type(kind: Kind) -> "Callable[..., Source]":
    """Import what reads a format: each loads libraries that the others do not need."""
    if kind == "ndjson":
        from scorer.files.ndjson.source import NdjsonSource

        return NdjsonSource
    if kind == "arrow":
        from scorer.files.arrow.source import ArrowSource

        return ArrowSource
    from scorer.files.parquet.source import ParquetSource

    return ParquetSource
