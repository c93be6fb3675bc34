"""What only a server has: roles, schemas, passwords; and the page's commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scorer.databases.address import parse_address, parse_table
from scorer.databases.checks import TableOptions
from scorer.databases.table_run import TableOutcome, score_table
from scorer.errors import InputMissing, OutputRefused
from scorer.options import ModelSpec, OutputSpec
from tests.databases.engines import Engine, InPostgreSQL
from tests.handles import handle_of
from tests.stubs import StubClassifier

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.ci,
    pytest.mark.parametrize("engine", ["postgresql"], indirect=True),
]


def score(url: str, stub: StubClassifier, into: str = "scored") -> TableOutcome:
    options = TableOptions(
        parse_address(url),
        parse_table("tweets"),
        parse_table(into),
        ModelSpec(),
        OutputSpec(),
        id_column="id",
    )
    return score_table(options, model=handle_of(stub))


def test_a_role_that_may_not_write(engine: Engine, stub: StubClassifier) -> None:
    """The error comes before the model is loaded."""
    engine.run(
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN PASSWORD 'reader-pass'",
        "GRANT USAGE ON SCHEMA public TO reader",
        "GRANT SELECT ON tweets TO reader",
    )
    url = engine.url.replace("scorer@", "reader:reader-pass@")
    with pytest.raises(OutputRefused, match="permission denied for schema public") as caught:
        score(url, stub)
    assert "reader-pass" not in str(caught.value)
    assert stub.loads == 0
    engine.run("REVOKE SELECT ON tweets FROM reader")
    with pytest.raises(InputMissing, match="permission denied for table tweets; grant"):
        score(url, stub)


def test_a_table_of_another_schema(engine: Engine, stub: StubClassifier) -> None:
    """With its runs beside it; a password in the URL is in no report."""
    engine.run('DROP SCHEMA IF EXISTS "Data mart" CASCADE', 'CREATE SCHEMA "Data mart"')
    password = os.environ["PGPASSWORD"]
    url = engine.url.replace("scorer@", "scorer:s3cret%2F%2B%20%25word@")
    for scored in (4, 0):
        done = score(url, stub, "Data mart.Scored")
        assert done.scored == scored
        assert "***" in done.report["database"]
        assert password not in str(done.report)
        assert "s3cret" not in str(done.report)
    assert len(engine.rows('SELECT * FROM "Data mart"."Scored"')) == 4
    ((target, rows),) = engine.rows('SELECT target, scored_rows FROM "Data mart".tweetscore_runs')
    assert re.fullmatch(r'"Data mart"\."Scored" \(oid \d+\)', target)
    assert rows == 0


def test_the_pages_commands_run(engine: Engine, tmp_path: Path) -> None:
    """docs/databases.md, the fence of PostgreSQL, line by line as a person would."""
    assert isinstance(engine, InPostgreSQL)
    page = (ROOT / "docs" / "databases.md").read_text("utf-8")
    (fence,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    engine.run(
        "DROP DATABASE IF EXISTS warehouse",
        "CREATE DATABASE warehouse",
        "DROP ROLE IF EXISTS me",
        "CREATE ROLE me SUPERUSER LOGIN PASSWORD 'mine'",
    )
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    (tmp_path / ".pgpass").write_text(f"localhost:{engine.server.port}:warehouse:me:mine\n")
    (tmp_path / ".pgpass").chmod(0o600)
    done = subprocess.run(
        ["sh", "-e", "-c", fence],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PGPASSFILE": str(tmp_path / ".pgpass"),  # libpq asks the system for a home
            "PGPORT": str(engine.server.port),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "scored: 296 rows, all of them scored: " in done.stderr
    assert "scored: 296 rows, none of them new" in done.stderr
    assert "positive" in done.stdout
