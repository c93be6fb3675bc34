"""A query is exactly one SELECT, which changes nothing; anything else is refused before it runs."""

from pathlib import Path

import pytest

from scorer.errors import UsageError
from tests.databases.conftest import Score
from tests.databases.engines import Engine
from tests.stubs import StubClassifier

IN_DUCKDB = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
BEFORE = [(9007199254740993,), (2,), (3,), (4,)]


def is_refused(engine: Engine, score: Score, stub: StubClassifier, query: str) -> str:
    """Check that a query is refused before anything has changed, and return the line."""
    before = engine.tables()
    with pytest.raises(UsageError) as caught:
        score(query=query)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    assert line.endswith("; give --query exactly one SELECT that changes nothing")
    assert stub.loads == 0
    assert engine.tables() == before
    assert engine.rows("SELECT id FROM tweets") == BEFORE
    return line


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM tweets) AS q; DROP TABLE victim; --",
        "SELECT * FROM tweets) AS q; DELETE FROM tweets; SELECT * FROM (SELECT * FROM tweets",
        "SELECT * FROM tweets) AS q, (SELECT 1) AS r --",
        "SELECT * FROM tweets)",
        "(SELECT * FROM tweets",
        "SELECT 1 AS id, 'a' AS text; DROP TABLE victim",
        "SELECT 1 AS id, 'a' AS text; SELECT 2 AS id, 'b' AS text",
        "SELECT 1 AS id, 'a' AS text; -- first\nDROP TABLE victim;",
        "SELECT 1 AS id, 'a' AS text; /* first */ DROP TABLE victim /* then */",
        "SELECT 1 AS id, 'a' AS text; " + "-" * 5_000 + "\nDROP TABLE victim",
        "/* only */ DROP TABLE victim",
        "DROP TABLE victim; SELECT * FROM tweets",
        "DELETE FROM tweets RETURNING *",
        "WITH gone AS (DELETE FROM tweets RETURNING *) SELECT * FROM gone",
        "WITH more AS (INSERT INTO tweets VALUES (7, 'x', 1) RETURNING *) SELECT * FROM more",
        "INSERT INTO tweets VALUES (7, 'x', 1)",
        "UPDATE tweets SET text = 'x'",
        "TRUNCATE tweets",
        "CREATE TABLE more AS SELECT * FROM tweets",
        "SELECT * INTO more FROM tweets",
        "EXPLAIN SELECT * FROM tweets",
        "BEGIN",
        "COMMIT",
        "",
        " ;",
        "-- nothing",
        "SELECT * FROM tweets WHERE id = $1",
        "not even SQL",
    ],
)
def test_what_is_not_one_select_is_refused(
    engine: Engine, score: Score, stub: StubClassifier, query: str
) -> None:
    """By the engine's own parser, before the query and the model do anything."""
    engine.run("CREATE TABLE victim AS SELECT 1 AS x")
    is_refused(engine, score, stub, query)


