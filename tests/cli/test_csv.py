"""CSV dialects from the command line: messages, and the commands that they suggest."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.cli.test_again import pasted


def test_what_was_chosen_is_printed_and_recorded(invoke: Invoke, tmp_path: Path) -> None:
    """In the line, in the report, and verify reads the output in the same way."""
    (path := tmp_path / "in.csv").write_text('id;text\n1;"a, b"\n', "utf-8")
    result = invoke("run", path, "--device", "builtin")
    assert result.exit_code == 0
    assert "; delimiter ; by the file's header" in result.stderr
    out = tmp_path / "in.scored.csv"
    assert out.read_text("utf-8").startswith('id;text;label;score\n1;"a, b";')
    report = json.loads((tmp_path / ".tweetscore/in.scored.csv.run.json").read_text())
    assert report["input"]["delimiter"] == {"character": ";", "from": "header"}
    assert report["options"]["delimiter"] is None
    assert invoke("verify", out).exit_code == 0
    assert "up to date" in invoke("run", path, "--device", "builtin").stderr


def test_the_hint_scores_a_spanish_file(invoke: Invoke, tmp_path: Path) -> None:
    """Pasted, the command does what was meant."""
    (path := tmp_path / "opiniones.csv").write_text("fecha;texto\n1;hola, qué tal\n", "utf-8")
    first = invoke("run", path, "--device", "builtin")
    assert first.exit_code == 65
    assert invoke(*pasted(first.stderr)).exit_code == 0
    scored = (tmp_path / "opiniones.scored.csv").read_text("utf-8")
    assert scored.startswith("fecha;texto;label;score\n1;hola, qué tal;")


def test_a_delimiter_by_its_name_is_the_same_option(invoke: Invoke, tmp_path: Path) -> None:
    """Another spelling is no other output; a wrong one is a usage error that lists them."""
    (path := tmp_path / "in.csv").write_text("id\ttext\n1\tfine\n", "utf-8")
    assert invoke("run", path, "--device", "builtin", "--delimiter", "tab").exit_code == 0
    again = invoke("run", path, "--device", "builtin", "--delimiter", "\\t")
    assert "up to date" in again.stderr
    wrong = invoke("run", path, "--delimiter", "tabs")
    assert wrong.exit_code == 2
    assert "'tabs' is no delimiter" in wrong.stderr


def test_a_code_page_deep_in_a_file_is_named(invoke: Invoke, tmp_path: Path) -> None:
    """Whichever record shows it; the command that is pasted loses no row."""
    lines = [b"id,text", *(b"%d,fine" % n for n in range(20_000)), "x,mañana".encode("cp1252")]
    (path := tmp_path / "in.csv").write_bytes(b"\n".join(lines))
    for dry in (["--dry-run"], []):
        first = invoke("run", path, "--device", "builtin", "-q", *dry)
        assert first.exit_code == 65
        assert (
            "on line 20002: bytes that are not the encoding (it looks like cp1252, not UTF-8)"
            in (first.stderr)
        )
    assert pasted(first.stderr)[-2:] == ["--encoding", "cp1252"]
    assert "--max-rejects" not in first.stderr
    assert invoke(*pasted(first.stderr)).exit_code == 0
    scored = (tmp_path / "in.scored.csv").read_bytes().decode("cp1252").splitlines()
    assert len(scored) == 20_002
    assert scored[-1].startswith("x,mañana,")


def test_a_damaged_line_of_utf8_is_mended_or_allowed(invoke: Invoke, tmp_path: Path) -> None:
    """No code page is named where other lines are UTF-8."""
    (path := tmp_path / "in.csv").write_bytes("id,text\n1,día\n".encode() + b"2,d\xeda\n")
    result = invoke("run", path, "--device", "builtin")
    assert result.exit_code == 65
    assert (
        "the first on line 3: bytes that are not the encoding, though other lines are UTF-8; "
        in (result.stderr)
    )
    assert "--encoding" not in result.stderr


def test_a_stream_has_its_encoding_named(invoke: Invoke) -> None:
    """There is an option to add, as the command before the pipe is not known."""
    result = invoke("run", "-", "--device", "builtin", stdin="id,text\n1,día\n".encode("cp1252"))
    assert result.exit_code == 65
    assert result.stderr.rstrip().endswith("did you mean --encoding cp1252?")


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b'id,text\n1,"what a day\n2,she said "maybe"\n', ["--quote", "none"]),
        (b'text\nwell, what a day\n"so, so"\n', ["--delimiter", "tab"]),
        (b"text\na,\tb\nhi\n", ["--delimiter", "\\x1f"]),
        (b'id,text,x\n1,"a \\"b\\", c",z\n2,"tail, \\\\",z\n', ["--escape", "backslash"]),
    ],
)
def test_signs_that_mean_something_else_lead_to_the_dialect(
    invoke: Invoke, tmp_path: Path, content: bytes, hint: list[str]
) -> None:
    """Where it makes rows of all records, which is tried before it is said."""
    (path := tmp_path / "in.csv").write_bytes(content)
    first = invoke("run", path, "--device", "builtin", "-q")
    assert first.exit_code == 65
    assert pasted(first.stderr)[-2:] == hint
    assert invoke(*pasted(first.stderr)).exit_code == 0
    assert (tmp_path / "in.scored.csv").read_bytes().count(b"\n") == 3
    assert invoke("verify", tmp_path / "in.scored.csv").exit_code == 0


def test_a_quote_that_is_broken_in_each_dialect_is_mended(invoke: Invoke, tmp_path: Path) -> None:
    """No dialect is named that would lose other records."""
    (path := tmp_path / "in.csv").write_bytes(b'id,text\n1,"a, b"\n2,"open\n')
    result = invoke("run", path, "--device", "builtin", "-q")
    assert result.exit_code == 65
    assert "reading stopped there: mend what" in result.stderr
    assert "--quote" not in result.stderr


def test_a_file_without_a_header_goes_from_file_to_verify(invoke: Invoke, tmp_path: Path) -> None:
    """With an id column, again, and in a dry run; the options are in the report."""
    (path := tmp_path / "in.csv").write_bytes(b"1,I love it\n2,I hate it\n\n")
    options = ("--no-header", "--columns", "id,text", "--id-column", "id", "--device", "builtin")
    assert "2 rows of id, text" in invoke("run", path, *options, "--dry-run").stdout
    assert invoke("run", path, *options).exit_code == 0
    out = tmp_path / "in.scored.csv"
    lines = out.read_text().split("\n")
    assert [line.split(",")[:3] for line in lines] == [
        ["1", "I love it", "positive"], ["2", "I hate it", "negative"], [""], [""],
    ]  # fmt: skip
    assert invoke("verify", out, "--rescore", "2").exit_code == 0
    report = json.loads((tmp_path / ".tweetscore/in.scored.csv.run.json").read_text())
    assert report["options"]["columns"] == ["id", "text"]
    assert "is up to date" in invoke("run", path, *options).stderr
    path.write_bytes(b"0,new\n1,I love it\n2,I hate it\n")
    assert "2 taken over" in invoke("run", path, *options).stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "a,b"], "--columns is for files without a header"),
        (["--no-header"], "--no-header leaves the columns without names"),
        (["--quote", "none", "--escape", "backslash"], "--quote none says that no cell is in"),
        (["--no-header", "--columns", "a,a,text"], "--columns names 'a' twice"),
    ],
)
def test_options_that_contradict_each_other_are_usage_errors(
    invoke: Invoke, tmp_path: Path, options: list[str], words: str
) -> None:
    """Before anything is read."""
    (path := tmp_path / "in.csv").write_bytes(b"a,a,text\n1,2,3\n")
    result = invoke("run", path, *options)
    assert (result.exit_code, words in result.stderr) == (2, True)


def test_another_dialect_is_another_output(invoke: Invoke, tmp_path: Path) -> None:
    """And the default one has the key that it always had."""
    (path := tmp_path / "in.tsv").write_bytes(b'id\ttext\n1\t"I love it"\n')
    assert invoke("run", path, "--device", "builtin").exit_code == 0
    assert "1 row" in invoke("run", path, "--device", "builtin", "--quote", "none").stderr
    assert "up to date" in invoke("run", path, "--device", "builtin", "--quote", "none").stderr


def test_dialects_are_settings_too(invoke: Invoke, tmp_path: Path) -> None:
    """In a configuration file and in the environment."""
    (path := tmp_path / "in.csv").write_bytes(b'1;"I love it\n')
    (config := tmp_path / "t.toml").write_text(
        'quote = "none"\nno-header = true\ncolumns = ["id", "text"]\ndelimiter = "semicolon"\n'
    )
    assert invoke("run", path, "--config", config, "--device", "builtin", "-q").exit_code == 0
    assert (tmp_path / "in.scored.csv").read_text().startswith('1;"I love it;positive;')
    named = {"NO_HEADER": "1", "COLUMNS": "id,text", "QUOTE": "none", "DELIMITER": ";"}
    env = {f"TWEETSCORE_{name}": value for name, value in named.items()}
    again = invoke("run", path, "--device", "builtin", env=env)
    assert "up to date" in again.stderr


def test_rows_that_quotes_may_have_merged_are_counted(invoke: Invoke, tmp_path: Path) -> None:
    """A warning, since the file may also be meant so; with quotes as data it has none."""
    content = b'id\tlabel0\ttext\n1\tpos\t"what a day\n2\tneg\tI hate\n3\tneu\tshe said maybe"\n'
    (path := tmp_path / "in.tsv").write_bytes(content)
    first = invoke("run", path, "--device", "builtin")
    assert first.exit_code == 0
    assert (
        "in.tsv: 1 record has line ends in quotes and as many cells on each line as a row; "
        "if quotes are data there, add --quote none\n"
    ) in first.stderr
    again = invoke("run", path, "--device", "builtin", "--quote", "none")
    assert "3 rows" in again.stderr
    assert "line ends" not in again.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", b'id,text\n1,"hello, all\nof you, friends\n"\n'),
        ("in.csv", b'id,user,likes,text\n1,a,2,"so\n\nmany, lines, here"\n'),
        ("in.tsv", b'id\ttext\n1\t"two\nlines"\n2\t"a\ttab\nonce"\n'),
    ],
)
def test_tweets_of_several_lines_are_no_merged_rows(
    invoke: Invoke, tmp_path: Path, name: str, content: bytes
) -> None:
    """Whatever commas they have."""
    (path := tmp_path / name).write_bytes(content)
    result = invoke("run", path, "--device", "builtin", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
