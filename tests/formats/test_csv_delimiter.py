"""What separates cells: what the call says, else what the header shows, else the extension."""

from pathlib import Path
from typing import Any

import pytest

from scorer.errors import DataError, UsageError
from scorer.formats.open import open_source
from scorer.formats.text.dialects import delimiter_of
from scorer.options import CsvOptions, InputSpec


def found(path: Path, content: str, text_column: str = "text") -> dict[str, str]:
    path.write_text(content, "utf-8")
    delimiter: dict[str, str] = open_source(path, InputSpec(text_column)).found["delimiter"]
    return delimiter


@pytest.mark.parametrize(
    ("typed", "character"),
    [
        ("tab", "\t"), ("\\t", "\t"), ("TAB", "\t"), ("\t", "\t"), ("semicolon", ";"), (";", ";"),
        ("comma", ","), ("pipe", "|"), ("space", " "), ("^", "^"), ("\\x01", "\x01"),
        ("\\u001F", "\x1f"),
    ],
)  # fmt: skip
def test_a_delimiter_is_a_character_a_name_or_an_escape(typed: str, character: str) -> None:
    """As people type it in a shell."""
    assert delimiter_of(typed) == character


@pytest.mark.parametrize("typed", ["", "ab", '"', "\\n", "\\x0a", "é", "\\x80", "1", "."])
def test_what_cannot_separate_cells_is_refused(typed: str) -> None:
    """A quote, a line end, what scores are written with; the remedy names what there is."""
    with pytest.raises(UsageError, match="comma, semicolon, tab, pipe, space"):
        delimiter_of(typed)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("extension", ["csv", "tsv"])
def test_the_header_shows_the_delimiter(tmp_path: Path, delimiter: str, extension: str) -> None:
    """The one of four under which it has the text column; that of the extension goes unsaid."""
    header = delimiter.join(['"id"', '"text"', "lang"])
    usual = {"csv": ",", "tsv": "\t"}[extension]
    assert found(tmp_path / f"in.{extension}", f"{header}\n") == {
        "character": delimiter,
        "from": "extension" if delimiter == usual else "header",
    }


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("text", ","),  # under each of them
        ("text;a,text", ","),  # under two: nothing is guessed
        ('"a;text;b",text', ","),
        ("a,b;text", ";"),
        ("id|\ufefftext", "|"),
    ],
)
def test_only_one_delimiter_is_a_choice(tmp_path: Path, header: str, delimiter: str) -> None:
    """Where several have the column, or none, the extension's holds."""
    assert found(tmp_path / "in.csv", f"{header}\n")["character"] == delimiter


ERRORS = [
    (
        "fecha;texto;categoría\n1;a;b\n",
        {},
        (
            "IN has no column 'text', only: fecha;texto;categoría; with --delimiter ';' it has: "
            "fecha, texto, categoría; did you mean --delimiter ';' --text-column texto?"
        ),
    ),
    (
        "a\tb\tc\n1\t2\t3\n",
        {},
        (
            "IN has no column 'text', only: a\\tb\\tc; with --delimiter tab it has: a, b, c; "
            "give --delimiter tab, and name one with --text-column"
        ),
    ),
    (
        "id|text\n1|hello\n",
        {"delimiter": ";"},
        (
            "IN has no column 'text', only: id|text; with --delimiter '|' it has: id, text; "
            "did you mean --delimiter '|'?"
        ),
    ),
    (  # more cells in the header, but not in the rows
        "id,body;mind;soul;all\n1,a\n",
        {},
        "IN has no column 'text', only: id, body;mind;soul;all; name one with --text-column",
    ),
    (
        "id,tweet (a;b;c)\n1,a\n",
        {},
        "IN has no column 'text', only: id, tweet (a;b;c); name one with --text-column",
    ),
]


@pytest.mark.parametrize(("content", "options", "line"), ERRORS)
def test_a_missing_column_leads_to_the_delimiter(
    tmp_path: Path, content: str, options: dict[str, Any], line: str
) -> None:
    """The delimiter that splits header and first record alike, and the likely column."""
    (path := tmp_path / "in.csv").write_text(content, "utf-8")
    with pytest.raises(DataError) as caught:
        open_source(path, InputSpec(csv=CsvOptions(**options)))
    assert str(caught.value).replace(str(path), "IN") == line


@pytest.mark.parametrize("name", ["sep=5", "sep=.", 'sep="'])
def test_a_sep_line_of_what_cannot_separate_cells_is_a_header(tmp_path: Path, name: str) -> None:
    """Scores are written with digits and points."""
    assert found(tmp_path / "in.csv", f"{name}\nhello\n", name) == {
        "character": ",",
        "from": "extension",
    }


def test_a_whole_header_is_no_name_of_a_column(tmp_path: Path) -> None:
    """What an unsplit header gives is garbage; who means it says so with --delimiter."""
    path = tmp_path / "in.csv"
    with pytest.raises(DataError, match=r"has one column 'id\|text'; with --delimiter '\|' it has"):
        found(path, "id|text\n1|hello\n", "id|text")
    source = open_source(path, InputSpec("id|text", csv=CsvOptions(delimiter=",")))
    assert [text for window in source.windows(9) for text in window.texts] == ["1|hello"]
