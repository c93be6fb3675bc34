"""Rows never leave their engine: what they hold, and its type, is the same in the new table."""

import re
from typing import Any

import pytest

from scorer.databases.address import parse_address, parse_table
from scorer.databases.checks import TableOptions
from scorer.databases.table_run import score_table
from scorer.errors import DataError
from scorer.options import ModelSpec, OutputSpec
from tests.databases.engines import Engine
from tests.handles import handle_of
from tests.stubs import StubClassifier

COLUMNS = {
    "duckdb": {
        "a": ("HUGEINT", "170141183460469231731687303715884105727"),
        "b": ("DECIMAL(38,3)", "12345678901234567890123456789012345.678"),
        "c": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ '2026-11-24 01:02:03.456789+05:30'"),
        "d": ("TIMESTAMP_NS", "TIMESTAMP_NS '2026-11-24 01:02:03.123456789'"),
        "e": ("BLOB", r"'\x00\xFF\x27'::BLOB"),
        "f": ("STRUCT(x INTEGER, y VARCHAR[])", "{'x': 1, 'y': ['a', NULL]}"),
        "g": ("MAP(VARCHAR, DOUBLE)", "MAP {'k': 0.1}"),
        "h": ("ENUM('sad', 'ok')", "'ok'"),
        "i": ("UUID", "'00112233-4455-6677-8899-aabbccddeeff'"),
        "j": ("INTERVAL", "INTERVAL '1 month 2 days'"),
        "k": ("DOUBLE", "'nan'::DOUBLE"),
        "l": ("BIT", "'0101'::BIT"),
        "m": ("UBIGINT", "18446744073709551615"),
    },
    "postgresql": {
        "a": ("numeric(38,3)", "12345678901234567890123456789012345.678"),
        "b": ("timestamp with time zone", "'2026-11-24 01:02:03.456789+05:30'"),
        "c": ("timestamp(3) without time zone", "'2026-11-24 01:02:03.456'"),
        "d": ("bytea", r"'\x00ff27'"),
        "e": ("jsonb", """'{"a": [1, null]}'"""),
        "f": ("json", """'{"b":1,  "b":2}'"""),
        "g": ("uuid", "'00112233-4455-6677-8899-aabbccddeeff'"),
        "h": ("integer[]", "'{1,NULL,3}'"),
        "i": ("int4range", "'[1,5)'"),
        "j": ("interval", "'1 mon 2 days 00:00:00.5'"),
        "k": ("double precision", "'NaN'"),
        "l": ("inet", "'10.0.0.0/8'"),
        "m": ("mood", "'ok'"),
        "n": ("character varying(9)", "'x '"),
        "o": ("numeric", "'0.1000'"),
    },
}


def score(engine: Engine, stub: StubClassifier, **wanted: Any) -> None:
    options = TableOptions(
        parse_address(engine.url),
        parse_table("typed"),
        parse_table("scored"),
        ModelSpec(),
        OutputSpec(),
        id_column="id",
        **wanted,
    )
    score_table(options, model=handle_of(stub))


def types(engine: Engine, table: str) -> list[tuple[Any, ...]]:
    if engine.name == "duckdb":
        return [row[:2] for row in engine.rows(f"DESCRIBE {table}")]
    return engine.rows(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "  # noqa: S608  constants
        f"WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
    )


