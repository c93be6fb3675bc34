from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.engines import Engine, InDuckDB, InSQLite, Server, fill, running_server
from tests.pipeline.conftest import StubClassifier


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a PostgreSQL server; without one on the box the tests fail."""
    with running_server() as started:
        yield started


@pytest.fixture(params=["duckdb", "sqlite", pytest.param("postgresql", marks=pytest.mark.ci)])
def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """Return a database of each engine in turn, with a table `tweets`."""
    made: Engine
    if request.param == "duckdb":
        made = InDuckDB(tmp_path / "a base.duckdb")
    elif request.param == "sqlite":
        made = InSQLite(tmp_path / "a base?#%41.db")
    else:
        server: Server = request.getfixturevalue("server")
        monkeypatch.setenv("PGPASSWORD", server.password)
        made = server.empty()
    fill(made)
    return made


@pytest.fixture
def stub() -> StubClassifier:
    return StubClassifier()
