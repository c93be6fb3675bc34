"""The contract of `tweetscore table`, on each engine: a stub for the model, nothing else."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.errors import (
    DataError,
    InputMissing,
    OutputLocked,
    OutputRefused,
    StorageError,
    TweetscoreError,
    UsageError,
)
from scorer.inference import loading
from tests.databases.conftest import Score
from tests.databases.engines import Engine
from tests.stubs import StubClassifier, TaskStub

P, L = pytest.approx(0.8), pytest.approx(0.1)  # of the stub: its label's probability, another's
SCORED = [
    (2, "bad -", 2, "negative", P),
    (3, None, 3, None, None),
    (4, "plain", None, "neutral", P),
    (9007199254740993, "good +", 1, "positive", P),
]


def scored(engine: Engine, table: str = "scored") -> list[tuple[Any, ...]]:
    return engine.rows(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608  a test's own name


def test_rows_come_back_with_label_and_score(engine: Engine, score: Score) -> None:
    """All columns of the query as they were, then the two; blank texts have neither."""
    done = score()
    assert scored(engine) == SCORED
    assert (done.rows, done.scored) == (4, 4)


def test_a_query_with_all_scores(engine: Engine, score: Score) -> None:
    """A semicolon and a comment at its end do no harm; classes have a column each."""
    query = "SELECT id, text AS body FROM tweets WHERE id < 3; -- the old ones"
    wanted = {"scores": "all", "text_column": "body", "label_names": ("A", "B", "C")}
    score(query=query, scoring=wanted)
    assert scored(engine) == [(2, "bad -", "A", P, P, L, L)]
    score(query="SELECT id, text FROM tweets WHERE id < 3 ;\n", into="again")
    assert scored(engine, "again") == [(2, "bad -", "negative", P)]


def test_a_value_is_a_column_of_numbers(engine: Engine, score: Score) -> None:
    """A score alone; what is new is scored."""
    stub = TaskStub("regression")
    texts = ["bad -", None, "plain", "good +"]
    score(model_stub=stub, id_column="id")
    values = stub.score(pl.Series([text or "" for text in texts])).probabilities[:, 0].tolist()
    wanted = [None if text is None else v for v, text in zip(values, texts, strict=True)]
    assert [row[-1] for row in scored(engine)] == pytest.approx(wanted)
    assert [row[:-1] for row in scored(engine)] == [row[:-2] for row in SCORED]
    assert score(model_stub=stub, id_column="id").scored == 0


def labelled(engine: Engine, column: str = "labels") -> dict[int, list[str] | None]:
    """Return the list of each id; SQLite's are the text of a JSON array."""
    rows = engine.rows(f"SELECT id, {column} FROM scored")  # noqa: S608  a test's own name
    return {i: json.loads(v) if isinstance(v, str) else v for i, v in rows}


def listed(stub: TaskStub, texts: dict[int, str], threshold: float) -> dict[int, list[str]]:
    found = stub.score(pl.Series(list(texts.values()))).at_least(threshold)
    return {
        i: [label for label, is_in in zip(stub.labels, row, strict=True) if is_in]
        for i, row in zip(texts, found, strict=True)
    }


def test_several_labels_are_a_list(engine: Engine, score: Score) -> None:
    """None where the text is blank, empty where no class is probable; what is new is scored."""
    stub = TaskStub(
        "multi_label", labels=('say "no"', "b, {c}", "NULL", "d\\e'", "\u00e9\U0001f600")
    )
    texts = {9007199254740993: "good +", 2: "bad -", 4: "plain"}
    texts |= {number: f"text {number}" for number in range(100, 130)}
    engine.run(*(f"INSERT INTO tweets VALUES ({i}, '{texts[i]}', 0)" for i in range(100, 130)))  # noqa: S608
    score(model_stub=stub, id_column="id")
    wanted = listed(stub, texts, 0.5)
    assert [] in wanted.values() and max(map(len, wanted.values())) > 2  # noqa: PT018
    assert labelled(engine) == {**wanted, 3: None}
    engine.run("INSERT INTO tweets VALUES (5, 'new -', 0)")
    done = score(model_stub=stub, id_column="id")
    assert (done.rows, done.scored) == (35, 1)
    assert labelled(engine) == {**wanted, **listed(stub, {5: "new -"}, 0.5), 3: None}