@pytest.mark.parametrize(
    "engine", ["duckdb", pytest.param("postgresql", marks=pytest.mark.ci)], indirect=True
)
def test_every_type_goes_through(engine: Engine, stub: StubClassifier) -> None:
    """Types as the engine names them, values as the engine compares them, nulls too."""
    if engine.name == "postgresql":
        engine.run("DROP TYPE IF EXISTS mood", "CREATE TYPE mood AS ENUM ('sad', 'ok')")
    columns = COLUMNS[engine.name]
    declared = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
    values = ", ".join(value for _, value in columns.values())
    nulls = ", ".join("NULL" for _ in columns)
    engine.run(
        f"CREATE TABLE typed (id BIGINT, text VARCHAR(80), {declared})",
        f"INSERT INTO typed VALUES (9007199254740993, 'good +', {values}), (1, NULL, {nulls})",  # noqa: S608  constants
    )
    for _ in range(2):  # made, and replaced
        score(engine, stub)
    *same, label, score_ = types(engine, "scored")
    assert same == types(engine, "typed")
    assert (label[1].lower(), score_[1].lower()) in {("text", "real"), ("varchar", "float")}
    shown = ", ".join(["id", "text", *map("CAST({} AS TEXT)".format, columns)])
    there, here = (
        engine.rows(f"SELECT {shown} FROM {table} ORDER BY id")  # noqa: S608  constants
        for table in ("typed", "scored")
    )
    assert there == here
    assert len(there) == 2


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_values_of_sqlite_keep_their_types(engine: Engine, stub: StubClassifier) -> None:
    """Each has its own, whatever its column or its neighbours are."""
    engine.run("CREATE TABLE typed (id INTEGER PRIMARY KEY, text, v, d DECIMAL(9,2), w ANY)")
    for i, value in enumerate(("1", "'1'", "1.0", "x'31'", "NULL", "9223372036854775807", "1e300")):
        engine.run(f"INSERT INTO typed VALUES ({i}, 'good +', {value}, {value}, {value})")  # noqa: S608  constants
    score(engine, stub)
    query = "SELECT id, v, typeof(v), d, typeof(d), w, typeof(w) FROM {} ORDER BY id"
    assert engine.rows(query.format("scored")) == engine.rows(query.format("typed"))


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("17", "column 'text' of typed is integer in row 2, not text; leave such rows out"),
        ("x'ff'", "column 'text' of typed is blob in row 2, not text;"),
        ("CAST(x'ff' AS TEXT)", "a text in the 2 rows from row 1 on is not valid UTF-8;"),
    ],
)
def test_what_is_no_text_in_sqlite_is_named(
    engine: Engine, stub: StubClassifier, value: str, problem: str
) -> None:
    """A column may hold anything: one value that is no text ends the run."""
    engine.run("CREATE TABLE typed (id, text)")
    engine.run(f"INSERT INTO typed VALUES (1, NULL), (2, {value})")  # noqa: S608  constants
    with pytest.raises(DataError, match=problem):
        score(engine, stub)
    assert stub.loads == 0


def test_texts_begin_with_many_nulls(engine: Engine, stub: StubClassifier) -> None:
    """A driver that infers types from the first rows is not led astray; NUL and emoji are text."""
    nulls = ", ".join(f"({i}, NULL)" for i in range(3000))
    engine.run(
        "CREATE TABLE typed (id BIGINT, text VARCHAR(80))",
        f"INSERT INTO typed VALUES {nulls}",  # noqa: S608  constants
        "INSERT INTO typed VALUES (3000, 'é 😀 +')",
    )
    score(engine, stub)
    query = "SELECT label, count(*) FROM scored GROUP BY label ORDER BY count(*)"
    assert engine.rows(query) == [("positive", 1), (None, 3000)]


@pytest.mark.parametrize(
    ("engine", "kind", "value"),
    [
        ("duckdb", "VARCHAR[]", "['good +']"),
        ("duckdb", "VARCHAR[1]", "['good +']"),
        pytest.param("postgresql", "text[]", "'{good +}'", marks=pytest.mark.ci),
        pytest.param("postgresql", "json", "'{}'", marks=pytest.mark.ci),
    ],
    indirect=["engine"],
)
def test_a_list_of_texts_is_no_text(
    engine: Engine, stub: StubClassifier, kind: str, value: str
) -> None:
    """It would be scored with its brackets."""
    engine.run(
        f"CREATE TABLE typed (id BIGINT, text {kind})",
        f"INSERT INTO typed VALUES (1, {value})",  # noqa: S608  constants
    )
    with pytest.raises(DataError, match=f"is {re.escape(kind)}, not text; name another with"):
        score(engine, stub)
    assert stub.loads == 0
