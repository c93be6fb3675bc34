"""What a reject and a refusal say, word for word: the reader has nothing else to go by."""

from pathlib import Path
from typing import Any

import pytest

from scorer.errors import DataError, UsageError
from scorer.formats.base import RECORD_CAP
from scorer.formats.csv.splitter import RecordSplitter
from scorer.formats.open import open_source
from scorer.formats.text.dialects import Dialect
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, slices

CAP = 8
REASONS = [
    (b'1,"x"y\n', "text-after-quote", "text follows a closing quote"),
    (b'1,"x"\ry\n', "text-after-quote", "text follows a closing quote"),
    (b'1,"xy\n', "open-quote", "a quoted cell is not closed"),
    (b"1\n", "field-count", "1 cell where 2 are expected"),
    (b"1,2,3\n", "field-count", "3 cells where 2 are expected"),
    (b"\n", "field-count", "a blank line"),
    (b"\r\n", "field-count", "a blank line"),
    (b"1,\xff\n", "encoding", "bytes that are not the encoding"),
    (b"1,\x80\n", "encoding", "bytes that are not the encoding"),
    (b"1,\xff,3\n", "encoding", "bytes that are not the encoding"),
    (b"1,3456789\n", "record-too-long", "the line is longer than 8 bytes"),
    (b'"a\n345678', "open-quote", "a quoted cell is not closed"),
    (b'"a\n34567"\n,1\n', "record-too-long", "the record is longer than the cap"),
    (b'"a\n3456"\r\n', "record-too-long", "the record is longer than the cap"),
]


@pytest.mark.parametrize(("content", "kind", "reason"), REASONS)
def test_a_reject_says_why(content: bytes, kind: str, reason: str) -> None:
    """The kind is for programs, the reason for people, and the line is where it begins."""
    splitter = RecordSplitter(Dialect(ord(",")), cells=2, text_cell=1, cap=CAP)
    parts = [*splitter.split(b"0,ok\n", final=False), *splitter.split(content, final=True)]
    (found, *_) = [reject for part in parts for _, reject in part.rejects]
    assert (found.line, found.kind, found.reason) == (2, kind, reason)


HEADERS = [
    (b"", {}, "IN is empty; a CSV file begins with a header line"),
    (b'"text\n', {}, "the header of IN is broken: a quoted cell is not closed; mend line 1"),
    (b"\r\ntext\n", {}, "the header of IN is a blank line; remove what is above the header"),
    (b'"text"x\n', {}, "the header of IN is broken: text follows a closing quote; mend line 1"),
    (
        b"\xff\xfe" + "text\n".encode("utf-16-le") + b"x",
        {},
        "IN ends in the middle of a character; fetch it again",
    ),
    (
        b'"id";"texto"\r\n1;"a, b"\r\n',
        {},
        (
            "the header of IN is broken: text follows a closing quote; "
            "with --delimiter ';' it has: id, texto; "
            "did you mean --delimiter ';' --text-column texto?"
        ),
    ),
    (
        b'"id"\t"text"\n1\ta\n',
        {"delimiter": ","},
        (
            "the header of IN is broken: text follows a closing quote; "
            "with --delimiter tab it has: id, text; did you mean --delimiter tab?"
        ),
    ),
    (
        b"id^Text\n1^a\n",
        {},
        (
            "IN has no column 'text', only: id^Text; with --delimiter '^' it has: id, Text; "
            "did you mean --delimiter '^' --text-column Text?"
        ),
    ),
    (
        b"id\x01text\n1\x01a\n",
        {},
        (
            r"IN has no column 'text', only: id\x01text; with --delimiter $'\001' it has: "
            r"id, text; did you mean --delimiter $'\001'?"
        ),
    ),
    (
        b"id,Text\n1,a,b\n",
        {},
        "IN has no column 'text', only: id, Text; did you mean --text-column Text?",
    ),
    (b"t\xff,text\n", {}, "IN is not utf-8, it looks like cp1252; did you mean --encoding cp1252?"),
    (
        "n,text\n1,\xe9\n".encode(),
        {"encoding": "latin-1"},
        "IN is UTF-8, not iso8859-1; leave --encoding out",
    ),
]


@pytest.mark.parametrize(("content", "options", "words"), HEADERS)
def test_a_refused_file_says_what_to_do(
    tmp_path: Path, content: bytes, options: dict[str, Any], words: str
) -> None:
    """The whole line: the file, what is wrong with it, and the remedy."""
    (path := tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(path, InputSpec(csv=CsvOptions(**options)))
    assert str(caught.value).replace(str(path), "IN") == words


def test_a_header_may_be_as_long_as_any_record(tmp_path: Path) -> None:
    """The cap counts its bytes without the line ending."""
    (path := tmp_path / "in.csv").write_bytes(b"text,".ljust(RECORD_CAP, b"x") + b"\n")
    assert len(open_source(path).columns) == 2
    path.write_bytes(b"text,".ljust(RECORD_CAP + 1, b"x") + b"\n")
    with pytest.raises(DataError, match="the record is longer than the cap; mend line 1"):
        open_source(path)


@pytest.mark.parametrize("delimiter", ["ab", '"', "\n", "\r", "\0", "\xe9", "", ".", "0"])
def test_a_refused_delimiter_says_what_to_give(tmp_path: Path, delimiter: str) -> None:
    """What would be read as something else cannot separate cells."""
    (path := tmp_path / "in.csv").write_bytes(b"n,text\n")
    with pytest.raises(UsageError) as caught:
        open_source(path, InputSpec(csv=CsvOptions(delimiter=delimiter)))
    assert caught.value.problem == f"the delimiter {delimiter!r} is not usable"
    assert caught.value.remedy == (
        "give one ASCII character that is no quote, digit or point, or one of comma, semicolon, "
        "tab, pipe, space, \\t, \\x01"
    )


@pytest.mark.parametrize("changed", [b"text\na\nX\n", b"text\na\nb\nc\n", b"txet\na\nb\n"])
def test_a_changed_input_is_named(tmp_path: Path, changed: bytes) -> None:
    """Whichever step notices, the line has the file."""
    (path := tmp_path / "in.csv").write_bytes(b"text\na\nb\n")
    source = open_source(path)
    parts = slices(source, 10)
    path.write_bytes(changed)
    with pytest.raises(DataError) as caught:
        source.write_scored(tmp_path / "out.csv", SCHEMA, parts)
    assert caught.value.problem == f"{path} changed while it was scored"
