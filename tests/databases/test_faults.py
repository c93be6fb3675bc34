"""What engines report: one line, with the code of its kind, and never "run again" in vain."""

import os
import shlex
import socket
from pathlib import Path
from typing import Any

import duckdb
import pytest
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_manager import dbapi as adbc

from scorer.databases import open_database
from scorer.databases.address import Address, parse_address
from scorer.databases.duckdb import _translated as of_duckdb
from scorer.databases.engine import Faults, Kind
from scorer.databases.postgresql import _kind as kind_of_postgresql
from scorer.databases.postgresql import _unreached, _with_timeout
from scorer.databases.sqlite import _translated as of_sqlite
from scorer.errors import InputMissing, TweetscoreError
from tests.databases.conftest import Score
from tests.databases.engines import Engine
from tests.stubs import StubClassifier

IN_POSTGRESQL = [
    pytest.mark.ci,
    pytest.mark.parametrize("engine", ["postgresql"], indirect=True),
]


def line_of(score: Score, code: int, **wanted: Any) -> str:
    """Return the one line that a run ends with, which is not to be run again as it is."""
    with pytest.raises(TweetscoreError) as caught:
        score(**wanted)
    line = str(caught.value)
    assert caught.value.exit_code == code, line
    assert "\n" not in line
    assert "run again" not in line
    return line


def exit_codes(error: Exception, translated: Any) -> tuple[int, int]:
    """Return the codes of an error while the source is read, and while the table is written."""
    faults = Faults("place")
    with faults.reading("--query"):
        reading = translated(error, faults)
    return reading.exit_code, translated(error, faults).exit_code


def test_every_kind_has_a_line_in_both_directions() -> None:
    """None of them is a traceback."""
    faults = Faults("place")
    for kind in Kind:
        with faults.reading("--table"):
            assert faults.error(kind, "words").problem == "place: words"
        assert faults.error(kind, "words").remedy
        assert faults.error(kind, "words").exit_code in {65, 71, 73, 74, 75}


@pytest.mark.parametrize(
    ("error", "words", "codes"),
    [
        (adbc.ProgrammingError, 'near "FORM": syntax error', (2, 73)),
        (adbc.ProgrammingError, "incomplete input", (2, 73)),
        (adbc.ProgrammingError, "no such table: main.gone", (66, 73)),
        (adbc.ProgrammingError, "unknown database nowhere", (66, 73)),
        (adbc.ProgrammingError, "no such column: gone", (65, 73)),
        (adbc.ProgrammingError, "no such function: gone", (65, 73)),
        (adbc.ProgrammingError, "cannot modify v because it is a view", (65, 73)),
        (adbc.ProgrammingError, "object name reserved for internal use: sqlite_a", (65, 73)),
        (adbc.IntegrityError, "UNIQUE constraint failed: scored.id", (65, 65)),
        (adbc.IntegrityError, "database is locked, says a trigger", (65, 65)),
        (adbc.OperationalError, "integer overflow", (65, 65)),
        (adbc.OperationalError, "malformed JSON", (65, 65)),
        (adbc.OperationalError, "database is locked", (75, 75)),
        (adbc.OperationalError, "database table is locked: scored", (75, 75)),
        (adbc.OperationalError, "attempt to write a readonly database", (73, 73)),
        (adbc.OperationalError, "unable to open database file", (73, 73)),
        (adbc.OperationalError, "database or disk is full", (74, 74)),
        (adbc.OperationalError, "disk I/O error", (74, 74)),
        (adbc.OperationalError, "database disk image is malformed", (65, 65)),
        (adbc.OperationalError, "file is not a database", (65, 65)),
    ],
)
def test_kinds_of_sqlite(error: type[adbc.Error], words: str, codes: tuple[int, int]) -> None:
    """SQLite's own texts, under the class that its driver gives them."""
    status = AdbcStatusCode.INTERNAL
    made = error(f"IO: Failed to step query: {words}\nquery: SELECT 1", status_code=status)
    assert exit_codes(made, of_sqlite) == codes


