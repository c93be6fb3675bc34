"""SIGKILL to a real process at every statement: the table is as it was, or complete."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases.engines import Engine
from tests.forks.fork_server import ForkServer

NEVER = -1
CHANGES = (
    "UPDATE tweets SET text = 'changed -' WHERE id = 4",
    "INSERT INTO tweets VALUES (5, 'new +', 5)",
    "DELETE FROM tweets WHERE id = 2",
)


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int  # negative: the signal that ended it
    statements: int
    stderr: str


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    server = ForkServer("tests.databases.killed")
    yield server
    server.close()


def run(forks: ForkServer, engine: Engine, scratch: Path, die_before: int) -> Ended:
    """Run tweetscore table in a process that kills itself before a statement."""
    words = ["table", engine.url, "--table=tweets", "--into=scored", "--no-incremental"]
    environment = {"TMPDIR": str(scratch), "PGPASSWORD": os.environ.get("PGPASSWORD", "")}
    said, stderr = scratch / "said", scratch / "stderr"
    said.write_text("0")
    with stderr.open("wb") as file, Path(os.devnull).open("r+b") as null:
        streams = [null.fileno(), null.fileno(), file.fileno()]
        asked = forks.fork(
            [*words, "--id-column=id"],
            scratch,
            streams,
            "tests.databases.killed",
            last=die_before,
            said=str(said),
            environment=environment,
        )
    with asked:
        asked.settimeout(120)
        _, code = asked.recv(64), int(asked.recv(64))
    return Ended(code, int(said.read_text()), stderr.read_text())


def state(engine: Engine) -> dict[str, Any]:
    """Return what readers see; when a run ended is not compared."""
    columns = {"scored": "*", "tweetscore_runs": "target, result_key, all_rows, scored_rows"}
    return {
        name: sorted(engine.rows(f"SELECT {columns[name]} FROM {name}"), key=str)  # noqa: S608  constants
        for name in engine.tables()
        if name in columns
    }


@pytest.mark.parametrize(
    "is_there", [True, pytest.param(False, marks=pytest.mark.ci)], ids=["replaced", "created"]
)
def test_a_killed_run_leaves_the_table_as_it_was(
    forks: ForkServer, engine: Engine, tmp_path: Path, is_there: bool
) -> None:
    """Before the COMMIT nothing has happened; the same command then does all of it."""
    if is_there:
        assert run(forks, engine, tmp_path, NEVER).code == 0
        engine.run(*CHANGES)
    before = state(engine)
    number = 0
    while (done := run(forks, engine, tmp_path, number)).code == -9:
        assert state(engine) == before, number
        number += 1
    assert done.code == 0, done.stderr
    # The one that was not killed said as much as the others: it has committed.
    assert done.statements == number - 1 >= 5
    after = state(engine)
    assert [row[:2] for row in after["scored"] if row[0] == 5] == [(5, "new +")] * is_there
    assert len(after["scored"]) == 5 if is_there else 4
    assert after != before
    assert run(forks, engine, tmp_path, NEVER).code == 0
    assert state(engine)["scored"] == after["scored"]
