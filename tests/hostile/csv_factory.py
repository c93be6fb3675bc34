"""CSV files of every kind, damage to them, and what must become of the result.

What is expected is computed without the code under test: Python's decompressors and decoders, and
the byte-by-byte reader of `tests.formats.csv_reference`.
"""

import gzip
import io
import random
import signal
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from scorer.formats.base import Source
from tests.formats.csv_reference import Lost, Row, is_utf8, parse, split, value
from tests.formats.files_helpers import SCHEMA, answers, label_of

CAP = 1 << 20
LABELS = ("neg", "neutral", "po,s")
SCORES = ("0.5", "0.00000012", "0.25")


@dataclass(frozen=True)
class Kind:
    """How a file is made of text."""

    name: str
    codec: str = "utf-8"
    bom: bytes = b""
    extension: str = ".csv"
    named: str | None = None  # --encoding
    ending: str = "\n"

    @property
    def delimiter(self) -> str:
        """Return what the extension says."""
        return "\t" if ".tsv" in self.extension else ","

    def content(self) -> bytes:
        """Return a file before compression that has a bit of everything."""
        cells = ["plain", '"quoted"', '"a ""b"", c"', "", '""', "last", 'a 5" disk', "ok"]
        two_lines = "two\rlines" if self.ending == "\r" else "two\r\nlines"
        cells += [f'"{two_lines}"', "caf\xe9", '"\xfc,\xfc"', "007", "x" * 40]
        lines = [f"id{self.delimiter}text{self.delimiter}more"]
        for number in range(26):
            row = [str(number), cells[number % 13], cells[(number * 5) % 13]]
            lines.append(self.delimiter.join(row))
        return self.bom + (self.ending.join(lines) + self.ending).encode(self.codec)


KINDS = (
    Kind("utf-8"),
    Kind("crlf", ending="\r\n"),
    Kind("cr", ending="\r"),
    Kind("bom", bom=b"\xef\xbb\xbf", ending="\r\n"),
    Kind("utf-16-le", "utf-16-le", b"\xff\xfe"),
    Kind("utf-16-be", "utf-16-be", b"\xfe\xff", ending="\r\n"),
    Kind("latin-1", "latin-1", named="latin-1"),
    Kind("cp1252", "cp1252", named="cp1252", ending="\r\n"),
    Kind("tsv", extension=".tsv"),
    Kind("gzip", extension=".csv.gz"),
    Kind("zstd", extension=".csv.zst", ending="\r\n"),
)

FRAGMENTS = (
    b'"',
    b'""',
    b",",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
)