@pytest.mark.parametrize(
    ("error", "words", "codes"),
    [
        (duckdb.ParserException, "Parser Error: syntax error", (2, 73)),
        (duckdb.BinderException, "Binder Error: DML statements are not allowed", (2, 73)),
        (duckdb.CatalogException, "Catalog Error: Table with name gone does not exist!", (66, 73)),
        (duckdb.CatalogException, "Catalog Error: Schema with name gone does not exist!", (66, 73)),
        (duckdb.CatalogException, "Catalog Error: Scalar Function with name g does", (65, 73)),
        (duckdb.BinderException, "Binder Error: Referenced column gone not found", (65, 73)),
        (duckdb.CatalogException, 'Catalog Error: Existing object "v" is of type View', (65, 73)),
        (duckdb.DependencyException, "Dependency Error: entries that depend on it.", (65, 73)),
        (duckdb.ConstraintException, "Constraint Error: Duplicate key", (65, 65)),
        (duckdb.ConversionException, "Conversion Error: Could not convert", (65, 65)),
        (duckdb.InvalidInputException, "Invalid Input Error: boom", (65, 65)),
        (duckdb.OutOfRangeException, "Out of Range Error: Overflow", (65, 65)),
        (duckdb.NotImplementedException, "Not implemented Error: a type", (65, 65)),
        (duckdb.PermissionException, "Permission Error: disabled", (66, 73)),
        (duckdb.IOException, 'IO Error: No files found that match the pattern "a"', (66, 73)),
        (duckdb.IOException, "IO Error: Cannot open file: Permission denied", (73, 73)),
        (duckdb.IOException, "IO Error: Could not write: No space left on device", (74, 74)),
        (duckdb.IOException, "IO Error: Could not set lock on file: (PID 7)", (75, 75)),
        (duckdb.TransactionException, "TransactionContext Error: Conflict on tuple", (75, 75)),
        (duckdb.OutOfMemoryException, "Out of Memory Error: could not allocate", (71, 71)),
        (duckdb.IOException, "IO Error: Corrupt database file: checksum", (65, 65)),
        (duckdb.IOException, "IO Error: Could not read enough bytes from file", (65, 65)),
        (duckdb.FatalException, "FATAL Error: database has been invalidated", (74, 74)),
    ],
)
def test_kinds_of_duckdb(error: type[duckdb.Error], words: str, codes: tuple[int, int]) -> None:
    """DuckDB's classes, and its words where one class has several kinds."""
    assert exit_codes(error(f"{words}\n\nLINE 1: SELECT"), of_duckdb) == codes


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("42601", Kind.SYNTAX),
        ("42P02", Kind.SYNTAX),
        ("0A000", Kind.UNSUPPORTED),
        ("42P01", Kind.MISSING),
        ("3F000", Kind.MISSING),
        ("42703", Kind.NAME),
        ("42883", Kind.NAME),
        ("42704", Kind.NAME),
        ("42P16", Kind.NAME),
        ("42501", Kind.DENIED),
        ("25006", Kind.READ_ONLY),
        ("2BP01", Kind.BLOCKED),
        ("42809", Kind.BLOCKED),
        ("22012", Kind.VALUE),
        ("23505", Kind.VALUE),
        ("P0001", Kind.VALUE),
        ("44000", Kind.VALUE),
        ("MY001", Kind.VALUE),
        ("55P03", Kind.LOCKED),
        ("40P01", Kind.LOCKED),
        ("40001", Kind.LOCKED),
        ("57014", Kind.TIMEOUT),
        ("25P04", Kind.TIMEOUT),
        ("53100", Kind.FULL),
        ("53400", Kind.FULL),
        ("53200", Kind.MEMORY),
        ("53300", Kind.LOST),
        ("57P01", Kind.LOST),
        ("57P05", Kind.LOST),
        ("08006", Kind.LOST),
        ("XX000", Kind.BROKEN),
        ("XX001", Kind.DAMAGED),
        ("58030", Kind.IO),
    ],
)
def test_kinds_of_postgresql(state: str, kind: Kind) -> None:
    """By SQLSTATE, in whichever language the server speaks."""
    made = adbc.OperationalError("words", status_code=AdbcStatusCode.IO, sqlstate=state)
    assert kind_of_postgresql(made) is kind


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("FATAL:  sorry, too many clients already", 74),
        ("FATAL:  the database system is starting up", 74),
        ('invalid URI query parameter: "nosuch"', 2),
        ('invalid percent-encoded token: "s3%"', 2),
        ('could not translate host name "nowhere" to address', 66),
        ('FATAL:  password authentication failed for user "me"', 66),
    ],
)
def test_logins_that_fail(words: str, code: int) -> None:
    """A server that is busy is not one that is not there; a password is in no line."""
    address = Address("postgresql", "", "postgresql://me:***@host/db", ("s3%",))
    error = _unreached(address, words)
    assert error.exit_code == code
    assert "s3%" not in str(error)