def test_another_threshold_lists_others(engine: Engine, score: Score) -> None:
    """All rows are scored again, under any name of the column; each class has its score."""
    stub = TaskStub("multi_label")
    texts = {9007199254740993: "good +", 2: "bad -", 4: "plain"}
    wanted = {"scores": "all", "labels_column": "tags", "threshold": 0.01}
    score(model_stub=stub, id_column="id", scoring={**wanted, "threshold": 0.9})
    again = score(model_stub=stub, id_column="id", scoring=wanted)
    assert (again.rows, again.scored) == (4, 4)
    assert labelled(engine, "tags") == {**listed(stub, texts, 0.01), 3: None}
    with pytest.raises(OutputRefused, match="it has no column 'labels'"):
        score(model_stub=stub, id_column="id", scoring={"scores": "all"})


def test_a_model_of_another_task_takes_no_answers_up(engine: Engine, score: Score) -> None:
    """The columns are others: the table stays, unless it is replaced."""
    score(model_stub=TaskStub("multi_label"), id_column="id")
    before = labelled(engine)
    with pytest.raises(OutputRefused, match="'label"):
        score(model_stub=TaskStub("regression"), id_column="id")
    assert labelled(engine) == before
    done = score(model_stub=TaskStub("regression"), id_column="id", overwrite=True)
    assert (done.rows, done.scored) == (4, 4)
    assert {len(row) for row in scored(engine)} == {4}


