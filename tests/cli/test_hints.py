"""The command that an error suggests works, or fails later, and never in the same way."""

import bz2
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import Result

from scorer.store.paths import report_path
from tests.cli.conftest import Invoke
from tests.contents import ARRAY, FRAME, NDJSON, ROWS, gzipped, tarred, written, zipped

CSV = b"id,text\n1,I love it\n2,so sad\n"
# A file, its content, the options of the call, and the output that the pasted command writes.
CALLS: list[tuple[str, bytes, str, str]] = [
    ("my x.csv", gzipped(CSV), "", "my x.scored.csv.gz"),
    ("x.csv", gzipped(CSV), "--encoding latin-1", "x.scored.csv.gz"),
    ("-x.csv", written(FRAME.write_parquet), "--scores all", "-x.scored.parquet"),
    ("it's x.csv", bz2.compress(CSV), "", "it's x.scored.csv"),
    ("x.csv.bz2", bz2.compress(CSV), "-o y.csv", "y.csv"),
    ("x.json", ARRAY, "--limit 1", "x.scored.ndjson"),
    ("x.json", json.dumps({"data": ROWS}, indent=1).encode(), "", "x.scored.ndjson"),
    ("x.json", b'{"id":{"0":1},"text":{"0":"I love it"}}', "", "x.scored.ndjson"),
    ("x.json.gz", gzipped(ARRAY), "", "x.scored.ndjson"),
    ("x.json", b'["I love it"]', "", "x.scored.ndjson"),
    ("x.csv.gz", gzipped(gzipped(CSV)), "", "x.scored.csv"),
    ("x.csv.gz", CSV, "", "x.scored.csv"),
    ("x.csv", NDJSON, "", "x.scored.ndjson"),
    ("x.ndjson", CSV.decode().encode("utf-16"), "", ""),
    ("x.ndjson", NDJSON.decode().encode("utf-16"), "", "x.scored.ndjson"),
    ("x y", CSV, "--label-column 'a b'", "x y.scored"),
    ("x.dat", NDJSON, "", "x.scored.dat"),
    ("x.gz", gzipped(NDJSON), "", "x.scored.gz"),
    ("x.zip", zipped("a.csv", CSV), "", "x.scored/a.scored.csv"),
    ("x.tar.gz", tarred("a.csv", CSV), "", "x.scored/a.scored.csv"),
    ("x.avro", written(FRAME.write_avro), "", "x.scored.parquet"),
    ("x.csv", CSV, "-o y", "y.csv"),
    ("x.csv", CSV, "-o y.parquet", "y.csv"),
    ("x.csv", CSV, "--text-column txt", "x.scored.csv"),
    ("x.csv", CSV, "--format ndjson", "x.scored.csv"),
    ("x.txt", b'I love it\nshe said "so sad"\n', "", "x.scored.txt"),
    ("x.csv", b"id;comentario\n1;qu\xe9 bien\n", "", "x.scored.csv"),
    ("x.tsv", b'id\ttext\n1\t"I love it\n2\tso sad\n', "", "x.scored.tsv"),
    ("x.csv", b"label,text,score_2\n1,I love it,2\n", "--score-column text", "x.scored.csv"),
]


def shell(line: str, where: Path) -> bytes:
    """Run a line of bash and return what it writes."""
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    return subprocess.run(command, cwd=where, capture_output=True, check=True).stdout


def paste(invoke: Invoke, line: str, where: Path) -> Result:
    """Do what a line says: what comes before `tweetscore` in a shell, the rest in this process."""
    before, joint, call = re.fullmatch(r"(?:(.*) (&&|\|) )?tweetscore (.*)", line).groups()  # type: ignore[union-attr]
    left = shell(before, where) if before else b""
    return invoke(*shlex.split(call), stdin=left if joint == "|" else None)


@pytest.mark.parametrize(("name", "content", "options", "output"), CALLS)
def test_a_hint_is_typed_and_leads_on(
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes,
    options: str,
    output: str,
) -> None:
    """With the options of the call, in the directory of the call."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    named = f"./{name}" if name.startswith("-") else name
    first = invoke("run", named, *shlex.split(options), "--device", "builtin")
    assert first.exit_code in {2, 65}
    (line,) = first.stderr.splitlines()
    again = paste(invoke, re.split("; try: |; rename it: |, or try: ", line)[-1], tmp_path)
    assert line not in again.stderr
    assert again.exit_code == (0 if output else 65), again.stderr
    if output:
        assert Path(output).stat().st_size > 0
        assert report_path(Path(output)).exists()


def test_the_error_for_a_misspelt_option_names_the_nearest(invoke: Invoke, tmp_path: Path) -> None:
    """The one that it is the beginning of, or the one spelled most alike."""
    path = tmp_path / "x.csv"
    for typed, meant in (
        ("--out", "'--output'"),
        ("--zzz", ""),
        ("--quit", "'--quiet'"),
        ("--help-al", "'--help-all'"),
        ("--hlep", "'--help'"),
    ):
        result = invoke("run", path, typed, "y")
        assert result.exit_code == 2
        said = result.stderr.splitlines()[-1]
        assert said.endswith(f"Did you mean {meant}?" if meant else f"No such option '{typed}'.")


def test_the_error_for_a_text_that_looks_like_an_option_says_where_it_may_stand(
    invoke: Invoke,
) -> None:
    result = invoke("text", "-5 degrees and I love it")
    assert result.exit_code == 2
    assert result.stderr.endswith("What follows -- is a text, whatever it begins with.\n")
    assert result.stderr.count("What follows") == 1
    assert "Did you mean '--scores'?" in invoke("text", "--score", "all", "fine").stderr


def test_the_error_for_an_unknown_command_names_the_nearest(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt one, or a file without the `run` before it."""
    monkeypatch.chdir(tmp_path)
    Path("my x.csv").write_bytes(CSV)
    assert invoke("rum", "my x.csv").stderr.rstrip().endswith("Try: tweetscore run 'my x.csv'")
    stderr = invoke("my x.csv", "-q").stderr.rstrip()
    assert stderr.endswith("Try: tweetscore run 'my x.csv' -q")