@pytest.mark.parametrize(
    ("engine", "query"),
    [
        ("duckdb", "COPY tweets TO '{path}'"),
        ("duckdb", "INSTALL httpfs"),
        ("duckdb", "LOAD httpfs"),
        ("duckdb", "ATTACH '{path}' AS other"),
        ("duckdb", "PRAGMA table_info('tweets')"),
        ("duckdb", "SET memory_limit = '1MB'"),
        ("duckdb", "EXPORT DATABASE '{path}'"),
        ("duckdb", "PIVOT tweets ON text USING count(*)"),
        ("duckdb", "SELECT * FROM query('DROP TABLE tweets')"),
        ("duckdb", "SELECT 1 AS id, 'a' AS text /* open"),
        ("sqlite", "ATTACH '{path}' AS other"),
        ("sqlite", "PRAGMA user_version = 7"),
        ("sqlite", "VACUUM INTO '{path}'"),
        ("sqlite", "REPLACE INTO tweets VALUES (2, 'x', 1)"),
        ("sqlite", "QUERY PLAN SELECT * FROM tweets"),
        pytest.param("postgresql", "COPY tweets TO PROGRAM 'true'", marks=pytest.mark.ci),
        pytest.param("postgresql", "SHOW search_path", marks=pytest.mark.ci),
        pytest.param("postgresql", "DO $$BEGIN DELETE FROM tweets; END$$", marks=pytest.mark.ci),
        pytest.param("postgresql", "SELECT * FROM tweets FOR UPDATE", marks=pytest.mark.ci),
        pytest.param("postgresql", "SELECT 1 AS id, 'a' AS text /* open", marks=pytest.mark.ci),
    ],
    indirect=["engine"],
)
def test_statements_of_one_engine_are_refused(
    engine: Engine, score: Score, stub: StubClassifier, tmp_path: Path, query: str
) -> None:
    """Files, settings, extensions, other databases: nothing of it happens."""
    path = tmp_path / "made"
    is_refused(engine, score, stub, query.format(path=path))
    assert not path.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, text FROM tweets WHERE id = 2",
        "SELECT id, text FROM tweets WHERE id = 2;",
        "  SELECT id, text FROM tweets WHERE id = 2 ; ;\n",
        "-- the old ones\nSELECT id, text FROM tweets WHERE id = 2 -- only",
        "SELECT id, text FROM tweets WHERE id = 2; -- with a; and ) in it",
        "/* ; */ SELECT id, text FROM tweets WHERE id = 2 /* ) */; /* ; */",
        "(SELECT id, text FROM tweets WHERE id = 2)",
        "WITH one AS (SELECT * FROM tweets WHERE id = 2) SELECT id, text FROM one",
        "SELECT id, text FROM tweets WHERE text <> ';)' AND id = 2",
        "SELECT 2 AS id, 'bad -' AS text",
        "SELECT id, text FROM tweets WHERE id = 4 INTERSECT SELECT 2, 'x' UNION SELECT 2, 'bad -'",
    ],
)
def test_one_select_runs_as_it_stands(engine: Engine, score: Score, query: str) -> None:
    """With comments, brackets and semicolons where the engine takes them."""
    if engine.name == "sqlite" and query.startswith("("):
        return  # its grammar has no such statement
    score(query=query)
    assert engine.rows("SELECT id, text, label FROM scored") == [(2, "bad -", "negative")]


def test_rows_keep_the_order_that_the_query_gives(engine: Engine, score: Score) -> None:
    """They are numbered as the query returns them."""
    score(query="SELECT id, text FROM tweets ORDER BY likes DESC, id")
    returned = engine.rows("SELECT id FROM tweets ORDER BY likes DESC, id")
    assert engine.rows("SELECT id FROM scored") == returned


@IN_DUCKDB
def test_a_sequence_of_duckdb_is_not_advanced(
    engine: Engine, score: Score, stub: StubClassifier
) -> None:
    """A SELECT that would change the database is refused by the engine."""
    engine.run("CREATE SEQUENCE s")
    is_refused(engine, score, stub, "SELECT nextval('s') AS id, text FROM tweets")
    assert engine.rows("SELECT nextval('s')") == [(1,)]


@pytest.mark.parametrize("into", ["cursor", "table", "self"])
def test_a_table_may_be_called_like_a_variable(engine: Engine, score: Score, into: str) -> None:
    """DuckDB would otherwise look for it in the code that calls it."""
    score(into=into)
    assert len(engine.rows(f'SELECT * FROM "{into}"')) == 4  # noqa: S608  a constant


@pytest.mark.parametrize(
    "engine", [pytest.param("postgresql", marks=pytest.mark.ci)], indirect=True
)
@pytest.mark.parametrize(
    ("select", "words"),
    [
        ("writes()", "cannot execute INSERT in a read-only transaction"),
        ("nextval('s')", "cannot execute nextval() in a read-only transaction"),
        ("setval('s', 9)", "cannot execute setval() in a read-only transaction"),
        ("makes()", "cannot execute CREATE TABLE in a read-only transaction"),
        (
            "set_config('transaction_read_only', 'off', true)::int",
            "transaction read-write mode must be set",
        ),
    ],
)
def test_functions_of_postgresql_cannot_write(
    engine: Engine, score: Score, stub: StubClassifier, select: str, words: str
) -> None:
    """The query runs in a transaction that only reads, whatever a function was declared as."""
    engine.run("DROP SEQUENCE IF EXISTS s")
    engine.run(
        "CREATE SEQUENCE s",
        "CREATE OR REPLACE FUNCTION writes() RETURNS int VOLATILE LANGUAGE plpgsql "
        "AS 'BEGIN INSERT INTO tweets VALUES (7, ''x'', 1); RETURN 1; END'",
        "CREATE OR REPLACE FUNCTION makes() RETURNS int VOLATILE LANGUAGE plpgsql "
        "AS 'BEGIN CREATE TABLE made (x int); RETURN 1; END'",
    )
    line = is_refused(engine, score, stub, f"SELECT {select} AS id, text FROM tweets")  # noqa: S608
    assert words in line