def test_a_second_run_changes_nothing(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """By its ids: nothing is doubled, and nothing that is there is scored again."""
    score(id_column="id")
    again = score(id_column="id")
    assert scored(engine) == SCORED
    assert (again.rows, again.scored, again.outcome) == (4, 0, None)
    assert stub.windows == [4]
    assert score(id_column="id", scoring={"incremental": False}).scored == 4
    assert scored(engine) == SCORED


def test_only_what_is_new_is_scored(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """New ids and changed texts; other columns are brought up to date, and old rows stay."""
    score(id_column="id")
    engine.run(
        "UPDATE tweets SET text = 'now good +' WHERE id = 2",
        "UPDATE tweets SET likes = 44 WHERE id = 4",
        "INSERT INTO tweets VALUES (5, 'new -', 0)",
        "DELETE FROM tweets WHERE id = 3",
    )
    done = score(id_column="id")
    assert (done.rows, done.scored) == (4, 2)
    assert stub.windows == [4, 2]
    assert scored(engine) == [
        (2, "now good +", 2, "positive", P),
        (3, None, 3, None, None),
        (4, "plain", 44, "neutral", P),
        (5, "new -", 0, "negative", P),
        SCORED[-1],
    ]


def test_another_model_scores_all_again(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """Until no row of the old one is left, the table's answers are not reused."""
    score(id_column="id")
    stub.bundle = replace(stub.bundle, digest="e" * 64)
    newer = "SELECT * FROM tweets WHERE id <= 3"
    assert [score(query=newer, id_column="id").scored for _ in range(2)] == [2, 2]
    assert score(id_column="id").scored == 4
    assert score(id_column="id").scored == 0
    assert scored(engine) == SCORED


def test_another_kind_of_box_scores_all_again(
    engine: Engine, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table must not mix answers that no single box would give."""
    score(id_column="id")
    elsewhere = {"device": "cuda", "precision": "fp16", "instruction_set": "sm_90"}
    with monkeypatch.context() as patch:
        patch.setattr(loading, "foreseen", lambda *_: elsewhere)
        assert score(id_column="id").scored == 4
    assert [score(id_column="id").scored for _ in range(2)] == [4, 0]


def test_texts_are_compared_byte_for_byte(engine: Engine, score: Score) -> None:
    """Case and spaces at the end count: a normaliser may heed them."""
    score(id_column="id")
    engine.run(
        "UPDATE tweets SET text = 'Plain' WHERE id = 4",
        "UPDATE tweets SET text = 'bad - ' WHERE id = 2",
    )
    assert score(id_column="id").scored == 2


def test_a_table_that_exists_is_not_replaced_unasked(engine: Engine, score: Score) -> None:
    """Without an id column it is all or nothing; --overwrite says all."""
    score()
    engine.run("DELETE FROM tweets WHERE id > 2")
    with pytest.raises(OutputRefused, match='the table "scored" exists; replace it as a whole'):
        score()
    assert scored(engine) == SCORED
    score(overwrite=True)
    assert scored(engine) == SCORED[:1]


def test_another_table_is_refused(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """One with other columns is not ours to fill, unless as a whole; the model is not loaded."""
    engine.run("CREATE TABLE scored (id BIGINT, note VARCHAR(9))")
    with pytest.raises(OutputRefused, match="it has no column 'text'"):
        score(id_column="id")
    assert stub.loads == 0
    assert scored(engine) == []
    score(id_column="id", overwrite=True)
    assert scored(engine) == SCORED
    engine.run("ALTER TABLE scored ADD COLUMN note VARCHAR(9)")
    with pytest.raises(OutputRefused, match="its column 'note' is not among those of the rows"):
        score(id_column="id")


@pytest.mark.parametrize("columns", ["id BIGINT", "target TEXT, result_key TEXT, note TEXT"])
def test_a_table_of_runs_that_is_somebody_elses_is_refused(
    engine: Engine, score: Score, stub: StubClassifier, columns: str
) -> None:
    """By its name, before any work, whether ours would be made or read; it stays as it was."""
    engine.run(f"CREATE TABLE tweetscore_runs ({columns})")
    for wanted in ({}, {"id_column": "id"}):
        with pytest.raises(OutputRefused, match='the table "tweetscore_runs" is not one of'):
            score(**wanted)
    assert stub.loads == 0
    assert sorted(engine.tables()) == ["tweets", "tweetscore_runs"]
    assert engine.rows("SELECT * FROM tweetscore_runs") == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE tweets SET id = NULL WHERE id = 4", "'id' of tweets is null in 1 row;"),
        ("UPDATE tweets SET id = 2 WHERE id > 2", "'id' of tweets has 2 in 4 rows;"),
    ],
)
def test_ids_tell_rows_apart(engine: Engine, score: Score, change: str, problem: str) -> None:
    """One that is missing or there twice ends the run before anything is written."""
    engine.run(change)
    with pytest.raises(DataError, match=problem):
        score(id_column="id")
    assert engine.tables() == ["tweets"]


@pytest.mark.parametrize(
    ("wanted", "error", "problem"),
    [
        ({"table": "gone"}, InputMissing, "gone.*; check --table"),
        ({"table": "nowhere.tweets"}, InputMissing, "nowhere.*; check --table"),
        ({"query": "SELECT * FROM gone"}, InputMissing, "gone.*; check --query"),
        ({"query": "SELECT nosuch FROM tweets"}, DataError, "nosuch.*; check --query"),
        ({"id_column": "nr"}, DataError, "tweets has no column 'nr', only: id, text, likes;"),
        ({"scoring": {"text_column": "txt"}}, DataError, "did you mean --text-column text"),
        ({"scoring": {"text_column": "likes"}}, DataError, "column 'likes' of tweets is"),
        ({"scoring": {"label_column": "likes"}}, UsageError, "column 'likes' exists already"),
        ({"into": "tweets"}, UsageError, "into their own table"),
        ({"into": "nowhere.scored"}, OutputRefused, "nowhere"),
        ({"into": "tweetscore_runs"}, UsageError, "where tweetscore notes its runs"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_before_any_work(
    engine: Engine,
    score: Score,
    stub: StubClassifier,
    wanted: dict[str, Any],
    error: type[TweetscoreError],
    problem: str,
) -> None:
    """In one line, without loading the model, and nothing is written."""
    with pytest.raises(error, match=problem) as caught:
        score(**wanted)
    assert "\n" not in str(caught.value)
    assert stub.loads == 0
    assert engine.tables() == ["tweets"]


def test_a_table_is_its_own_under_each_spelling(engine: Engine, score: Score) -> None:
    """With its schema, and in another case where the engine takes that for one name."""
    into = "public.tweets" if engine.name == "postgresql" else "MAIN.Tweets"
    with pytest.raises(UsageError, match="into their own table"):
        score(into=into, overwrite=True)
    assert engine.tables() == ["tweets"]


def test_answers_of_another_model_are_found_under_each_spelling(
    engine: Engine, score: Score, stub: StubClassifier
) -> None:
    """A row that a run wrote by another spelling of the table is not taken for this model's."""
    if engine.name == "postgresql":  # there the two are two tables
        return
    score(id_column="id")
    first = stub.bundle
    stub.bundle = replace(first, digest="b" * 64)
    score(into="SCORED", query="SELECT * FROM tweets WHERE id < 3", id_column="id")
    stub.bundle = first
    done = score(id_column="id")
    assert done.scored == done.rows


def test_names_are_taken_literally(engine: Engine, score: Score) -> None:
    """Quotes, dots, spaces and keywords: they are quoted wherever they go."""
    engine.run(
        """CREATE TABLE "my ""odd"".table" ("select" BIGINT, "a ""text"" ' $1" VARCHAR(9))""",
        """INSERT INTO "my ""odd"".table" VALUES (1, 'good +')""",
    )
    done = score(
        table='"my ""odd"".table"',
        into='"where; DROP TABLE tweets"',
        id_column="select",
        scoring={"text_column": 'a "text" \' $1', "label_column": "table", "score_column": "a.b"},
    )
    assert done.rows == 1
    query = 'SELECT "select", "table" FROM "where; DROP TABLE tweets"'
    assert engine.rows(query) == [(1, "positive")]
    assert len(engine.tables()) == 4


def test_no_rows_make_an_empty_table(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """With all its columns, and without a model."""
    done = score(query="SELECT * FROM tweets WHERE id = 77")
    assert (done.rows, done.outcome, stub.loads) == (0, None, 0)
    assert scored(engine) == []


def test_rows_are_those_of_the_beginning(
    engine: Engine, score: Score, stub: StubClassifier
) -> None:
    """While the model works others may write: the database is free, and the rows are kept."""
    stub.before_scoring = lambda: engine.run("UPDATE tweets SET text = 'late -'")
    score()
    assert scored(engine) == SCORED


def test_a_table_that_changes_meanwhile_is_refused(
    engine: Engine, score: Score, stub: StubClassifier
) -> None:
    """What somebody else makes of it while the model works stays."""
    stub.before_scoring = lambda: engine.run("CREATE TABLE scored AS SELECT 1 AS id")
    with pytest.raises(OutputRefused, match="is not what would be written"):
        score(id_column="id")
    assert scored(engine) == [(1,)]


def test_a_row_that_the_table_refuses_changes_nothing(
    engine: Engine, score: Score, stub: StubClassifier
) -> None:
    """The transaction as a whole: a constraint of the table's own undoes it."""
    score(id_column="id")
    engine.run(
        "CREATE UNIQUE INDEX unique_likes ON scored (likes)",
        "INSERT INTO tweets VALUES (5, 'new +', 2)",
        "UPDATE tweets SET text = 'changed +' WHERE id = 4",
    )
    with pytest.raises(DataError, match=r"(?i)unique"):
        score(id_column="id")
    assert scored(engine) == SCORED


def test_a_table_of_ones_own_keeps_its_key(engine: Engine, score: Score) -> None:
    """Made beforehand, with a primary key: rows are replaced under it."""
    score(id_column="id")
    engine.run("CREATE UNIQUE INDEX one ON scored (id)")
    for _ in range(2):
        score(id_column="id", scoring={"incremental": False})
    assert scored(engine) == SCORED
    score(overwrite=True)
    assert scored(engine) == SCORED


def test_who_holds_a_lock_is_waited_for_or_named(engine: Engine, score: Score) -> None:
    """Another session that writes means 75, as soon as the wait is over."""
    score(id_column="id")
    code = f"{engine.locking()}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(OutputLocked, match="--lock-wait"):
            score(id_column="id", lock_wait=0.1)
        other.communicate(b"\n")
    assert score(id_column="id").rows == 4


def test_the_report_tells_the_story(engine: Engine, score: Score, tmp_path: Path) -> None:
    """Where from, where to, how many; and how the model ran."""
    path = tmp_path / "report.json"
    done = score(id_column="id", report=path)
    assert path.stat().st_size
    assert done.report["database"] == engine.url
    assert done.report["source"] == '"tweets"'
    assert (done.report["rows"], done.report["scored"]) == (4, 4)
    assert done.report["run"]["counters"]["blank"] == 1


def test_a_report_that_cannot_be_written_is_found_out_before_the_table_changes(
    engine: Engine, score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only shows afterwards is a warning: the table is complete by then."""
    with pytest.raises(OutputRefused, match="no does not exist; create it: mkdir -p "):
        score(id_column="id", report=tmp_path / "no" / "report.json")
    assert "scored" not in engine.tables()

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("scorer.databases.table_run.write_json", full)
    done = score(id_column="id", report=tmp_path / "report.json")
    (warning,) = done.warnings
    assert warning == "the table is complete, but the disk is full"
