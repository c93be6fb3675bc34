"""File formats by extension, and what can be an input or an output of one."""

import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

from scorer import hints
from scorer.errors import DataError, InputMissing, UsageError
from scorer.options import Kind
from scorer.os_errors import kind_of, reading

Compression = Literal["none", "gzip", "zstd"]

FORMATS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",  # where each line is an object
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}
EXTENSIONS: dict[str, str] = {kind: name for name, kind in reversed(FORMATS.items())}  # the usual
_OF_ARROW = {"parquet", "arrow"}  # compressed inside, if at all
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}

_KNOWN = {name + packed for name in FORMATS for packed in ("", *COMPRESSIONS)}
NAMES = {"csv": "CSV", "tsv": "TSV", "parquet": "Parquet", "ndjson": "NDJSON", "arrow": "Arrow IPC"}
_READERS = {"none": "cat", "gzip": "zcat <", "zstd": "zstdcat <"}
_STDIN = {Path("/dev/stdin"), Path("/dev/fd/0"), Path("/proc/self/fd/0")}
_DESCRIPTOR = re.compile(r"/dev/fd/\d+|/proc/\w+/fd/\d+")

SUPPORTED = (
    ".csv, .tsv, .ndjson, .jsonl, .json (plain, .gz or .zst), .parquet, .arrow, .arrows, .ipc "
    "and .feather"
)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file name says about its content."""

    kind: Kind
    compression: Compression
    suffix: str  # as in the name: ".csv.gz"


class Place(Protocol):
    """A path, or the URL of an object."""

    @property
    def name(self) -> str:
        """The last part of it."""

    def with_name(self, name: str, /) -> Self:
        """Return what has another name in the same directory."""


def format_of(path: Place, kind: Kind | None = None) -> FileFormat:
    """Return the format that the extension names, in any letter case, or one that was asked for.

    Raises:
        UsageError: The extension names none, or compresses what is compressed inside.
    """
    name, suffix = path.name, ""
    compression: Compression = "none"
    if (last := Path(name).suffix).lower() in COMPRESSIONS:
        compression, suffix = COMPRESSIONS[last.lower()], last
        name = name.removesuffix(last)
    last = Path(name).suffix
    found = kind or FORMATS.get(last.lower())
    if found is None or (found in _OF_ARROW and compression != "none"):
        raise UsageError(f"{path} has no known extension", f"supported are {SUPPORTED}")
    return FileFormat(found, compression, last + suffix)


def compression_of(path: Path) -> Compression:
    """Return how a file of a text format is compressed, by its name."""
    return COMPRESSIONS.get(path.suffix.lower(), "none")


def default_name(name: str, file_format: FileFormat) -> str:
    """Return NAME.scored.EXT for an input's name: x.csv.gz gives x.scored.csv.gz."""
    return f"{name.removesuffix(file_format.suffix)}.scored{file_format.suffix}"


def check_output(source: Place, output: Place, kind: Kind | None = None, more: str = "") -> None:
    """Raise UsageError where an output's extension says another format than its input has.

    Args:
        source: The input.
        output: Its output. One named as the input is, or with an extension that says nothing
            where the format was asked for, is right.
        kind: The format that was asked for.
        more: What else may be done about it.
    """
    wanted = format_of(source, kind)
    name = Path(output.name)
    if wanted.suffix and name.name.endswith(wanted.suffix):
        return
    usual = wanted.suffix if wanted.suffix.lower() in _KNOWN else EXTENSIONS[wanted.kind]
    remedy = f"give it the extension {usual}{more}"
    renamed = {"--output": f"{_without_known(str(output))}{usual}"} if not more else {}
    try:
        got = format_of(name)
    except UsageError:
        if kind is not None and compression_of(name) == wanted.compression:
            return
        raise UsageError(f"{output} has no known extension", remedy, renamed) from None
    if (wanted.kind, wanted.compression) != (got.kind, got.compression):
        raise UsageError(f"{output} is not of the format of {source}", remedy, renamed)


def _without_known(name: str) -> str:
    """Return a path without the extensions that are known in its name."""
    path = Path(name)
    if path.suffix.lower() in COMPRESSIONS:
        path = path.with_suffix("")
    return str(path.with_suffix("") if path.suffix.lower() in FORMATS else path)


def check_regular(path: Path) -> None:
    """Raise an error for what is missing, can be read only once, or would block on a writer."""
    with reading(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise InputMissing(f"{path} is a directory", "name a file")
    if kind := kind_of(mode):
        raise DataError(f"{path} is {kind}, not a regular file", _spool_command(path))


def check_stream(path: Path) -> None:
    """Raise UsageError for a pipe or a device whose name says no format: a shell's `<(...)`."""
    with suppress(UsageError):
        format_of(path)
        return
    mode = 0
    with suppress(OSError):  # opening it raises the error
        mode = path.stat().st_mode
    kind = kind_of(mode)
    if kind and not stat.S_ISDIR(mode):
        raise UsageError(f"{path} is {kind}, not a regular file", _spool_command(path))


def _spool_command(path: Path) -> str:
    """Return the command that spools the stream, so that it can be read twice."""
    kind, reader = "csv", "cat"
    with suppress(UsageError):
        named = format_of(path)
        kind, reader = named.kind, _READERS[named.compression]
    call = f"tweetscore run - --format {kind}"
    if path in _STDIN:
        return call
    if _DESCRIPTOR.fullmatch(str(path)):  # it is gone when its shell's line is over
        return f"send it to standard input: ... | {call}"
    return f"{reader} {hints.word(str(path))} | {call}"
