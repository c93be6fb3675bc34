"""Errors for files of a format that is not read, with a command that converts them.

The first bytes are checked against the name: gzip, Parquet or a workbook under the name of a CSV
file would otherwise be reported as a fault of its encoding or its header.
"""

import zipfile
from contextlib import suppress
from pathlib import Path

from scorer.errors import DataError, TweetscoreError, UsageError
from scorer.formats.conversions import Way, plain_way, stream_way, way_of
from scorer.formats.guards import content as contents
from scorer.formats.guards.content import Content
from scorer.formats.registry import (
    COMPRESSIONS,
    FORMATS,
    NAMES,
    FileFormat,
    check_regular,
    format_of,
)
from scorer.formats.text.compression import read_beginning
from scorer.options import Kind
from scorer.os_errors import reading

_OF_TEXT = {"csv", "tsv", "ndjson"}
_BY_NAME: dict[str, Content] = {
    name: Content(words, extension)
    for words, extension, names in (
        ("an Excel workbook", ".xlsx", ".xlsx .xlsm .xlsb .xls"),
        ("an OpenDocument spreadsheet", ".ods", ".ods"),
        ("a zip archive", ".zip", ".zip"),
        ("a 7-Zip archive", ".7z", ".7z"),
        ("a tar archive", ".tar", ".tar .tgz .tbz2 .txz"),
        ("bzip2", ".bz2", ".bz2"),
        ("xz", ".xz", ".xz .lzma"),
        ("lz4", ".lz4", ".lz4"),
        ("Avro", ".avro", ".avro"),
        ("ORC", ".orc", ".orc"),
        ("a SQLite database", ".sqlite", ".sqlite .sqlite3 .db"),
        ("a DuckDB database", ".duckdb", ".duckdb"),
        ("a Python pickle", ".pkl", ".pkl .pickle"),
        ("a SAS data set", ".sas7bdat", ".sas7bdat"),
        ("an SPSS data set", ".sav", ".sav"),
        ("a Stata data set", ".dta", ".dta"),
        ("an R data set", ".rds", ".rds .rdata"),
        ("HDF5", ".h5", ".h5 .hdf5"),
        ("a NumPy array", ".npy", ".npy .npz"),
        ("a PDF document", ".pdf", ".pdf"),
        ("an HTML page", ".html", ".html .htm"),
        ("XML", ".xml", ".xml"),
        ("a word processor's document", ".docx", ".docx .doc"),
    )
    for name in names.split()
}
FOREIGN = frozenset(_BY_NAME)  # extensions that say something else than a format of ours
_VAGUE = {
    ".txt",
    ".zip",
    "broken zip",
    ".gz",
    ".html",
    ".xml",
}  # content of which such an extension says more


def known_format(path: Path, kind: Kind | None = None) -> FileFormat:
    """Return the format of a local file by its name, or raise what its content says.

    Raises:
        UsageError: Its extension is none of ours; the message says what the file is.
        InputMissing: It is not there.
    """
    try:
        return format_of(path, kind)
    except UsageError as error:
        check_regular(path)
        raise _unknown(path) or error from error


def check_content(
    path: Path, expected: FileFormat, text_column: str, *, stream: bool = False
) -> None:
    """Raise DataError where a file's first bytes are of another format than it should have.

    Args:
        path: A regular file.
        expected: What its name says, or the call.
        text_column: The column that is wanted.
        stream: The file holds what came from standard input.
    """
    head, whole = _head(path, contents.HEAD)
    if not head:
        return
    found, inside = _outermost(path, head, expected), False
    if found is None and expected.compression != "none":
        head, whole = _inner(path, expected)
        inside = True
    if found is None:
        found = _mismatch(head, whole, expected.kind, text_column)
    if found is not None:
        raise _not_expected(path, found, expected, inside=inside, stream=stream)


def found_there(path: Path) -> TweetscoreError | None:
    """Return what a file of unknown extension is, as an error; None where that cannot be said."""
    with suppress(TweetscoreError):
        return _unknown(path)
    return None


def _head(path: Path, size: int) -> tuple[bytes, bool]:
    with reading(path), path.open("rb") as file:
        head = file.read(size + 1)
    return head[:size], len(head) <= size


def _inner(path: Path, known: FileFormat) -> tuple[bytes, bool]:
    """Return the beginning of what a compressed file holds; nothing where it is damaged."""
    with suppress(DataError):
        content, _ = read_beginning(path, known.compression, contents.HEAD)
        return content[: contents.HEAD], len(content) <= contents.HEAD
    return b"", True


def _outermost(path: Path, head: bytes, expected: FileFormat) -> Content | None:
    """Return what the file itself is, where it should be compressed or not and is otherwise."""
    binary = _binary(path, head)
    wanted = next((ext for ext, name in COMPRESSIONS.items() if name == expected.compression), "")
    if binary and binary.extension == wanted:
        return None
    if wanted:
        text = contents.text_content(contents.as_text(head), whole=False)
        return binary or (None if text is contents.PLAIN else text)  # which may be damage
    return None if binary and FORMATS.get(binary.extension) == expected.kind else binary


