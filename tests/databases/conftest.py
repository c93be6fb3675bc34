from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scorer.databases.address import parse_address, parse_table
from scorer.databases.checks import TableOptions
from scorer.databases.table_run import TableOutcome, score_table
from scorer.options import ModelSpec, OutputSpec, pop_spec
from tests.databases.engines import Engine, InDuckDB, InSQLite, Server, fill, running_server
from tests.handles import handle_of
from tests.stubs import StubClassifier

Score = Callable[..., TableOutcome]


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
def score(engine: Engine, stub: StubClassifier) -> Score:
    """Score tweets into scored, but for what is said otherwise."""

    def run(**wanted: Any) -> TableOutcome:
        asked, model = wanted.pop("query", None), wanted.pop("model_stub", stub)
        source = parse_table(wanted.pop("table", "tweets")) if asked is None else asked
        scoring = dict(wanted.pop("scoring", {}))
        options = TableOptions(
            parse_address(wanted.pop("url", engine.url)),
            source,
            parse_table(wanted.pop("into", "scored")),
            pop_spec(ModelSpec, scoring),
            pop_spec(OutputSpec, scoring),
            **{"lock_wait": 0, **scoring, **wanted},
        )
        return score_table(options, model=handle_of(model))

    return run
