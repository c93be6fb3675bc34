"""SIGKILL to a real process at every statement: the table is as it was, or complete."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.databases.engines import Engine

ROOT = Path(__file__).parents[2]
NEVER = -1
CHANGES = (
    "UPDATE tweets SET text = 'changed -' WHERE id = 4",
    "INSERT INTO tweets VALUES (5, 'new +', 5)",
    "DELETE FROM tweets WHERE id = 2",
)


def run(engine: Engine, scratch: Path, die_before: int) -> subprocess.CompletedProcess[str]:
    """Run tweetscore table in a process that kills itself before a statement."""
    return subprocess.run(
        [sys.executable, "-m", "tests.databases.killed", engine.url, str(die_before)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


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
    engine: Engine, tmp_path: Path, is_there: bool
) -> None:
    """Before the COMMIT nothing has happened; the same command then does all of it."""
    if is_there:
        assert run(engine, tmp_path, NEVER).returncode == 0
        engine.run(*CHANGES)
    before = state(engine)
    number = 0
    while (done := run(engine, tmp_path, number)).returncode == -9:
        assert state(engine) == before, number
        number += 1
    assert done.returncode == 0, done.stderr
    # The one that was not killed said as much as the others: it has committed.
    assert int(done.stdout) == number - 1 >= 5
    after = state(engine)
    assert [row[:2] for row in after["scored"] if row[0] == 5] == [(5, "new +")] * is_there
    assert len(after["scored"]) == 5 if is_there else 4
    assert after != before
    assert run(engine, tmp_path, NEVER).returncode == 0
    assert state(engine)["scored"] == after["scored"]
