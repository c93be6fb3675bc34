"""More rejects than are allowed: the error begins with what makes rows of them."""

from itertools import chain
from pathlib import Path

import pytest

from scorer.errors import DataError
from scorer.formats.open import open_source
from scorer.options import CsvOptions, Escape, InputSpec
from scorer.store.refusal import too_many_rejects

START = "1 record so far is no row of IN, the first on line"
QUOTED = b'id,text\n1,"what a day\n2,she said "maybe"\n'
ESCAPED = b'id,text,x\n1,"a \\"b\\", c",z\n2,"tail",z\n'


def refused(
    path: Path, content: bytes, *, foreseen: bool = False, escape: Escape = "quote"
) -> DataError:
    """Return the error for a file with all its rejects."""
    path.write_bytes(content)
    source = open_source(path, InputSpec(csv=CsvOptions(escape=escape)))
    rejects = list(chain.from_iterable(window.rejects for window in source.windows(9)))
    output = path.with_name("out")
    return too_many_rejects(source, rejects, len(rejects), output, foreseen=foreseen)


def said(path: Path, error: DataError) -> str:
    return str(error).replace(str(path.parent / ".tweetscore/out"), "OUT").replace(str(path), "IN")


def test_a_record_is_mended_or_allowed(tmp_path: Path) -> None:
    """With the list of what is to be mended; a run that has not been says that one stops there."""
    path, content = tmp_path / "in.csv", b"id,text\n1\n2,ok\n3\n"
    assert said(path, refused(path, content)) == (
        "2 records so far are no row of IN, the first on line 2: 1 cell where 2 are expected; "
        "reading stopped there: mend what OUT.rejects.ndjson lists, "
        "or allow for it with --max-rejects"
    )
    assert said(path, refused(path, content, foreseen=True)) == (
        "2 records are no row of IN, the first on line 2: 1 cell where 2 are expected; "
        "a run stops there, and lists what is to be mended in OUT.rejects.ndjson"
    )


@pytest.mark.parametrize(
    ("content", "hint", "words"),
    [
        (QUOTED, {"--quote": "none"}, "if quotes are data, all records are rows"),
        (ESCAPED, {"--escape": "backslash"}, "if a backslash makes a quote data, all records are"),
        (
            b"text\na, b\n",
            {"--delimiter": "tab"},
            "if , is part of the texts, all records are rows",
        ),
        (
            b"text\na, b\tc\n",
            {"--delimiter": "\\x1f"},
            "if , is part of the texts, all records are",
        ),
    ],
)
def test_quotes_that_mean_something_else_have_an_option(
    tmp_path: Path, content: bytes, hint: dict[str, str], words: str
) -> None:
    """Which has been tried."""
    error = refused(tmp_path / "in.csv", content)
    assert error.options == hint
    assert words in error.problem


@pytest.mark.parametrize(
    ("content", "escape"),
    [
        (b'id,text\n1,"a, b"\n2,"open\n', "quote"),  # as data, it would be a comma that is too many
        (b'"id","text"\n1,"open\n', "quote"),  # as data, there is no such column
        (b'id,text\n1,"open\n', "backslash"),
        (b"id,text\n1\n", "quote"),
        (b"text\na, b\tc\x1fd\n", "quote"),
        (b'text\n"a"x, y\n', "quote"),
    ],
)
def test_no_option_is_named_that_would_lose_other_records(
    tmp_path: Path, content: bytes, escape: Escape
) -> None:
    """Nor beside one that has been given."""
    error = refused(tmp_path / "in.csv", content, escape=escape)
    assert not error.options
    assert "--max-rejects" in error.remedy


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "in.csv",
            "id,text\n1,mañana\n".encode("cp1252"),
            (
                "2: bytes that are not the encoding (it looks like cp1252, not UTF-8); "
                "did you mean --encoding cp1252?"
            ),
        ),
        (
            "in.ndjson",
            b'{"text":"ok"}\n' + '{"text":"mañana"}\n'.encode("cp1252"),
            (
                "2: bytes that are not UTF-8 (it looks like cp1252, not UTF-8); "
                "convert it: iconv -f CP1252 -t UTF-8 IN > "
            ),
        ),
        (
            "in.csv",
            "id,text\n1,今天天气很好\n".encode("gb18030"),
            (
                "2: bytes that are not the encoding (it looks like gb18030, not UTF-8); "
                "convert it: iconv -f GB18030 -t UTF-8 IN > "
            ),
        ),
        (
            "in.csv",
            "id,text\n1,día\n".encode() + b"2,d\xeda\n",
            "3: bytes that are not the encoding, though other lines are UTF-8; mend what OUT.rej",
        ),
        (
            "in.csv",
            b"id,text\n1," + bytes(range(0x80, 0x100)) + b"\n",
            (
                "2: bytes that are not the encoding and no encoding that is known here; "
                "find out how the file is encoded, and give that with --encoding"
            ),
        ),
    ],
)
def test_another_encoding_is_named(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    """Where it makes sense of the bytes, and does not spoil other lines."""
    path = tmp_path / name
    assert said(path, refused(path, content)).startswith(f"{START} {line}")


def test_a_file_whose_encoding_was_given_has_no_other_named(tmp_path: Path) -> None:
    """What the code page lacks is damage."""
    (path := tmp_path / "in.csv").write_bytes(b"id,text\n1,\x81\n")
    source = open_source(path, InputSpec(csv=CsvOptions(encoding="cp1252")))
    rejects = [reject for window in source.windows(9) for reject in window.rejects]
    error = too_many_rejects(source, rejects, 1, tmp_path / "out")
    assert error.problem == (
        f"1 record so far is no row of {path}, the first on line 2: bytes that are not the encoding"
    )
    assert not error.options
