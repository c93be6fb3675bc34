"""A table is its resolved schema and object, whatever it is called by."""

import os
from pathlib import Path

import pytest

from scorer.errors import OutputRefused, UsageError
from tests.databases.conftest import Score
from tests.databases.engines import Engine, InDuckDB, InSQLite
from tests.stubs import StubClassifier

IN_FILES = pytest.mark.parametrize("engine", ["duckdb", "sqlite"], indirect=True)
IN_DUCKDB = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
IN_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

OWN = "would go into their own table"
READS = "reads .*, which --overwrite would replace as a whole; name another with --into"


@IN_DUCKDB
@pytest.mark.parametrize("into", ["tweets", "TWEETS", "a base.tweets", "a base.Main.tweets"])
@pytest.mark.parametrize("table", ["tweets", "main.Tweets", '"A BASE".tweets'])
def test_catalogs_of_duckdb_name_the_same_table(
    engine: Engine, score: Score, table: str, into: str
) -> None:
    """A catalog may stand where a schema does; the table is the same, and stays."""
    with pytest.raises(UsageError, match=OWN):
        score(table=table, into=into, overwrite=True)
    assert len(engine.rows("SELECT * FROM tweets")) == 4


@IN_DUCKDB
def test_a_schema_called_like_its_catalog_is_asked_for_in_full(
    engine: Engine, score: Score
) -> None:
    """DuckDB would not know which is meant either."""
    engine.run(
        'CREATE SCHEMA "a base"."a base"',
        'CREATE TABLE "a base"."a base".tweets AS FROM "a base".main.tweets',
    )
    with pytest.raises(UsageError, match=r'write catalog, schema and table: "a base"\.'):
        score(table="a base.tweets")
    assert score(table="a base.a base.tweets").rows == 4


@IN_SQLITE
@pytest.mark.parametrize("into", ["Main.TWEETS", "main.tweets"])
def test_prefixes_of_sqlite_name_the_same_table(engine: Engine, score: Score, into: str) -> None:
    """In any case."""
    with pytest.raises(UsageError, match=OWN):
        score(into=into, overwrite=True)
    assert engine.tables() == ["tweets"]


@IN_FILES
@pytest.mark.parametrize("into", ["temp.scored", "TEMP.scored", "tweetscore_work.scored"])
def test_a_table_that_ends_with_the_run_is_refused(
    engine: Engine, score: Score, stub: StubClassifier, into: str
) -> None:
    """The temporary schema and the work area: exit code 0 would be a lie."""
    with pytest.raises(UsageError, match="would be gone when the run ends"):
        score(into=into)
    assert stub.loads == 0


@IN_SQLITE
def test_sqlite_has_no_catalogs(score: Score) -> None:
    """A third part is not dropped without a word."""
    with pytest.raises(UsageError, match=r"SQLite has no catalogs.*; write main\.table"):
        score(into="other.main.scored")


@IN_FILES
def test_names_differ_by_letters_that_engines_do_not_fold(engine: Engine, score: Score) -> None:
    """Only ASCII is folded: these are two tables, and two columns."""
    engine.run('CREATE TABLE "\u00c4" AS SELECT id, text, 1 AS "\u00c9" FROM tweets')
    score(table="\u00c4", into="\u00e4", scoring={"label_column": "\u00e9"})
    columns = 'SELECT "\u00c9", "\u00e9" FROM "\u00e4" WHERE id = 2'
    assert engine.rows(columns) == [(1, "negative")]


@pytest.mark.parametrize("sql", ["SELECT * FROM tweets", "SELECT id, text FROM tweets"])
def test_a_view_on_the_source_is_no_target(engine: Engine, score: Score, sql: str) -> None:
    """It is the source's own rows by another name."""
    engine.run(f"CREATE VIEW peek AS {sql}")
    with pytest.raises(UsageError, match=OWN):
        score(into="peek", overwrite=True)
    with pytest.raises(UsageError, match=OWN):
        score(query="SELECT id, text FROM tweets", into="peek", id_column="id")
    assert len(engine.rows("SELECT * FROM tweets")) == 4


def test_a_view_is_no_table(engine: Engine, score: Score, stub: StubClassifier) -> None:
    """Whatever it reads: its name is not ours to take."""
    engine.run("CREATE TABLE old AS SELECT 1 AS id", "CREATE VIEW peek AS SELECT * FROM old")
    for overwrite in (False, True):
        with pytest.raises(OutputRefused, match='"peek" is a view, not a table; name a table'):
            score(into="peek", overwrite=overwrite)
    assert stub.loads == 0


