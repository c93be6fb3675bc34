"""Detects the format of a file by its first bytes, whatever its name. Pure."""

import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

HEAD = 1 << 16  # bytes that are enough

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SURE = 512  # bytes among which a binary format has such a character
_JSON_STARTS = ("{", "[")
_TEXT_NAMES = {"text", "tweet", "full_text", "content", "message", "body"}
_DELIMITERS = "\t;|,"
_LINES = 20  # that are examined
_SAME = 3  # lines with as many cells that make a table


@dataclass(frozen=True, slots=True)
class Content:
    """A kind of content."""

    words: str  # "Parquet", "an Excel workbook"
    extension: str  # as such files are usually named; empty where no tool helps


# Kinds of text: their extensions name the way to turn the text into rows.
CSV = Content("CSV", ".csv")
TSV = Content("TSV", ".tsv")
NDJSON = Content("NDJSON", ".ndjson")
ARRAY = Content("a JSON array", "array")
STRINGS = Content("a JSON array of texts", "strings")
PRETTY = Content("JSON over several lines, not an object a line", "pretty")
SEVERAL = Content("JSON objects over several lines each, not one a line", "several")
COLUMNS = Content("one JSON object with a column under each key", "columns")
PLAIN = Content("plain text", ".txt")
_UTF16 = Content("UTF-16", "utf-16")
_UTF32 = Content("UTF-32", "utf-32")

_GZIP, _ZSTD = Content("gzip", ".gz"), Content("Zstandard", ".zst")
_PARQUET, _ARROW = Content("Parquet", ".parquet"), Content("Arrow IPC", ".arrow")
ZIP = Content("a zip archive", ".zip")
BROKEN_ZIP = Content("a damaged zip archive, maybe an Excel workbook (.xlsx)", "broken zip")
EXCEL = Content("an Excel workbook", ".xlsx")
SHEET = Content("an OpenDocument spreadsheet", ".ods")
_WORD = Content("a word processor's document", ".docx")

_MAGIC: tuple[tuple[bytes, Content], ...] = (
    (b"\x1f\x8b", _GZIP),
    (b"\x28\xb5\x2f\xfd", _ZSTD),
    (b"BZh", Content("bzip2", ".bz2")),
    (b"\xfd7zXZ\x00", Content("xz", ".xz")),
    (b"\x04\x22\x4d\x18", Content("lz4", ".lz4")),
    (b"\x1f\x9d", Content("compress", ".Z")),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"7z\xbc\xaf\x27\x1c", Content("a 7-Zip archive", ".7z")),
    (b"Rar!\x1a\x07", Content("a RAR archive", ".rar")),
    (b"PAR1", _PARQUET),
    (b"PARE", Content("encrypted Parquet", "")),
    (b"ARROW1", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"FEA1", Content("Feather of version 1", ".feather")),
    (b"Obj\x01", Content("Avro", ".avro")),
    (b"ORC", Content("ORC", ".orc")),
    (b"SQLite format 3\x00", Content("a SQLite database", ".sqlite")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content("an old Excel workbook or Word file", ".xls")),
    (b"%PDF-", Content("a PDF document", ".pdf")),
    (b"\x89PNG", Content("a picture", ".png")),
    (b"\xff\xd8\xff", Content("a picture", ".jpg")),
    (b"\x89HDF\r\n\x1a\n", Content("HDF5", ".h5")),
    (b"\x93NUMPY", Content("a NumPy array", ".npy")),
    (b"$FL2", Content("an SPSS data set", ".sav")),
    (b"\x00" * 12 + b"\xc2\xea\x81\x60", Content("a SAS data set", ".sas7bdat")),
)
_DEEPER: tuple[tuple[int, bytes, Content], ...] = (
    (8, b"DUCK", Content("a DuckDB database", ".duckdb")),
    (257, b"ustar", Content("a tar archive", ".tar")),
)
_MARKUP: tuple[tuple[str, Content], ...] = (
    ("<!doctype html", Content("an HTML page", ".html")),
    ("<html", Content("an HTML page", ".html")),
    ("<?xml", Content("XML", ".xml")),
    ("<stata_dta>", Content("a Stata data set", ".dta")),
    ("{\\rtf", Content("a word processor's document", ".rtf")),
    ("version https://git-lfs.github.com/", Content("a Git LFS pointer", "lfs")),
)


