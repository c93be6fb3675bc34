"""Commands that convert content of other formats to rows that can be read; none is run here."""

import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from scorer import hints
from scorer.errors import Step
from scorer.formats.guards.content import Content
from scorer.formats.registry import FORMATS, FileFormat, default_name, format_of

_PYTHON = hints.word(sys.executable or "python3")

_ROWS = "import json,sys; [print(json.dumps({0})) for r in json.load(sys.stdin.buffer)]"
_PRETTY = (
    "import json,sys; d=json.load(sys.stdin.buffer); "
    "[print(json.dumps(r)) for r in next((v for v in d.values() if isinstance(v,list) and v "
    "and isinstance(v[0],dict)),[d])]"
)
_COLUMNS = (
    "import json,sys; d=json.load(sys.stdin.buffer); "
    "[print(json.dumps(dict(zip(d,r)))) for r in "
    "zip(*(c.values() if isinstance(c,dict) else c for c in d.values()))]"
)
_AVRO = (
    "import io,polars,sys; b=io.BytesIO(); "
    "polars.read_avro(io.BytesIO(sys.stdin.buffer.read())).write_parquet(b); "
    "sys.stdout.buffer.write(b.getvalue())"
)
_ORC = (
    "import io,sys,pyarrow.orc as o,pyarrow.parquet as p; b=io.BytesIO(); "
    "p.write_table(o.read_table(io.BytesIO(sys.stdin.buffer.read())),b); "
    "sys.stdout.buffer.write(b.getvalue())"
)


def _python(code: str) -> str:
    return f"{_PYTHON} -c {hints.word(code)}"


# What turns content on standard input into rows on standard output, and the rows' extension;
# the empty one is that of the name without the content's own.
_FILTERS: dict[str, tuple[str, str]] = {
    ".gz": ("gzip -dc", ""),
    ".zst": ("zstd -dc", ""),
    ".bz2": ("bzip2 -dc", ""),
    ".xz": ("xz -dc", ""),
    ".lzma": ("xz -dc", ""),
    ".lz4": ("lz4 -dc", ""),
    ".Z": ("gzip -dc", ""),
    "array": (_python(_ROWS.format("r")), ".ndjson"),
    "strings": (_python(_ROWS.format('{"text": r}')), ".ndjson"),
    "pretty": (_python(_PRETTY), ".ndjson"),
    "several": ("jq -c .", ".ndjson"),
    "columns": (_python(_COLUMNS), ".ndjson"),
    ".avro": (_python(_AVRO), ".parquet"),
    ".orc": (_python(_ORC), ".parquet"),
    "utf-16": ("iconv -f UTF-16 -t UTF-8", ""),
    "utf-32": ("iconv -f UTF-32 -t UTF-8", ""),
}
_OUTER = {"gzip": "gzip -dc", "zstd": "zstd -dc"}
_PACK = {"gzip": "gzip -c", "zstd": "zstd -c"}
_TARS = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_SHEETS = {".xlsx", ".xls", ".ods"}
_SHEET_NAMES = _SHEETS | {".xlsm", ".xlsb"}
_CALC = "csv:Text - txt - csv (StarCalc):44,34,76"  # commas, quotes, UTF-8
_WORDS: dict[str, str] = {
    ".html": "fetch it again: it may be a login page or an error page",
    ".xml": "fetch it again if it is an error page; else write its rows as CSV",
    "lfs": "fetch the file itself with git lfs pull",
    ".pkl": "save the frame with to_parquet where the pickle was made, and name that file",
    "broken zip": "fetch it again; save a workbook as CSV UTF-8, and name that file",
}
_ELSE = "save it as CSV in UTF-8, or as Parquet, with what wrote it, and name that file"


@dataclass(frozen=True, slots=True)
class Way:
    """How to go on."""

    remedy: str
    options: Mapping[str, str | None] = field(default_factory=dict)
    step: Step | None = None


def way_of(path: Path, content: Content, known: FileFormat | None, *, inside: bool = False) -> Way:
    """Return how the rows of a file are had.

    Args:
        path: The file.
        content: What it is.
        known: What its name says.
        inside: The content is what a compressed file holds.
    """
    extension, outer = content.extension, _OUTER[known.compression] if known and inside else ""
    if extension in FORMATS and not outer:
        return _ours(path, extension, known)
    if extension in FORMATS and known:
        return _piped(path, [outer], _beside(path, known.compression, extension))
    if _is_tar(path, content):
        return _unpacked(path, ["tar", "-xf"])
    if extension in _FILTERS:
        if known and not outer and (renamed := _renamed(path, extension, known)):
            return renamed
        command, rows = _FILTERS[extension]
        kept = known.compression if known and outer else "none"
        return _piped(path, [outer, command], _beside(path, kept, rows, extension))
    return _other(path, extension)


def stream_way(content: Content, to_compress: str = "none") -> Way:
    """Return how the rows of standard input are had.

    Args:
        content: What it is.
        to_compress: How it should be compressed, as the output's name says.
    """
    extension = content.extension
    if to_compress in _PACK and (extension in FORMATS or extension == ".txt"):
        pack = _PACK[to_compress]
        return Way(f"put {pack} before it, as the output's name says: | {pack} | tweetscore run -")
    if extension in FORMATS:
        options = {"--format": FORMATS[extension]}
        return Way(f"add {hints.options(options)}", options)
    if extension in _FILTERS:
        command, rows = _FILTERS[extension]
        kind = f" --format {FORMATS[rows]}" if rows else ""
        return Way(f"put {command} before it: | {command} | tweetscore run -{kind}")
    return Way(_WORDS.get(extension, _ELSE))