@pytest.mark.parametrize("through", ["a query", "a view", "a view on a view"])
def test_a_query_may_not_read_what_it_replaces_as_a_whole(
    engine: Engine, score: Score, through: str
) -> None:
    """Rows that it leaves out would be lost; those are picked by ids."""
    score(id_column="id")
    sql = "SELECT s.id, s.text FROM scored s WHERE s.id IN (SELECT id FROM tweets)"
    engine.run(f"CREATE VIEW one AS {sql}", "CREATE VIEW two AS SELECT * FROM one")
    asked = {
        "a query": {"query": f"{sql} AND s.id < 3"},
        "a view": {"table": "one"},
        "a view on a view": {"query": "SELECT * FROM two"},
    }[through]
    with pytest.raises(UsageError, match=READS):
        score(**asked, overwrite=True)
    assert len(engine.rows("SELECT likes FROM scored")) == 4


def test_a_query_may_read_the_target_to_pick_what_is_new(engine: Engine, score: Score) -> None:
    """The rows are kept before anything changes, and those that it leaves out stay."""
    score(id_column="id")
    engine.run("INSERT INTO tweets VALUES (5, 'new -', 0)")
    new = "SELECT * FROM tweets WHERE id NOT IN (SELECT id FROM scored)"
    done = score(query=new, id_column="id")
    assert (done.rows, done.scored) == (1, 1)
    assert len(engine.rows("SELECT * FROM scored")) == 5


@IN_FILES
def test_a_link_to_the_file_changes_nothing(
    engine: InDuckDB | InSQLite, score: Score, tmp_path: Path
) -> None:
    """The table is its own by any path, and its runs are found again."""
    link = tmp_path / "linked.db"
    link.symlink_to(engine.path)
    url = f"{engine.name}:///{link}"
    with pytest.raises(UsageError, match=OWN):
        score(url=url, into="main.tweets", overwrite=True)
    assert score(id_column="id").scored == 4
    assert score(url=url, id_column="id").scored == 0
    hard = tmp_path / "hard.db"
    os.link(engine.path, hard)
    assert score(url=f"{engine.name}:///{hard}", id_column="id").scored == 0


@IN_FILES
def test_runs_are_noted_by_schema_and_table(engine: Engine, score: Score) -> None:
    """As the catalog has them, in one spelling."""
    for into in ("Scored", "MAIN.scored"):
        score(into=into, id_column="id")
    assert engine.rows("SELECT DISTINCT target FROM tweetscore_runs") == [('"main"."scored"',)]


def test_runs_that_were_noted_by_name_alone_count(engine: Engine, score: Score) -> None:
    """What an earlier version scored is not scored again, while the name means one table."""
    score(into="Scored", id_column="id")
    alone = "Scored" if engine.name == "postgresql" else "scored"
    engine.run(f"UPDATE tweetscore_runs SET target = '{alone}'")  # noqa: S608  a constant
    assert score(into="Scored", id_column="id").scored == 0
    engine.run("UPDATE tweetscore_runs SET result_key = 'of another model'")
    assert score(into="Scored", id_column="id").scored == 4
    assert len(engine.rows("SELECT * FROM tweetscore_runs")) == 1  # the old name is gone


@IN_DUCKDB
def test_a_query_may_not_open_its_own_file_again(
    engine: InDuckDB, score: Score, tmp_path: Path
) -> None:
    """By any path: DuckDB itself tells that it is the same."""
    link = tmp_path / "link.duckdb"
    link.symlink_to(engine.path)
    with pytest.raises(UsageError, match="is already attached"):
        score(query=f"SELECT * FROM read_duckdb('{link}', table_name = 'tweets')")  # noqa: S608
    assert engine.tables() == ["tweets"]


@IN_DUCKDB
@pytest.mark.parametrize("name", ["main", "temp", "tweets", "select", "x.y", 'a"b', "2026-11"])
def test_a_file_may_have_any_name(
    engine: InDuckDB, score: Score, tmp_path: Path, name: str
) -> None:
    """DuckDB makes a catalog of it; runs and own tables are found all the same."""
    engine.path.rename(path := tmp_path / f"{name}.duckdb")
    url = f"duckdb:///{path}"
    assert [score(url=url, id_column="id").scored for _ in range(2)] == [4, 0]
    with pytest.raises(UsageError, match=OWN):
        score(url=url, table="scored", into="Main.SCORED", overwrite=True)


@IN_DUCKDB
def test_a_file_called_like_the_work_area_is_named(
    engine: InDuckDB, score: Score, tmp_path: Path
) -> None:
    """One line says what to do."""
    engine.path.rename(path := tmp_path / "Tweetscore_work.duckdb")
    with pytest.raises(UsageError, match="is called like the work area; rename it"):
        score(url=f"duckdb:///{path}")
