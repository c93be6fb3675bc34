import csv
import io
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

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
