"""What stands between a URL and a database."""

import os
import sys
from pathlib import Path

import pytest

from scorer.databases import open_database
from scorer.databases.address import TableName, parse_address, parse_table
from scorer.errors import (
    DataError,
    InputMissing,
    MissingExtra,
    OutputRefused,
    StorageError,
    UsageError,
)
from tests.databases.engines import Engine


@pytest.mark.parametrize(
    ("url", "kind", "where"),
    [
        ("duckdb:///a/b.duckdb", "duckdb", "a/b.duckdb"),
        ("SQLITE:////data/a b%41?#.db", "sqlite", "/data/a b%41?#.db"),
        ("postgres://me@host/db", "postgresql", "postgres://me@host/db"),
        ("postgresql:///db?host=/run/pg", "postgresql", "postgresql:///db?host=/run/pg"),
    ],
)
def test_urls_are_as_sqlalchemy_writes_them(url: str, kind: str, where: str) -> None:
    """Three slashes before a relative path, four before an absolute one; libpq takes its own."""
    address = parse_address(url)
    assert (address.kind, address.where, address.shown) == (kind, where, url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tweets.db", "DATABASE is no URL of a database; write it like sqlite:///tweets.db"),
        ("mysql://root:s3cret@h/d", "DATABASE is no URL of a database"),
        ("sqlite://data/x.db", "names no file; write sqlite:///relative/path or sqlite:////"),
        ("duckdb:///", "names no file"),
        ("postgresql://u:s3cret@[h/d", "the URL of the PostgreSQL database is malformed"),
        ("postgresql:u:s3cret", "the URL of the PostgreSQL database is malformed"),
        ("postgresql://u:12/s3cret@h/d", "malformed; write / in a login as %2F"),
    ],
)
def test_a_url_that_is_none_is_not_repeated(url: str, words: str) -> None:
    """It may hold a password."""
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3%3Acret@host:5432/db",
        "postgresql://me:s3:cret@host/db?sslmode=require",
        "postgresql://me:s3:cret@host1,host2/db",
        "postgresql://host/db?user=me&password=s3%3Acret",
        "postgresql:///db?password=s3:cret&host=/run/x",
    ],
)
def test_passwords_are_not_shown(url: str) -> None:
    """Neither as they are written nor as they are meant; all else is."""
    address = parse_address(url)
    assert "cret" not in address.shown
    assert "***" in address.shown
    assert "/db" in address.shown
    assert "host" in address.shown
    assert address.hide('login "s3:cret" (s3%3Acret)') == 'login "***" (***)'


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3kr:t#s3kr:t@host/db",
        "postgresql://me:s3kr:t?s3kr:t@host/db",
        "postgresql://me:s3kr:t@s3kr:t@host/db?sslmode=require#frag",
        "postgresql://host/db?PASSWORD=s3kr:t",
        "postgresql://host/db?passw%6Frd=s3kr:t",
        "postgresql://host/db?oauth_client_secret=s3kr:t",
    ],
)
def test_passwords_are_not_shown_where_libpq_finds_them(url: str) -> None:
    """A login ends at the first slash, not at ? or #; other libpqs have other parameters."""
    address = parse_address(url)
    assert "s3kr" not in address.shown
    assert "host/db" in address.shown
    assert "s3kr" not in address.hide(url)