def test_a_constraint_is_about_the_rows(engine: Engine, score: Score) -> None:
    """The same rows would be refused again."""
    engine.run(
        "CREATE TABLE scored (id BIGINT, text VARCHAR(280), likes BIGINT CHECK (likes > 1),"
        + {"duckdb": "label VARCHAR, score FLOAT)"}.get(engine.name, "label TEXT, score REAL)")
    )
    line = line_of(score, 65, id_column="id")
    assert line.endswith("; check the rows against the table's constraints and triggers")
    assert engine.rows("SELECT * FROM scored") == []


@pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.ci)], indirect=True
)
def test_what_a_trigger_raises_is_about_the_rows(engine: Engine, score: Score) -> None:
    """In its own words; the table stays as it was."""
    score(id_column="id")
    before = engine.rows("SELECT id, label FROM scored ORDER BY id")
    if engine.name == "sqlite":
        engine.run(
            "CREATE TRIGGER no BEFORE INSERT ON scored "
            "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
    else:
        engine.run(
            "CREATE OR REPLACE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''disk I/O error'' USING ERRCODE = ''MY001''; END'",
            "CREATE TRIGGER no BEFORE INSERT ON scored FOR EACH ROW EXECUTE FUNCTION no()",
        )
    line = line_of(score, 65, id_column="id", scoring={"incremental": False})
    assert "disk I/O error; check the rows against the table's constraints and triggers" in line
    assert engine.rows("SELECT id, label FROM scored ORDER BY id") == before


def test_a_value_that_cannot_be_computed(engine: Engine, score: Score) -> None:
    """The query says which; no server is to be asked again."""
    compute = {
        "duckdb": "CAST(text AS INTEGER)",
        "sqlite": "abs(-9223372036854775807 - id / id)",
        "postgresql": "1 / (id - id)",
    }[engine.name]
    line = line_of(score, 65, query=f"SELECT {compute} AS id, text FROM tweets")  # noqa: S608
    assert line.endswith("; leave such rows out, or cast them, with --query")


class TestServer:
    """What only a server has."""

    pytestmark = IN_POSTGRESQL

    def test_a_statement_timeout(self, engine: Engine, score: Score) -> None:
        """The line says how to raise it."""
        url = f"{engine.url}?options=-cstatement_timeout%3D1000"
        query = "SELECT id, text FROM tweets, pg_sleep(600)"
        line = line_of(score, 66, url=url, query=query)
        assert "canceling statement due to statement timeout; raise statement_timeout" in line
        assert "?options=-cstatement_timeout%3D0 to DATABASE" in line

    def test_a_session_that_is_ended_meanwhile(
        self, engine: Engine, score: Score, stub: StubClassifier
    ) -> None:
        """This may be run again: the server, not the call, was at fault."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
        stub.before_scoring = lambda: engine.run(
            f"{others} pg_backend_pid() AND backend_type = 'client backend'"
        )
        with pytest.raises(TweetscoreError, match=r"; run again; if the server ends") as caught:
            score()
        assert caught.value.exit_code == 74
        assert "\n" not in str(caught.value)
        assert engine.tables() == ["tweets"]

    def test_a_database_that_takes_no_changes(
        self, engine: Engine, score: Score, stub: StubClassifier
    ) -> None:
        """It is said before the query runs."""
        url = f"{engine.url}?options=-cdefault_transaction_read_only%3Don"
        assert "takes no changes: it is a standby" in line_of(score, 73, url=url)
        assert stub.loads == 0

    def test_a_user_without_temporary_tables(self, engine: Engine, score: Score) -> None:
        """The line is the statement that helps, but for the user's name."""
        engine.run(
            "DROP ROLE IF EXISTS plain",
            "CREATE ROLE plain LOGIN PASSWORD 'plain-pass'",
            "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC",
        )
        url = engine.url.replace("scorer@", "plain:plain-pass@")
        try:
            line = line_of(score, 73, url=url)
        finally:
            engine.run("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")
        assert line.endswith('; GRANT TEMPORARY ON DATABASE "postgres" to the user')

    def test_a_view_in_the_way(self, engine: Engine, score: Score) -> None:
        """The table cannot be made anew under it."""
        engine.run("CREATE TABLE scored AS SELECT 1 AS x", "CREATE VIEW v AS SELECT * FROM scored")
        line = line_of(score, 73, overwrite=True)
        assert "because other objects depend on it; name another table with --into" in line

    def test_a_type_that_no_table_holds(self, engine: Engine, score: Score) -> None:
        """A pseudo-type: the query is to cast it."""
        line = line_of(score, 65, query="SELECT ROW(1, 2) AS r, text FROM tweets")
        assert 'column "r" has pseudo-type record; check --query' in line

    def test_a_privilege_on_the_target(
        self, engine: Engine, score: Score, stub: StubClassifier
    ) -> None:
        """It is missing again next time; the model is not loaded for it."""
        score(id_column="id")
        engine.run(
            "DROP ROLE IF EXISTS looker",
            "CREATE ROLE looker LOGIN PASSWORD 'look-pass'",
            "GRANT SELECT ON tweets, scored TO looker",
            "GRANT USAGE ON SCHEMA public TO looker",
        )
        loads = stub.loads
        url = engine.url.replace("scorer@", "looker:look-pass@")
        line = line_of(score, 73, url=url, id_column="id")
        assert "permission denied for table" in line
        assert "look-pass" not in line
        assert stub.loads == loads


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_damaged_file(engine: Any, score: Score) -> None:
    """The disk's fault or not: another try finds the same bytes."""
    path: Path = engine.path
    engine.run("CREATE TABLE more AS SELECT * FROM tweets")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    line = line_of(score, 65)
    assert "malformed; check the database with its own tools, or restore it" in line


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"], indirect=True)
def test_a_file_of_the_other_engine(engine: Any, score: Score, stub: StubClassifier) -> None:
    """The line has the URL that opens it; DuckDB would look for an extension."""
    right = parse_address(engine.url).kind
    wrong = "duckdb" if right == "sqlite" else "sqlite"
    line = line_of(score, 65, url=f"{wrong}:///{engine.path}")
    assert line.endswith(f"database; write {shlex.quote(f'{right}:///{engine.path}')}")
    assert stub.loads == 0


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_file_that_is_cut(engine: Any, score: Score) -> None:
    """The disk's fault or not: another try finds the same bytes."""
    os.truncate(engine.path, 9000)
    line = line_of(score, 65)
    assert line.endswith("check the database with its own tools, or restore it")


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_directory_that_takes_no_log(
    engine: Engine, score: Score, stub: StubClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out before the model works; a stub for the system, as root may write anywhere."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written, where DuckDB keeps a log of" in line_of(score, 73)
    assert stub.loads == 0


@pytest.mark.parametrize("given", ["in the URL", "in the environment"])
def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """After the seconds that the user says, and some of ours where nobody does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db"
        assert _with_timeout(url) == f"{url}?connect_timeout=60"
        if given == "in the URL":
            url += "?connect_timeout=2"
        else:
            monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
        assert _with_timeout(url) == url
        with (
            pytest.raises(InputMissing, match=r"cannot be reached: .*timeout expired"),
            open_database(parse_address(url), tmp_path, 0),
        ):
            pass
