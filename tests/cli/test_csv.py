"""CSV as people have it, from the command line: what is told, and commands that lead on."""

import json
from pathlib import Path

from tests.cli.conftest import Invoke
from tests.cli.test_again import pasted


def test_what_was_chosen_is_told_and_recorded(invoke: Invoke, tmp_path: Path) -> None:
    """In the line, in the report, and verify reads the output in the same way."""
    (path := tmp_path / "in.csv").write_text('id;text\n1;"a, b"\n', "utf-8")
    result = invoke("run", path, "--device", "builtin")
    assert result.exit_code == 0
    assert "; delimiter ; by the file's header" in result.stderr
    out = tmp_path / "in.scored.csv"
    assert out.read_text("utf-8").startswith('id;text;label;score\n1;"a, b";')
    report = json.loads((tmp_path / "in.scored.csv.run.json").read_text())
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
            "on line 20002: bytes that are not the encoding: not UTF-8, it looks like cp1252"
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