def binary_content(head: bytes) -> Content | None:
    """Return the binary format that a file's first bytes are of; None where they are of none."""
    for magic, content in _MAGIC:
        if head.startswith(magic) and (not magic.isascii() or _is_binary(head, content)):
            return content
    for at, magic, content in _DEEPER:
        if head.startswith(magic, at) and _is_binary(head, content):
            return content
    is_pickle = head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05"
    return Content("a Python pickle", ".pkl") if is_pickle else None


def _is_binary(head: bytes, content: Content) -> bool:
    """Tell whether it is the format, and no CSV file whose header begins with ORC or PAR1."""
    return content.extension == ".pdf" or bool(_CONTROL.search(head[:_SURE]))


def archive_content(names: Iterable[str]) -> Content:
    """Return what a zip archive with files of these names is."""
    names = [*names]
    if any(name.startswith("word/") for name in names):
        return _WORD
    if "[Content_Types].xml" in names:
        return EXCEL
    return SHEET if {"mimetype", "content.xml"} <= {*names} else ZIP


def wide_content(head: bytes) -> Content | None:
    """Return the encoding, if a text's is one with two or four bytes for an ASCII character."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return _UTF32
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return _UTF16 if marked or (len(head) > 3 and head[:4].count(0) == 2) else None


def markup_content(text: str) -> Content | None:
    """Return what a text is that no rows can be in."""
    start = text.lstrip("\ufeff \t\r\n")[:_SURE].lower()
    return next((content for words, content in _MARKUP if start.startswith(words)), None)


def as_text(head: bytes) -> str:
    """Return bytes as text of which the ASCII characters are right."""
    return head.decode("utf-8-sig", "replace")


def json_content(text: str, *, whole: bool) -> Content | None:
    """Return which kind of JSON a text begins as; None where it is none.

    Args:
        text: Its beginning.
        whole: Whether that is all of it.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith(_JSON_STARTS):
        return None
    first, _, rest = text.partition("\n")
    value = parsed(first)
    if isinstance(value, dict):
        if whole and not rest.strip() and _is_columnar(value):
            return COLUMNS
        return NDJSON
    if text.startswith("["):
        return _array(text, first, rest, value)
    return _several_lines(first, rest, text)


def parsed(line: str) -> Any:
    """Return the value of a line of JSON; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _array(text: str, first: str, rest: str, value: Any) -> Content | None:
    if isinstance(value, list):  # the first of several lines is a record that is no row
        return _items(value[0] if value else {}) if not rest.strip() else None
    item = text[1:].lstrip()
    if item.startswith("{"):
        return ARRAY
    return STRINGS if item.startswith('"') and not first.strip("[ \t\r") else None


def _items(item: Any) -> Content | None:
    if isinstance(item, str):
        return STRINGS
    return ARRAY if isinstance(item, dict) else None


def _several_lines(first: str, rest: str, text: str) -> Content | None:
    """Return what an object is that goes on in the lines after its first.

    Beside objects of one line each it is a broken record among rows.
    """
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        is_cut = first.strip() == "{" and rest.lstrip().startswith('"')
        return PRETTY if is_cut and not _has_object_lines(rest) else None
    after = text[end:].strip()
    if _has_object_lines(after):
        return None
    return SEVERAL if after.startswith("{") else PRETTY


def _has_object_lines(text: str) -> bool:
    return any(isinstance(parsed(line), dict) for line in text.splitlines()[:_LINES])


def _is_columnar(value: dict[str, Any]) -> bool:
    """Tell whether an object's members are columns, as pandas writes a frame."""
    columns = [*value.values()]
    rows = {len(column) for column in columns if isinstance(column, (list, dict))}
    both = all(isinstance(column, (list, dict)) for column in columns)
    return both and len(columns) > 1 and len(rows) == 1 and min(rows) > 0


def text_content(text: str, *, whole: bool) -> Content:
    """Return what a text is likeliest to be."""
    found = markup_content(text) or json_content(text, whole=whole)
    if found:
        return found
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    lines = lines if whole else lines[:-1] or lines
    return table_content(lines[:_LINES]) or PLAIN


def table_content(lines: list[str]) -> Content | None:
    """Return CSV or TSV, if lines look like a table."""
    if not lines:
        return None
    if _cell(lines[0]) in _TEXT_NAMES:
        return CSV
    for delimiter in _DELIMITERS:
        cells = lines[0].split(delimiter)
        counts = {line.count(delimiter) for line in lines}
        named = len(cells) > 1 and any(_cell(cell) in _TEXT_NAMES for cell in cells)
        if named or (len(lines) >= _SAME and len(counts) == 1 and counts != {0}):
            return TSV if delimiter == "\t" else CSV
    return None


def _cell(cell: str) -> str:
    return cell.strip(' "\r').lower()
