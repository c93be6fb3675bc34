"""PostgreSQL's names: a search path, temporary schemas, partitions, and tables made anew."""

from collections.abc import Iterator
from typing import Any

import pytest

from scorer.errors import InputMissing, OutputRefused, UsageError
from tests.databases.conftest import Score
from tests.databases.engines import Engine
from tests.stubs import StubClassifier

pytestmark = [
    pytest.mark.ci,
    pytest.mark.parametrize("engine", ["postgresql"], indirect=True),
]

OWN = "would go into their own table"
COUNTS = "SELECT label, count(*) FROM {} WHERE label IS NOT NULL GROUP BY 1 ORDER BY 1"
ENGLISH = [("negative", 1), ("neutral", 1), ("positive", 1)]


@pytest.fixture(autouse=True)
def other_schema(engine: Engine) -> Iterator[None]:
    engine.run("CREATE SCHEMA other")
    yield
    engine.run("ALTER ROLE scorer RESET search_path")


def by_way_of(engine: Engine, path: str) -> str:
    """Return the URL of a session with a search path."""
    return f"{engine.url}?options=-csearch_path%3D{path}"


def test_two_tables_of_one_name_have_runs_of_their_own(engine: Engine, score: Score) -> None:
    """Whichever of them a search path means: neither takes the other's answers for its own."""
    elsewhere: dict[str, Any] = {
        "url": by_way_of(engine, "other,public"),
        "table": "public.tweets",
        "into": "f",
        "id_column": "id",
    }
    score(into="before", id_column="id")  # any earlier run made public.tweetscore_runs
    score(**elsewhere, scoring={"label_names": ("Neg", "Neu", "Pos")})
    score(into="f", id_column="id")
    done = score(**elsewhere)
    assert (done.rows, done.scored) == (4, 4)
    assert engine.rows(COUNTS.format("other.f")) == ENGLISH
    assert engine.rows(COUNTS.format("public.f")) == ENGLISH
    assert score(**elsewhere).scored == 0
    assert score(into="f", id_column="id").scored == 0
    assert len(engine.rows("SELECT target FROM other.tweetscore_runs")) == 1


@pytest.mark.parametrize("path", ["in the URL", "of the role"])
@pytest.mark.parametrize(
    ("table", "into"), [("other.q", "q"), ("q", "other.q"), ("postgres.other.q", "q")]
)
def test_a_table_is_its_own_by_way_of_the_search_path(
    engine: Engine, score: Score, table: str, into: str, path: str
) -> None:
    """The source is not dropped and made anew."""
    engine.run(
        "CREATE TABLE other.q AS SELECT 1 AS id, 'hi'::text AS text",
        "CREATE UNIQUE INDEX ON other.q (id)",
    )
    url = by_way_of(engine, "other,public") if path == "in the URL" else engine.url
    if path == "of the role":
        engine.run("ALTER ROLE scorer SET search_path = other, public")
    with pytest.raises(UsageError, match=OWN):
        score(url=url, table=table, into=into, overwrite=True)
    assert engine.rows("SELECT * FROM other.q") == [(1, "hi")]
    assert engine.rows("SELECT count(*) FROM pg_indexes WHERE tablename = 'q'") == [(1,)]


def test_a_table_of_another_schema_on_the_path_is_the_target(engine: Engine, score: Score) -> None:
    """As psql would write into it; where there is none it is made in the path's first schema."""
    engine.run('CREATE SCHEMA "Mart"')
    url = by_way_of(engine, '"Mart",public')
    score(into="Scored", id_column="id")
    score(url=url, into="Scored", id_column="id")
    score(url=url, into="New", id_column="id")
    where = "SELECT schemaname::text FROM pg_tables WHERE tablename = '{}'"
    assert engine.rows(where.format("Scored")) == [("public",)]
    assert engine.rows(where.format("New")) == [("Mart",)]


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_a_path_without_a_schema(
    engine: Engine, score: Score, stub: StubClassifier, path: str
) -> None:
    """Nothing can be made there."""
    with pytest.raises(OutputRefused, match="no schema has been selected to create in"):
        score(url=by_way_of(engine, path), table="public.tweets")
    assert stub.loads == 0


@pytest.mark.parametrize(
    ("url", "into"), [("", "pg_temp.f"), ("?options=-csearch_path%3Dpg_temp,public", "f")]
)
def test_a_temporary_table_is_refused(engine: Engine, score: Score, url: str, into: str) -> None:
    """It would be gone when the run ends."""
    with pytest.raises(UsageError, match="would be gone when the run ends"):
        score(url=engine.url + url, table="public.tweets", into=into)


def test_another_database_is_not_reached(score: Score) -> None:
    """A third part is the database that the URL names, or an error."""
    with pytest.raises(UsageError, match=r"in another database than postgres; name its"):
        score(into="warehouse.public.f")


@pytest.mark.parametrize(("table", "into"), [("p", "p_1"), ("p_1", "p"), ("p", "p_sub")])
def test_a_partition_is_its_tables_own(engine: Engine, score: Score, table: str, into: str) -> None:
    """In both directions and on each level: its rows are the other's rows."""
    engine.run(
        "CREATE TABLE p (id bigint, text text) PARTITION BY RANGE (id)",
        "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (id)",
        "CREATE TABLE p_sub PARTITION OF p_1 FOR VALUES FROM (0) TO (9)",
        "INSERT INTO p VALUES (1, 'hi')",
    )
    with pytest.raises(UsageError, match=OWN):
        score(table=table, into=into, overwrite=True)
    assert engine.rows("SELECT * FROM p_sub") == [(1, "hi")]


def test_a_table_made_anew_is_another_table(engine: Engine, score: Score) -> None:
    """What somebody puts under the old name is nobody's answer."""
    score(id_column="id")
    engine.run(
        "ALTER TABLE scored RENAME TO yesterday",
        "CREATE TABLE scored AS SELECT id, text, likes, 'mine'::text AS label, score "
        "FROM yesterday",
    )
    assert score(id_column="id").scored == 4
    assert engine.rows(COUNTS.format("scored")) == ENGLISH
    assert score(id_column="id").scored == 0


def test_a_name_alone_that_two_tables_have_means_neither(engine: Engine, score: Score) -> None:
    """An earlier version may have noted another schema's runs here; its word is not taken."""
    score(id_column="id")
    engine.run("UPDATE tweetscore_runs SET target = 'scored'")
    assert score(id_column="id").scored == 0
    engine.run(
        "UPDATE tweetscore_runs SET target = 'scored'",
        "CREATE TABLE other.scored AS SELECT * FROM scored",
    )
    assert score(id_column="id").scored == 4


def test_a_schema_that_may_not_be_used(engine: Engine, score: Score) -> None:
    """The source is unreadable, the target is refused; neither is to be tried again."""
    engine.run(
        "DROP ROLE IF EXISTS outsider",
        "CREATE ROLE outsider LOGIN PASSWORD 'out-pass'",
        "GRANT USAGE ON SCHEMA public TO outsider",
        "GRANT SELECT ON tweets TO outsider",
        "CREATE TABLE other.q AS SELECT 1 AS id, 'hi'::text AS text",
    )
    url = engine.url.replace("scorer@", "outsider:out-pass@")
    with pytest.raises(InputMissing, match="permission denied for schema other; grant"):
        score(url=url, table="other.q")
    with pytest.raises(OutputRefused, match="permission denied for schema other; check"):
        score(url=url, into="other.f")
