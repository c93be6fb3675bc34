"""The three engines as the tests talk to them: by connections of their own, never ours."""

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
from adbc_driver_postgresql import dbapi

Rows = list[tuple[Any, ...]]

_DROP_SCHEMAS = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT nspname FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', name);
        END LOOP;
    END $$
"""
INSTALLED = Path("/usr/lib/postgresql")  # where Debian keeps servers, out of PATH

SCHEMA = "CREATE TABLE tweets (id BIGINT, text VARCHAR(280), likes BIGINT)"
TWEETS = [
    (9007199254740993, "good +", 1),  # past what a double holds
    (2, "bad -", 2),
    (3, None, 3),
    (4, "plain", None),
]


class Engine(Protocol):
    """A real database with a table `tweets`."""

    name: str

    @property
    def url(self) -> str:
        """The argument of `tweetscore table`."""

    def run(self, *statements: str) -> None:
        """Run statements and commit."""

    def rows(self, query: str) -> Rows:
        """Return a result."""

    def tables(self) -> list[str]:
        """Return the names of all tables there are."""

    def locking(self) -> str:
        """Return Python code that locks `tweets` and `scored`, and ends with its process."""


def fill(engine: Engine) -> None:
    values = ", ".join(f"({i}, {literal(text)}, {literal(n)})" for i, text, n in TWEETS)
    engine.run(SCHEMA, f"INSERT INTO tweets VALUES {values}")  # noqa: S608  the literals above


def literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@dataclass
class InDuckDB:
    """A file of DuckDB."""

    path: Path
    name: str = "duckdb"

    @property
    def url(self) -> str:
        """Return the argument of `tweetscore table`."""
        return f"duckdb:///{self.path}"

    def run(self, *statements: str) -> None:
        """Run statements and commit."""
        with duckdb.connect(self.path) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query: str) -> Rows:
        """Return a result."""
        with duckdb.connect(self.path) as connection:
            return connection.execute(query).fetchall()

    def tables(self) -> list[str]:
        """Return the names of all tables there are."""
        return sorted(name for (name,) in self.rows("SELECT table_name FROM duckdb_tables()"))

    def locking(self) -> str:
        """Return Python code that locks it and ends with its process."""
        return f"import duckdb; c = duckdb.connect({str(self.path)!r})"


@dataclass
class InSQLite:
    """A file of SQLite."""

    path: Path
    name: str = "sqlite"

    @property
    def url(self) -> str:
        """Return the argument of `tweetscore table`."""
        return f"sqlite:///{self.path}"

    def run(self, *statements: str) -> None:
        """Run statements and commit."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query: str) -> Rows:
        """Return a result."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def tables(self) -> list[str]:
        """Return the names of all tables there are."""
        found = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        return sorted(name for (name,) in found)

    def locking(self) -> str:
        """Return Python code that locks it and ends with its process."""
        return (
            f"import sqlite3; c = sqlite3.connect({str(self.path)!r}, isolation_level=None); "
            "c.execute('BEGIN IMMEDIATE')"
        )


@dataclass
class InPostgreSQL:
    """A database on the server of the tests; the password is in PGPASSWORD."""

    server: "Server"
    database: str
    name: str = "postgresql"

    @property
    def url(self) -> str:
        """Return the argument of `tweetscore table`."""
        return f"postgresql://{self.server.user}@127.0.0.1:{self.server.port}/{self.database}"

    def run(self, *statements: str) -> None:
        """Run statements and commit."""
        with dbapi.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)

    def rows(self, query: str) -> Rows:
        """Return a result."""
        with dbapi.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            found: Rows = cursor.fetchall()
            return found

    def tables(self) -> list[str]:
        """Return the names of all tables there are."""
        query = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
        return sorted(name for (name,) in self.rows(query))

    def locking(self) -> str:
        """Return Python code that locks it and ends with its process."""
        return (
            f"from adbc_driver_postgresql import dbapi; c = dbapi.connect({self.url!r}); "
            "k = c.cursor(); k.execute('LOCK TABLE tweets, scored IN EXCLUSIVE MODE')"
        )


@dataclass
class Server:
    """A PostgreSQL server on loopback, with a cluster of its own in a temporary directory."""

    directory: Path
    port: int
    user: str = "scorer"
    password: str = "s3cret/+ %word"  # noqa: S105  of a server that lives as long as a test

    def empty(self, database: str = "postgres") -> InPostgreSQL:
        """Return a database without tables, and with one schema."""
        found = InPostgreSQL(self, database)
        found.run(_DROP_SCHEMAS, "CREATE SCHEMA public")
        return found


def _binary(name: str) -> Path:
    """Find a program of the server, which Debian keeps out of PATH."""
    versions = INSTALLED.glob(f"*/bin/{name}")
    newest = sorted(versions, key=lambda path: float(path.parts[-3]))[-1:]
    found = shutil.which(name)
    for path in (*newest, *([Path(found)] if found else [])):
        return path
    raise FileNotFoundError(
        f"no PostgreSQL server on this box (looked for {name} in {INSTALLED} and PATH); "
        "apt-get install postgresql"
    )


def _someone_else() -> dict[str, Any]:
    """Return how to start a program as who is not root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    who = _someone_else()
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        server = Server(Path(name), port)
        password = Path(name) / "password"
        password.write_text(server.password, "utf-8")
        if who:
            for path in (Path(name), password):
                shutil.chown(path, who["user"], who["group"])
        data = Path(name) / "data"

        def run(program: str, *words: str) -> None:
            command = [str(_binary(program)), "-D", str(data), *words]
            with (Path(name) / "log").open("a") as log:
                subprocess.run(command, stdout=log, stderr=log, cwd="/", check=True, **who)

        run(
            "initdb",
            *("-U", server.user, "-A", "scram-sha-256", f"--pwfile={password}"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={name}"
        run("pg_ctl", "-w", "-o", f"{settings} -c fsync=off", "start")
        try:
            yield server
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