def _binary(path: Path, head: bytes) -> Content | None:
    found = contents.binary_content(head)
    if found is not contents.ZIP:
        return found
    try:
        with zipfile.ZipFile(path) as archive:
            return contents.archive_content(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return contents.BROKEN_ZIP


def _mismatch(head: bytes, whole: bool, kind: Kind, text_column: str) -> Content | None:
    """Return what content is, where it is surely not of the wanted format."""
    binary = contents.binary_content(head)
    if binary:
        return None if FORMATS.get(binary.extension) == kind else binary
    text = contents.as_text(head)
    if found := contents.markup_content(text):
        return found
    if kind not in _OF_TEXT:
        found = contents.text_content(text, whole=whole)
        return found if _is_text(head) and found is not contents.PLAIN else None  # damage
    wide = contents.wide_content(head)
    if wide:
        return wide if kind == "ndjson" or wide.extension == "utf-32" else None
    found = contents.json_content(text, whole=whole)
    if kind != "ndjson":
        return found
    return _not_ndjson(text, found, whole, text_column)


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and bool(head.strip())


def _not_ndjson(text: str, found: Content | None, whole: bool, name: str) -> Content | None:
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if found is None:
        objects = any(line.lstrip().startswith(("{", "[")) for line in lines)
        return None if objects else contents.table_content(lines[:-1] or lines)
    if found is contents.COLUMNS:
        first = contents.parsed(lines[0])
        return found if not isinstance(first.get(name), str) and name in first else None
    if found is contents.NDJSON:
        key = _key_of_rows(lines, name) if whole else None
        return Content(f"one JSON object with its rows under {key!r}", "pretty") if key else None
    return found


def _key_of_rows(lines: list[str], name: str) -> str | None:
    """Return the key under which a file of a single object has its rows, if it has them in one."""
    value = contents.parsed(lines[0]) if len(lines) == 1 else None
    if not isinstance(value, dict) or name.partition(".")[0] in value:
        return None
    return next(
        (k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)), None
    )


def _not_expected(
    path: Path, found: Content, expected: FileFormat, *, inside: bool, stream: bool
) -> DataError:
    wanted = NAMES[expected.kind]
    if not inside and expected.compression != "none":
        wanted = expected.compression if expected.compression == "gzip" else "Zstandard"
    place = "standard input" if stream else str(path)
    words = f"{place} is {found.words}" + (" inside" if inside else "")
    words += "" if found.extension in {"pretty", "several"} else f", not {wanted}"
    way = (
        stream_way(found, to_compress="none" if inside else expected.compression)
        if stream
        else way_of(path, found, expected, inside=inside)
    )
    return DataError(words, way.remedy, way.options, way.step)


def _unknown(path: Path) -> UsageError | None:
    """Return what a file whose extension is none of ours is; None where that is not known."""
    head, whole = _head(path, contents.HEAD)
    by_name = _BY_NAME.get(path.suffix.lower())
    binary = _binary(path, head)
    compression = COMPRESSIONS.get(binary.extension) if binary else None
    if compression and path.suffix.lower() == (binary.extension if binary else ""):
        return _compressed(path, FileFormat("csv", compression, path.suffix))
    found = binary or _text(head, whole)
    if by_name and (found is None or found.extension in _VAGUE):
        found = by_name
    if found is None:
        return None
    way = plain_way(path) if found is contents.PLAIN else _way(path, found)
    if found.extension in {".csv", ".tsv", ".txt"}:
        return _error(path, found.words, way, "has no known extension and looks like")
    return _error(path, found.words, way)


def _way(path: Path, found: Content) -> Way:
    if found.extension in COMPRESSIONS:
        return way_of(path, found, FileFormat("csv", "none", ""))
    return way_of(path, found, None)


def _compressed(path: Path, known: FileFormat) -> UsageError:
    """A file with an extension of a compression, before which there is none of ours."""
    head, whole = _inner(path, known)
    found = contents.binary_content(head) or _text(head, whole) or contents.PLAIN
    if found.extension in {".csv", ".tsv", ".ndjson", ".txt"}:
        way = plain_way(path) if found is contents.PLAIN else way_of(path, found, None)
    else:
        way = way_of(path, found, known, inside=True)
    return _error(path, f"{found.words}, compressed", way, "has no known extension and looks like")


def _text(head: bytes, whole: bool) -> Content | None:
    if wide := contents.wide_content(head):
        return wide
    return contents.text_content(contents.as_text(head), whole=whole) if _is_text(head) else None


def _error(path: Path, words: str, way: Way, verb: str = "is") -> UsageError:
    return UsageError(f"{path} {verb} {words}", way.remedy, way.options, way.step)