def plain_way(path: Path) -> Way:
    """Return how a file of one text a line is scored."""
    return _again(
        path,
        {"--format": "tsv", "--no-header": None, "--columns": "text", "--quote": "none"},
    )


def _again(path: Path, options: Mapping[str, str | None]) -> Way:
    words = f"try: tweetscore run {hints.path_word(path)} {hints.options(options)}"
    return Way(words, options)


def _first(step: Step) -> Way:
    call = "tweetscore run " + ("-" if step.joint == "|" else hints.path_word(step.input))
    call += f" -o {hints.path_word(step.output)}" if step.output else ""
    return Way(step.before(call), step=step)


def _ours(path: Path, extension: str, known: FileFormat | None) -> Way:
    """A format of ours: under its own extension, if there is another one now."""
    kind = FORMATS[extension]
    if known and {kind, known.kind} != {"csv", "tsv"}:  # of these, --format is enough
        name = path.name.removesuffix(known.suffix) + extension
        if not os.path.lexists(path.with_name(name)):
            return _moved(path, name)
    return _again(path, {"--format": kind})


def _renamed(path: Path, extension: str, known: FileFormat) -> Way | None:
    """Compressed by what is read as it stands, under a name that does not say so."""
    if extension not in {".gz", ".zst"} or known.kind in {"parquet", "arrow"}:
        return None
    if known.compression != "none":  # by the other of the two
        name = path.name.removesuffix(Path(path.name).suffix) + extension
    else:
        name = path.name + extension
    return None if os.path.lexists(path.with_name(name)) else _moved(path, name)


def _moved(path: Path, name: str) -> Way:
    source, target = hints.path_word(path), str(path.with_name(name))
    command = f"mv {source} {hints.path_word(target)}"
    return _first(Step(command, "&&", target, words="rename it"))


def _piped(path: Path, commands: list[str], output: str) -> Way:
    first, *rest = [command for command in commands if command]
    words = " | ".join([f"{first} < {hints.path_word(path)}", *rest])
    return _first(Step(words, "|", "-", output))


def _beside(path: Path, compression: str, rows: str, extension: str = "") -> str:
    """Return the output of rows that are read from a pipe: what its name says they are."""
    inner = path.name
    if compression != "none" or Path(inner).suffix.lower() == extension.lower():
        inner = inner.removesuffix(Path(inner).suffix)
    known = _known(inner)
    if rows or known is None:
        inner = (inner.removesuffix(known.suffix) if known else inner) + (rows or ".csv")
    return str(path.with_name(default_name(inner, format_of(Path(inner)))))


def _known(name: str) -> FileFormat | None:
    with suppress(Exception):
        return format_of(Path(name))
    return None


def _is_tar(path: Path, content: Content) -> bool:
    return content.extension == ".tar" or path.name.lower().endswith(_TARS)


def _unpacked(path: Path, command: list[str]) -> Way:
    """A directory for what an archive holds."""
    target = path.with_name(path.name.split(".")[0] or "unpacked")
    while os.path.lexists(target):
        target = target.with_name(f"{target.name}-unpacked")
    words, into = " ".join([*command, hints.path_word(path)]), hints.path_word(target)
    if command[0] == "tar":
        words = f"mkdir {into} && {words} -C {into}"
    elif command[0] == "7z":
        words = f"{words} -o{into}"
    else:
        words = f"{words} {into}"
    return _first(Step(words, "&&", str(target)))


def _other(path: Path, extension: str) -> Way:
    if extension == ".zip":
        return _unpacked(path, [_PYTHON, "-m", "zipfile", "-e"])
    if extension == ".7z":
        return _unpacked(path, ["7z", "x"])
    if extension in _SHEETS:
        return _sheet(path, extension)
    if extension in {".sqlite", ".duckdb"}:
        return Way(f"try: {_table(path, extension)}")
    return Way(_WORDS.get(extension, _ELSE))


def _sheet(path: Path, extension: str) -> Way:
    """A spreadsheet: its first sheet. LibreOffice goes by the name, and writes NAME.csv."""
    target, named = path.with_suffix(".csv"), path
    if path.suffix.lower() not in _SHEET_NAMES:
        named = path.with_suffix(extension)
    taken = [each for each in (target, named) if each != path and os.path.lexists(each)]
    if taken:
        return Way("save it as CSV UTF-8 where it was made, and name that file")
    words = (
        f"libreoffice --headless --convert-to {hints.word(_CALC)} --outdir "
        f"{hints.path_word(path.parent)} {hints.path_word(named)}"
    )
    if named != path:
        words = f"mv {hints.path_word(path)} {hints.path_word(named)} && {words}"
    said = "save it as CSV UTF-8 where it was made, or try"
    return _first(Step(words, "&&", str(target), words=said))


def _table(path: Path, extension: str) -> str:
    """A database: the command that is for it."""
    kind = "sqlite" if extension == ".sqlite" else "duckdb"
    address, name = hints.word(f"{kind}:///{path}"), hints.word(_first_table(path) or "tweets")
    return f"tweetscore table {address} --table {name} --into scored"


def _first_table(path: Path) -> str:
    """Return the name of a SQLite database's first table; empty where it cannot be read."""
    with suppress(sqlite3.Error, OSError):
        url = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(url, uri=True)) as database:
            row = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchone()
            return str(row[0]) if row else ""
    return ""
