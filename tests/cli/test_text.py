import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from scorer.cli.terminal import shortened
from scorer.cli.text import _as_json, _as_table, _as_tsv
from tests.cli.test_progress import on_a_terminal

Invoke = Callable[..., Result]


def table(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return list(csv.reader(io.StringIO(result.stdout), delimiter="\t"))


def test_each_text_has_a_line(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """Arguments come back in order with their labels, as data on stdout."""
    texts = ["I love this song", "  ", 'a\ttab and "quotes"', "😀"]
    result = invoke("text", *texts, "--model", tiny_bert_bundle, "--device", "builtin")
    header, *rows = table(result)
    assert header == ["label", "score", "text"]
    assert [row[2] for row in rows] == texts
    assert rows[1][:2] == ["", ""]
    assert all(row[0] in ("negative", "neutral", "positive") for row in (rows[0], rows[2], rows[3]))
    assert result.stderr == ""


def test_labels_are_named_as_asked(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """--label-names renames the label, --scores all adds a column per class."""
    names = ("--label-names", "Negativo,Neutro,Positivo", "--scores", "all")
    choice = ("--model", tiny_bert_bundle, "--device", "builtin")
    header, row = table(invoke("text", "hi", *names, *choice))
    assert header == [
        "label", "score", "score_negative", "score_neutral", "score_positive", "text",
    ]  # fmt: skip
    assert row[0] in ("Negativo", "Neutro", "Positivo")
    assert row[1] == max(row[2:5], key=float)


def test_too_few_names_are_refused(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """Two names for three labels are a usage error."""
    result = invoke("text", "hi", "--label-names", "a,b", "--model", tiny_bert_bundle)
    assert result.exit_code == 2
    assert "2 label names for 3 labels" in result.stderr


def test_bytes_that_are_no_text_are_refused(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """An argument that is not UTF-8 is a usage error that names it."""
    result = invoke("text", "fine", "\udcff", "--model", tiny_bert_bundle)
    assert result.exit_code == 2
    assert "text 2 is not valid UTF-8" in result.stderr


def test_each_line_of_standard_input_is_a_text(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """Ends of lines are no part of it; a blank line keeps its place, and has no label."""
    lines = "I love this song\r\n\n\tso bad\nlast 😀".encode()
    choice = ("--model", tiny_bert_bundle, "--device", "builtin")
    result = invoke("text", "-", *choice, stdin=b"\xef\xbb\xbf" + lines)
    _, *rows = table(result)
    assert [row[2] for row in rows] == ["I love this song", "", "\tso bad", "last 😀"]
    assert rows[1][:2] == ["", ""]
    typed = invoke("text", "I love this song", "", "\tso bad", "last 😀", *choice)
    assert typed.stdout == result.stdout


def test_files_are_read_in_windows(
    invoke: Invoke, tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One header, and the lines of all files in order, however few bytes are read at once."""
    monkeypatch.setattr("scorer.cli.typed_texts._BLOCK", 7)
    monkeypatch.setattr("scorer.cli.typed_texts._LONGEST", 99)
    (one := tmp_path / "one.txt").write_text("fine\nhow lovely is that\n\n")
    (two := tmp_path / "two.txt").write_text("bad\nno end")
    (tmp_path / "none.txt").touch()
    files = ("--file", one, "--file", tmp_path / "none.txt", "--file", two)
    result = invoke("text", *files, "--model", tiny_bert_bundle, "--device", "builtin")
    _, *rows = table(result)
    assert [row[2] for row in rows] == ["fine", "how lovely is that", "", "bad", "no end"]


def test_json_is_an_object_per_text(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """With all columns; a blank text has null."""
    words = ("--json", "--scores", "all", "--model", tiny_bert_bundle, "--device", "builtin")
    result = invoke("text", "fine", "", *words)
    first, blank = map(json.loads, result.stdout.splitlines())
    assert list(first) == [
        "text", "label", "score", "score_negative", "score_neutral", "score_positive",
    ]  # fmt: skip
    assert first["score"] == max(list(first.values())[3:])
    assert blank == {**dict.fromkeys(first), "text": ""}


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((), 2, "there are no texts; give them as arguments, - for the lines of standard input, "),
        (("-", "fine"), 2, "there is more than one kind of input; give texts, or - alone, "),
        (("fine", "--file", "a.txt"), 2, "there is more than one kind of input; "),
        (("--file", "gone.txt"), 66, "gone.txt does not exist; check the name"),
        (("--file", "."), 66, ". is a directory; name a file"),
        (("-",), 65, "standard input, line 3: bytes that are not UTF-8; "),
    ],
)
def test_a_wrong_call_is_one_line(
    invoke: Invoke, tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], code: int, line: str,
) -> None:  # fmt: skip
    """It says what is wrong and what to do."""
    monkeypatch.chdir(tmp_path)
    choice = ("--model", tiny_bert_bundle, "--device", "builtin")
    result = invoke("text", *words, *choice, stdin=b"one\n\n\xff\n")
    assert result.exit_code == code
    (said,) = result.stderr.splitlines()
    assert said.startswith(f"tweetscore: {line}")


def test_a_line_without_an_end_is_refused(
    invoke: Invoke, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A binary file or a dump of another kind is not read into memory as one text."""
    monkeypatch.setattr("scorer.cli.typed_texts._LONGEST", 5)
    monkeypatch.setattr("scorer.cli.typed_texts._BLOCK", 4)
    result = invoke("text", "-", "--model", tiny_bert_bundle, stdin=b"a\nlonger\n")
    assert result.exit_code == 65
    assert "standard input, line 2: it has no end within 5 bytes" in result.stderr


def test_the_name_of_a_file_is_scored_with_a_warning(
    invoke: Invoke, tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words are texts, as they were typed; what was probably meant can be pasted."""
    monkeypatch.chdir(tmp_path)
    Path("a b.txt").write_text("fine\n")
    long = "so " * 3000
    choice = ("--model", tiny_bert_bundle, "--device", "builtin")
    result = invoke("text", "a b.txt", long, *choice)
    assert [row[2] for row in table(result)[1:]] == ["a b.txt", long]
    assert result.stderr == (
        "tweetscore: warning: a b.txt is scored as a text; for the lines of the file: "
        "tweetscore text --file 'a b.txt'\n"
    )


def test_a_file_of_rows_is_scored_by_line_with_a_warning(
    invoke: Invoke, tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header and ids are no texts, and their scores look like any others."""
    monkeypatch.chdir(tmp_path)
    Path("a b.csv").write_text("id,text\n1,fine\n")
    choice = ("--model", tiny_bert_bundle, "--device", "builtin")
    by_line = invoke("text", "--file", "a b.csv", *choice)
    assert len(table(by_line)) == 3
    assert by_line.stderr == (
        "tweetscore: warning: each line of a b.csv is scored as a text, the header and other "
        "columns too; for its rows: tweetscore run 'a b.csv'\n"
    )
    typed = invoke("text", "a b.csv", *choice)
    assert typed.stderr == (
        "tweetscore: warning: a b.csv is scored as a text; for its rows: tweetscore run 'a b.csv'\n"
    )


def test_a_terminal_gets_a_table(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In columns, a text on one line; the header stands out, unless NO_COLOR is set."""
    texts = ("I love this song", "two\nlines", "long " * 60, "")
    shown = on_a_terminal(programs, "text", *texts)
    head, *rows = [line.rstrip("\r") for line in shown.rstrip().split("\n")]
    assert head == "\x1b[1mlabel     score   text\x1b[0m"
    assert rows[0].startswith("positive  0.9")
    assert rows[0].endswith("  I love this song")
    assert rows[1].endswith("  two lines")
    assert len(rows[2]) == 100
    assert rows[2].endswith("…")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_a_terminal(programs, "text", "fine")


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("fine", 4, "fine"),
        ("a\u00f1os", 3, "a\u00f1…"),
        ("\U0001f600\U0001f600", 4, "\U0001f600\U0001f600"),
        ("\U0001f600\U0001f600\U0001f600", 5, "\U0001f600\U0001f600…"),
        ("\u65e5\u672c\u8a9e", 4, "\u65e5…"),
        ("", 4, ""),
        ("", -3, ""),
        ("fine", -3, "…"),
    ],
)
def test_wide_letters_take_two_columns(text: str, room: int, shown: str) -> None:
    """Of emoji only half as many fit; more would go on in the next line of the terminal."""
    assert shortened(text, room) == shown


def test_lists_and_values_have_their_shapes() -> None:
    """Several labels are joined in columns, and a list in JSON; a regression has no label."""
    frame = pl.DataFrame(
        {"text": ["fine", ""], "label": ["a", None], "labels": [["a", "b"], None]},
        schema_overrides={"labels": pl.List(pl.String)},
    )
    assert _as_tsv(frame, True, ()) == 'label\tlabels\ttext\na\ta|b\tfine\n\t\t""\n'
    assert json.loads(_as_json(frame, True, ()).splitlines()[0])["labels"] == ["a", "b"]
    values = pl.DataFrame({"text": ["fine"], "score": [3.25]})
    assert _as_table(values, False, ("value",)) == "3.2500  fine\n"
