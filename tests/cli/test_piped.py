import gzip
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from scorer.cli import tweetscore
from tests.contents import gzipped

Piped = Callable[..., Result]

CSV = b"id,text\n007,I love this song\n008,\n009,stuck again\n"
NDJSON = b'{"id":1,"text":"I love this song"}\n{"id":2}\n'


@pytest.fixture
def piped(tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Piped:
    """Run the program in this process with bytes on standard input; TMPDIR is empty at the end."""
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    clean = {name: None for name in os.environ if name.startswith("TWEETSCORE_")}

    def run(stdin: bytes, *words: str | Path) -> Result:
        command = ["run", *map(str, words), "--model", str(tiny_bert_bundle), "--device", "builtin"]
        found = CliRunner(env=clean).invoke(tweetscore, command, input=stdin)
        assert list(scratch.iterdir()) == []
        return found

    return run


def test_csv_goes_through(piped: Piped) -> None:
    """Standard input to standard output, with nothing else on it; CSV by default."""
    result = piped(CSV, "-")
    assert result.exit_code == 0, result.stderr
    header, first, second, _ = result.stdout_bytes.splitlines()
    assert header == b"id,text,label,score"
    assert first.startswith(b"007,I love this song,")
    assert second == b"008,,,"
    assert result.stderr.startswith("tweetscore: standard output: 3 rows: 2 negative (100.0 %), ")


def arrow(content: bytes) -> pa.Table:
    return pa.ipc.open_file(content).read_all()


def test_every_format_goes_through(piped: Piped, tmp_path: Path) -> None:
    """What comes out is of the format of what goes in."""
    table = pa.table({"text": ["I love this song", None]})
    pq.write_table(table, tmp_path / "in.parquet")
    with pa.ipc.new_file(sink := pa.BufferOutputStream(), table.schema) as writer:
        writer.write_table(table)
    names = ["text", "label", "score"]
    parquet = piped((tmp_path / "in.parquet").read_bytes(), "-q", "-", "--format", "parquet")
    assert pq.read_table(io.BytesIO(parquet.stdout_bytes)).column_names == names
    ipc = piped(sink.getvalue().to_pybytes(), "-q", "-", "--format", "arrow")
    assert arrow(ipc.stdout_bytes).column_names == names
    tsv = piped(CSV.replace(b",", b"\t"), "-q", "-", "--format", "tsv")
    assert tsv.stdout_bytes.splitlines()[2] == b"008\t\t\t"
    ndjson = piped(NDJSON, "-q", "-", "--format", "ndjson")
    assert ndjson.stdout_bytes.splitlines()[1] == b'{"id":2,"label":null,"score":null}'
    assert parquet.stderr == ipc.stderr == tsv.stderr == ndjson.stderr == ""


def test_a_file_goes_to_standard_output(piped: Piped, tmp_path: Path) -> None:
    """As its bytes: what was compressed stays so, and nothing is left beside the input."""
    (path := tmp_path / "in.ndjson.gz").write_bytes(gzipped(NDJSON))
    result = piped(b"", path, "-o", "-")
    assert gzip.decompress(result.stdout_bytes).startswith(b'{"id":1,"text":"I love this song",')
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.ndjson.gz", "scratch"]


@pytest.mark.parametrize(
    ("content", "words", "name"),
    [
        (CSV, [], "out.csv"),
        (gzipped(CSV), [], "out.csv.gz"),
        (gzipped(CSV), ["--format", "csv"], "out.csv.gz"),
        (NDJSON, [], "out.jsonl"),
    ],
)
def test_standard_input_goes_to_a_file(
    piped: Piped, tmp_path: Path, content: bytes, words: list[str], name: str
) -> None:
    """The file's name says the format; it appears by a rename, with its report beside it."""
    result = piped(content, "-", "-o", tmp_path / name, *words)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    report = json.loads((tmp_path / f".tweetscore/{name}.run.json").read_bytes())
    assert report["input"]["path"] == "standard input"


def test_a_directory_takes_standard_input_too(piped: Piped, tmp_path: Path) -> None:
    """Under a name of ours."""
    assert piped(NDJSON, "-", "-o", tmp_path, "--format", "ndjson").exit_code == 0
    assert (tmp_path / "stdin.scored.ndjson").exists()


def test_a_failure_writes_nothing(piped: Piped) -> None:
    """Not even the rows before the broken one; the message names a way to the list of rejects."""
    result = piped(CSV + b"1,2,3\n", "-")
    assert (result.exit_code, result.stdout) == (65, "")
    assert (
        "is no row of standard input, the first on line 5: 3 cells where 2 are expected; allow for"
        in result.stderr
    )
    assert result.stderr.endswith("name an output with -o to get a list of them\n")
    other = piped(b"a,b\n", "-")
    assert (other.exit_code, other.stdout) == (65, "")
    assert "standard input has no column 'text'" in other.stderr


def test_rejects_that_are_allowed_are_reported(piped: Piped) -> None:
    """Their list has no place beside standard output."""
    result = piped(NDJSON + b"x\n", "-", "--format", "ndjson", "--max-rejects", "1")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert "warning: records that are no rows were left out: 1; name an output" in result.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["-", "-"], "- is one file, not several; score it on its own"),
        (["-", "other.csv"], "- is one file, not several"),
        (["a.csv", "b.csv", "-o", "-"], "- is one file, not several"),
        (["-", "-o", "out.txt"], "out.txt has no known extension"),
        (
            ["-", "--format", "csv", "-o", "out.tsv"],
            "out.tsv is not of the format of standard in",
        ),
        (["a.txt", "-o", "-"], "a.txt has no known extension"),
    ],
)
def test_calls_that_make_no_sense(piped: Piped, words: list[str], problem: str) -> None:
    """Exit code 2, before any work."""
    result = piped(CSV, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


Shell = Callable[[str], "subprocess.CompletedProcess[str]"]
MODEL = "-q --device builtin"


def test_a_reader_that_leaves_ends_the_run_quietly(shell: Shell, tmp_path: Path) -> None:
    """As a program that SIGPIPE ended: 141, and not a word."""
    rows = "".join(f"{i},fine {'x' * 40}\n" for i in range(5000))
    (tmp_path / "in.csv").write_text(f"id,text\n{rows}", "utf-8")
    line = f"{{ $T run - {MODEL} --limit 4000 < in.csv; echo $? > code; }} | true"
    assert shell(line).stderr == ""
    assert (tmp_path / "code").read_text() == "141\n"


def test_standard_streams_that_are_closed_or_full(shell: Shell) -> None:
    """A closed input is an empty one; a full output is an I/O error."""
    closed = shell(f"$T run - {MODEL} <&-")
    assert (closed.returncode, closed.stdout) == (65, "")
    assert "tweetscore: standard input is empty" in closed.stderr
    full = shell(f"printf 'text\\nfine\\n' | $T run - {MODEL} > /dev/full")
    assert full.returncode == 74
    assert "No space left on device" in full.stderr


def run_on_a_terminal(
    program: Path, *words: str, stdin: bool
) -> "subprocess.CompletedProcess[str]":
    """Run with a terminal in the place of standard input or standard output."""
    leader, terminal = pty.openpty()
    try:
        return subprocess.run(
            [program, "run", *words],
            stdin=terminal if stdin else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdin else terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(leader)
        os.close(terminal)


def test_a_terminal_is_not_waited_for(program: Path) -> None:
    """Nobody types a file."""
    ended = run_on_a_terminal(program, "-", stdin=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("tweetscore: standard input is a terminal; ")


def test_a_terminal_gets_no_binary_file(program: Path) -> None:
    """It would only show garbage."""
    ended = run_on_a_terminal(program, "-", "--format", "arrow", stdin=False)
    assert ended.returncode == 2
    assert "is a terminal, which cannot show .arrow; send it to a file" in ended.stderr


@pytest.mark.parametrize(
    ("content", "words", "line"),
    [
        (gzipped(CSV), [], "is gzip, not CSV; put gzip -dc before it: | gzip -dc | tweet"),
        (NDJSON, [], "is NDJSON, not CSV; add --format ndjson"),
        (CSV, ["--format", "ndjson"], "is CSV, not NDJSON; add --format csv"),
        (CSV, ["--format", "parquet"], "is CSV, not Parquet; add --format csv"),
        (b'[{"text": "a"}]', ["--format", "ndjson"], "is a JSON array, not NDJSON; put "),
        (CSV, ["-o", "out.csv.gz"], "is CSV, not gzip; put gzip -c before it, as the output's"),
        (b"id,tweet\n1,a\n", [], "has no column 'text', only: id, tweet; did you mean --text-"),
        (b"text\n\xff\n", [], "1 record so far is no row of standard input"),
        (CSV, ["--label-column", "id"], ": the column 'id' exists already"),
    ],
)
def test_standard_input_is_called_so(
    piped: Piped, tmp_path: Path, content: bytes, words: list[str], line: str
) -> None:
    """In each message, whatever is wrong with it; the place of its temporary file is in none."""
    result = piped(content, "-", *words)
    assert result.exit_code in {2, 65}
    said = line if "standard input" in line else f"standard input{' ' * (line[0] != ':')}{line}"
    assert said in result.stderr
    assert str(tmp_path) not in result.stderr


def test_programs_and_reports_have_the_same_words(piped: Piped, tmp_path: Path) -> None:
    """In the log, and in the report that a verification reads."""
    result = piped(CSV, "-", "--log-format", "json")
    said = json.loads(result.stderr.splitlines()[0])
    assert (said["input"], said["output"]) == ("standard input", "standard output")
    output = tmp_path / "out"
    assert piped(CSV, "-", "--format", "csv", "-o", output).exit_code == 0
    verified = CliRunner().invoke(tweetscore, ["verify", str(output)])
    assert verified.exit_code == 66
    line = "the input was standard input: only the output and its report were checked"
    assert verified.stderr.splitlines() == [f"tweetscore: {output}: {line}"]


def test_scores_are_not_lost_where_standard_output_is_closed(program: Path, tmp_path: Path) -> None:
    """It is said before any work, instead of a good end without an output."""
    (tmp_path / "in.csv").write_bytes(CSV)
    line = f"{program} run in.csv -o - >&-"
    ended = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 73
    assert ended.stderr == (
        "tweetscore: standard output is closed; send it to a file, or name one with -o\n"
    )