def mutated(content: bytes, rng: random.Random, fragments: Sequence[bytes] = FRAGMENTS) -> bytes:
    """Return the content with one to four injuries, among them fragments of CSV syntax."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        other = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 3, 7, 30, 200))
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 4))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[other : other + length]
            case 4 if at > len(data) // 4:
                del data[at:]
            case 5:
                data[at:at] = rng.choice(fragments) * rng.choice((1, 1, 2, 3, 50))
            case _:
                data[at : at + length] = data[other : other + length]
    return bytes(data)


def compressed(content: bytes, extension: str) -> bytes:
    """Return the content as a file with that extension holds it."""
    if extension.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    if extension.endswith(".zst"):
        return bytes(pa.compress(content, "zstd", asbytes=True))
    return content


def decompressed(content: bytes, extension: str) -> bytes | None:
    """Return what a file holds, or None where it is damaged."""
    try:
        if extension.endswith(".gz"):
            return gzip.decompress(content)
        if extension.endswith(".zst"):
            return bytes(pa.CompressedInputStream(io.BytesIO(content), "zstd").read())
    except (OSError, EOFError, zlib.error):
        return None
    return content


def mutant(kind: Kind, rng: random.Random) -> bytes:
    """Return a file damaged before or, where there is any, after compression."""
    content = kind.content()
    packed = kind.extension.endswith((".gz", ".zst"))
    if packed and rng.random() < 0.5:
        return mutated(compressed(content, kind.extension), rng)
    return compressed(mutated(content, rng), kind.extension)


@dataclass(frozen=True)
class Expected:
    """What becomes of a file that can be read at all."""

    texts: list[str | None]
    rejects: list[tuple[int, str, bytes]]  # line, kind, raw
    output: bytes  # before compression


def expected(content: bytes, kind: Kind) -> Expected | None:
    """Return what must become of a file, or None where it must be refused."""
    plain = decompressed(content, kind.extension)
    if plain is None or (kind.named and not plain.isascii() and is_utf8(plain)):
        return None
    codec, bom = _codec(plain, kind)
    errors = "surrogatepass" if codec.startswith("utf-16") else "surrogateescape"
    if codec == "utf-8":
        return _expected(plain.removeprefix(bom), bom, kind.delimiter, bytes)
    try:
        text = plain.removeprefix(bom).decode(codec, errors)
    except UnicodeDecodeError:
        return None

    def own(raw: bytes) -> bytes:
        return raw.decode("utf-8", "surrogatepass").encode(codec, errors)

    return _expected(text.encode("utf-8", "surrogatepass"), bom, kind.delimiter, own)


def _expected(
    data: bytes, bom: bytes, delimiter: str, own: Callable[[bytes], bytes]
) -> Expected | None:
    ending = 13 if b"\r" in data and b"\n" not in data else 10
    delimiter = shown_delimiter(data, ending) or delimiter
    header = parse(data, 0, min(len(data), CAP + 1), ord(delimiter), ending)
    if not data or header.kind != "row" or not is_utf8(data[: header.end]):
        return None
    names = [value(data[a:b]) or b"" for a, b in header.cells]
    if names.count(b"text") != 1 or {b"label", b"score"} & set(names):
        return None
    rest, lines = data[header.stop :], data[: header.stop].count(ending)
    end = blank_end(rest, ending) if len(names) > 1 else b""
    rest = rest[: len(rest) - len(end)]
    found = split(rest, len(names), names.index(b"text"), ord(delimiter), ending, CAP)
    added = f"{delimiter}label{delimiter}score".encode()
    output = [data[: header.end], added, data[header.end : header.stop]]
    rows = [row for row in found if isinstance(row, Row)]
    texts = [None if row.text is None else row.text.decode() for row in rows]
    for row, text in zip(rows, texts, strict=True):
        output += [row.raw, _cells(text, delimiter), row.ending]
    rejects = [(e.line + lines, e.kind, own(e.raw)) for e in found if isinstance(e, Lost)]
    return Expected(texts, rejects, bom + own(b"".join(output) + end))


def outcome(source: Source, out: Path, extension: str) -> Expected:
    """Return what became of a file."""
    windows = list(source.windows(7))
    source.write_scored(out, SCHEMA, answers(windows))
    written = decompressed(out.read_bytes(), extension)
    assert written is not None
    return Expected(
        [text for window in windows for text in window.texts],
        [(r.line, r.kind, r.raw) for window in windows for r in window.rejects],
        written,
    )


def _codec(plain: bytes, kind: Kind) -> tuple[str, bytes]:
    if kind.named:
        return kind.named, b""
    for codec, bom in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        if plain.startswith(bom):
            return codec, bom
    return "utf-8", b"\xef\xbb\xbf" if plain.startswith(b"\xef\xbb\xbf") else b""


def shown_delimiter(data: bytes, ending: int) -> str | None:
    """Return the one delimiter with which the header has the text column, if there is one."""
    holding = []
    for delimiter in ",;\t|":
        header = parse(data, 0, min(len(data), CAP + 1), ord(delimiter), ending)
        if b"text" in [value(data[a:b]) for a, b in header.cells] and header.kind == "row":
            holding.append(delimiter)
    return holding[0] if len(holding) == 1 else None


def blank_end(rest: bytes, ending: int) -> bytes:
    """Return the blank lines that a file ends with: they are no records."""
    ends = {b"\n", b"\r\n"} if ending == 10 else {b"\r"}
    sign = bytes([ending])
    lines = [line + sign for line in rest.split(sign)[:-1]]
    if not rest.endswith(sign):
        return b""
    found = 0
    while lines and lines[-1] in ends:
        found += len(lines.pop())
    return rest[len(rest) - found :]


def _cells(text: str | None, delimiter: str) -> bytes:
    number = label_of(text)
    if number < 0:
        return (delimiter * 2).encode()
    label = f'"{LABELS[number]}"' if delimiter in LABELS[number] else LABELS[number]
    return f"{delimiter}{label}{delimiter}{SCORES[number]}".encode()


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """End what takes so much processor time: a hang, however busy the box."""

    def bark(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} seconds of processor time")

    previous = signal.signal(signal.SIGPROF, bark)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def bomb(path: Path, head: bytes, unit: bytes, size: int, tail: bytes = b"") -> Path:
    """Write a file that unpacks to `head`, `size` bytes of a repeated unit, and `tail`."""
    block = unit * ((1 << 20) // len(unit))
    with path.open("wb") as raw:
        codec = {".gz": "gzip", ".zst": "zstd"}[path.suffix]
        with pa.CompressedOutputStream(raw, codec) as sink:
            sink.write(head)
            for _ in range(size // len(block)):
                sink.write(block)
            sink.write(tail)
    return path
