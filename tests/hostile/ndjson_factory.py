"""NDJSON files of every kind, damage to them, and what must become of the result.

What is expected is computed without the code under test, by `tests.formats.ndjson_reference`.
"""

import json
import random
from dataclasses import dataclass

from tests.formats.files_helpers import label_of
from tests.formats.ndjson_reference import Lost, Row, split
from tests.hostile.csv_factory import (
    CAP,
    LABELS,
    SCORES,
    Expected,
    compressed,
    decompressed,
    mutated,
)

BOM = b"\xef\xbb\xbf"
TAKEN = {"label", "score"}
PIECES = (
    *(b"{", b"}", b"{}", b"[", b"]", b'"', b"\\", b"\\ud83d", b"\\u0061", b",", b":", b" ", b"\t"),
    *(b'"text":', b'"text":null,', b'"label":1,', b'"l\\u0061bel":1,', b'"text"', b"NaN", b"-Inf"),
    *(b"null", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xed\xa0\x80", b"[" * 210, b"1e999", b"01"),
)


@dataclass(frozen=True)
class Kind:
    """How objects become a file."""

    name: str
    extension: str = ".ndjson"
    bom: bytes = b""
    ending: str = "\n"
    escaped: bool = False  # other scripts by their numbers, as Python's writer does by default
    spaced: bool = False

    def content(self) -> bytes:
        """Return a file before compression that has a bit of everything."""
        texts = [
            "plain",
            'a "b", c',
            None,
            "",
            "last",
            "ok",
            "two\r\nlines",
            "caf\xe9",
            "\U0001f642",
        ]
        lines = []
        for number in range(26):
            row = {"id": 2**70 + number, "user": {"text": "x", "n": [number / 7, {}]}}
            if number % 10:
                row["text"] = texts[number % 9]
            spacing = (", ", ": ") if self.spaced else (",", ":")
            line = json.dumps(row, ensure_ascii=self.escaped, separators=spacing)
            lines.append(f" {line[:-1]} }} " if self.spaced and number % 3 else line)
        return self.bom + (self.ending.join(lines) + self.ending).encode()


KINDS = (
    Kind("plain"),
    Kind("jsonl", extension=".jsonl"),
    Kind("crlf", ending="\r\n"),
    Kind("bom", bom=BOM),
    Kind("escaped", escaped=True),
    Kind("spaced", spaced=True),
    Kind("gzip", extension=".ndjson.gz"),
    Kind("zstd", extension=".jsonl.zst", ending="\r\n"),
)


def mutant(kind: Kind, rng: random.Random) -> bytes:
    """Return a file damaged before or, where there is any, after compression."""
    content = kind.content()
    if kind.extension.endswith((".gz", ".zst")) and rng.random() < 0.5:
        return mutated(compressed(content, kind.extension), rng)
    return compressed(mutated(content, rng, PIECES), kind.extension)


def expected(content: bytes, kind: Kind) -> Expected | None:
    """Return what must become of a file, or None where it must be refused."""
    plain = decompressed(content, kind.extension)
    if plain is None or plain.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    bom = BOM if plain.startswith(BOM) else b""
    plain = plain.removeprefix(bom)
    keys = _keys(plain)
    if keys and ("text" not in keys or TAKEN & keys):
        return None
    found = split(plain, "text", TAKEN, CAP)
    rows = [each for each in found if isinstance(each, Row)]
    rejects = [(each.line, each.kind, each.raw) for each in found if isinstance(each, Lost)]
    output = b"".join(row.before + _members(row) + row.after for row in rows)
    return Expected([row.text for row in rows], rejects, bom + output)


def _keys(plain: bytes) -> set[str]:
    """Return the keys of all objects; the files here are short."""
    keys: set[str] = set()
    for line in plain.split(b"\n"):
        for each in split(line, "\0", set(), CAP):
            if isinstance(each, Row):
                keys |= set(json.loads(each.before + each.after, parse_int=len, parse_float=len))
    return keys


def _members(row: Row) -> bytes:
    number = label_of(row.text)
    label, score = (f'"{LABELS[number]}"', SCORES[number]) if number >= 0 else ("null", "null")
    return f'{"" if row.bare else ","}"label":{label},"score":{score}'.encode()
