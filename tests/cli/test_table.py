import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE tweets (id INTEGER, text TEXT)")
        rows = [(7, "I love this song"), (8, ""), (9, "stuck again")]
        connection.executemany("INSERT INTO tweets VALUES (?, ?)", rows)
    return path


def test_a_table_is_scored(
    invoke: Invoke, database: Path, tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """One line has the counts, the second time that no row is new; the report has more."""
    words = [
        *("table", f"sqlite:///{database}", "--table", "tweets", "--into", "scored"),
        *("--id-column", "id", "--model", tiny_bert_bundle, "--device", "builtin"),
    ]
    first = invoke(*words, "--report", tmp_path / "report.json")
    assert first.exit_code == 0, first.stderr
    where = f"tweetscore: sqlite:///{database}: scored: 3 rows"
    assert first.stderr.startswith(f"{where}, all of them scored: 2 negative (100.0 %), ")
    assert "; 1 blank; in " in first.stderr
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert (report["rows"], report["scored"], report["taken_over"]) == (3, 3, 0)
    assert report["run"]["runtime"]["device"] == "builtin"
    assert invoke(*words).stderr == f"{where}, none of them new\n"
    assert invoke(*words, "-q", "--no-incremental").stderr == ""
    line = json.loads(invoke(*words, "--log-format", "json").stderr)
    assert (line["event"], line["rows"], line["scored"]) == ("table", 3, 0)
    with closing(sqlite3.connect(database)) as connection:
        scored = connection.execute("SELECT * FROM scored ORDER BY id").fetchall()
    assert [row[:2] for row in scored] == [(7, "I love this song"), (8, ""), (9, "stuck again")]
    assert scored[1][2:] == (None, None)
    assert all(0 < row[3] < 1 for row in (scored[0], scored[2]))


def test_what_is_scored_is_what_run_scores(
    invoke: Invoke, database: Path, tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """Options of the answer mean the same; scores are float32, which SQLite widens."""
    answer = ["--scores", "all", "--label-names", "A,B,C", "--label-column", "L"]
    model = ["--model", tiny_bert_bundle, "--device", "builtin", "--precision", "fp32"]
    query = ["--query", "SELECT * FROM tweets WHERE id <> 8"]
    url = f"sqlite:///{database}"
    assert invoke("table", url, *query, "--into", "scored", *answer, *model).exit_code == 0
    (tmp_path / "t.ndjson").write_text('{"text":"I love this song"}\n{"text":"stuck again"}\n')
    assert invoke("run", tmp_path / "t.ndjson", *answer, *model).exit_code == 0
    lines = (tmp_path / "t.scored.ndjson").read_text().splitlines()
    names = ["L", "score", "score_negative", "score_neutral", "score_positive"]
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"SELECT {', '.join(names)} FROM scored ORDER BY id").fetchall()  # noqa: S608  constants
    for (label, *scores), line in zip(found, lines, strict=True):
        wanted = json.loads(line)
        assert label == wanted["L"]
        assert scores == pytest.approx([wanted[name] for name in names[1:]], abs=1e-7)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["sqlite:///gone.db", "--table", "t"], 66, "gone.db does not exist; check the name"),
        (["gone.db", "--table", "t"], 2, "DATABASE is no URL of a database; write it like sqlite"),
        (["sqlite:///x.db"], 2, "what is to be scored is not clear; give one of --table and"),
        (["sqlite:///x.db", "--table", "t", "--query", "q"], 2, "what is to be scored is not cle"),
        (["sqlite:///x.db", "--table", "t."], 2, "'t.' is no name of a table; write table or"),
    ],
)
def test_calls_that_cannot_be(
    invoke: Invoke, words: list[str], code: int, line: str, tiny_bert_bundle: Path
) -> None:
    """One line, and the code that cron sees."""
    result = invoke("table", *words, "--into", "scored", "--model", tiny_bert_bundle)
    assert result.exit_code == code
    assert result.stderr.startswith(f"tweetscore: {line}")
    assert result.stderr.count("\n") == 1