def test_a_password_with_a_plus_is_hidden_as_libpq_reads_it() -> None:
    """In a URL of libpq a plus is a plus."""
    address = parse_address("postgresql://host/db?password=a+b%20c")
    assert address.hide("a+b%20c, a+b c") == "***, ***"
    assert address.shown == "postgresql://host/db?password=***"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("tweets", ("tweets",)),
        ("mart.Scored tweets", ("mart", "Scored tweets")),
        ('"a.b"."c""d"', ("a.b", 'c"d')),
        ('db."s".t', ("db", "s", "t")),
    ],
)
def test_names_of_tables(name: str, parts: tuple[str, ...]) -> None:
    """Dots part schema and table; in quotes anything goes."""
    assert parse_table(name) == TableName(parts)
    assert parse_table(str(TableName(parts))) == TableName(parts)


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", '"a', '"a"b', '""', "a.b.c.d", "a\0b"])
def test_what_is_no_name_of_a_table(name: str) -> None:
    """It is an error in the call, quoted as it was written."""
    with pytest.raises(UsageError, match="is no name of a table"):
        parse_table(name)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_file_that_is_not_there_is_not_made(kind: str, tmp_path: Path) -> None:
    """As the engines would, with a new and empty database."""
    path = tmp_path / "gone.db"
    with (
        pytest.raises(InputMissing, match=f"{path} does not exist"),
        open_database(parse_address(f"{kind}:///{path}"), tmp_path, 0),
    ):
        pass
    assert not path.exists()


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_pipe_is_no_database_and_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """Nobody writes into it, and no engine could go back in it."""
    os.mkfifo(path := tmp_path / "pipe.db")
    with (
        pytest.raises(DataError, match=f"{path} is a pipe, not a regular file"),
        open_database(parse_address(f"{kind}:///{path}"), tmp_path, 0),
    ):
        pass


@pytest.mark.parametrize(("kind", "name"), [("duckdb", "DuckDB"), ("sqlite", "SQLite")])
def test_a_file_of_something_else(kind: str, name: str, tmp_path: Path) -> None:
    """It is named as what it is not."""
    (path := tmp_path / "notes.db").write_text("my diary " * 1000, "utf-8")
    with (
        pytest.raises(DataError, match=f"{path} is no {name} database; check the name"),
        open_database(parse_address(f"{kind}:///{path}"), tmp_path, 0) as database,
        database.session() as session,
    ):
        session.columns(TableName(("main", "notes")))


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "postgresql"])
def test_a_missing_extra_is_one_line(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    for library in ("duckdb", "adbc_driver_sqlite", "adbc_driver_postgresql"):
        monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.delitem(sys.modules, f"scorer.databases.{library.split('_')[-1]}", False)
    with pytest.raises(MissingExtra, match=r"try: .* -m pip install .*\[databases\]"):
        open_database(parse_address(f"{kind}:///x"), tmp_path, 0)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """A clear line with the host, without the password."""
    address = parse_address("postgresql://me:s3cret@127.0.0.1:1/db")
    with (
        pytest.raises(InputMissing, match=r"me:\*\*\*@127.0.0.1:1/db cannot be reached: .*refused"),
        open_database(address, tmp_path, 0),
    ):
        pass


@pytest.mark.ci
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("scorer@", "scorer:wr0ng@"), "password authentication failed"),
        (("/postgres", "/nosuch"), 'database "nosuch" does not exist'),
    ],
)
def test_a_server_that_says_no(
    engine: Engine, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    """In its own words, in one line."""
    with (
        pytest.raises(InputMissing, match=words) as caught,
        open_database(parse_address(engine.url.replace(*change)), tmp_path, 0),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert "wr0ng" not in str(caught.value)


@pytest.mark.ci
def test_a_missing_server_is_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of PostgreSQL fail without one, and say what to install."""
    from tests.databases import engines

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(engines, "INSTALLED", Path("/nowhere"))
    with (
        pytest.raises(FileNotFoundError, match="apt-get install postgresql"),
        engines.running_server(),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("IO Error: Cannot open file: Permission denied", OutputRefused),
        ("IO Error: Cannot write: Read-only file system", OutputRefused),
        ("IO Error: Could not write file: No space left on device", StorageError),
    ],
)
def test_what_the_system_refuses_duckdb(
    words: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stub for the engine: root, who may run this test, is refused nothing."""
    import duckdb

    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(words)

    monkeypatch.setattr(duckdb, "connect", refuse)
    (path := tmp_path / "some.duckdb").touch()
    with (
        pytest.raises(error, match=words.rpartition(":")[2]),
        open_database(parse_address(f"duckdb:///{path}"), tmp_path, 0) as database,
        database.session(),
    ):
        pass
