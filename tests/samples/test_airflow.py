"""The sample DAG runs in a real Airflow, which has an environment of its own."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_pages import assert_true, bench

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venv-airflow" / "bin"
DAG = ROOT / "samples" / "airflow" / "tweetscore_nightly.py"
PAGE = ROOT / "docs" / "airflow.md"

pytestmark = pytest.mark.ci


def test_the_page_shows_the_truth(tmp_path: Path, programs: Path) -> None:
    """A night, the same night once more, and a night without a file, by `airflow dags test`."""
    assert_true(PAGE, bench(tmp_path), f"{AIRFLOW}{os.pathsep}{programs}{os.pathsep}")


def test_a_retry_goes_on_where_a_busy_night_ended(tmp_path: Path, programs: Path) -> None:
    """A run that ends with 75 is tried again by Airflow itself, and then succeeds."""
    (tmp_path / "dags").mkdir()
    dag = DAG.read_text("utf-8")
    assert "timedelta(minutes=10)" in dag
    (tmp_path / "dags" / DAG.name).write_text(dag.replace("minutes=10", "seconds=1"), "utf-8")
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/busy ] && exec {programs}/tweetscore "$@"\n'
        f"touch {tmp_path}/busy; echo another run is writing; exit 75\n"
    )
    program.chmod(0o755)
    night = tmp_path / "in" / "day=2026-11-30"
    night.mkdir(parents=True)
    (night / "tweets.csv").write_text("id,text\n1,I love it\n", "utf-8")
    env = {
        "PATH": f"{AIRFLOW}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_VAR_TWEETSCORE_PROGRAM": str(program),
        "AIRFLOW_VAR_TWEETS": str(tmp_path / "in"),
        "AIRFLOW_VAR_SCORED_TWEETS": str(tmp_path / "scored"),
    }
    script = "airflow db migrate && airflow dags test tweetscore_nightly 2026-11-30"
    done = subprocess.run(
        ["sh", "-c", script], env=env, capture_output=True, encoding="utf-8", check=False
    )
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    assert "AirflowException: tweetscore ended with exit code 75: another run is writing" in log
    assert "tweetscore: 1 file scored (1 row), 0 up to date, 0 failed" in log
    assert (tmp_path / "scored" / "day=2026-11-30" / "tweets.scored.csv").exists()


def test_airflow_retries_what_a_retry_can_help_and_nothing_else(tmp_path: Path) -> None:
    """Each exit code as docs/exit-codes.md advises, a signal, and a task that Airflow stops."""
    script = Path(__file__).parent / "airflow_outcomes.py"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [AIRFLOW / "python", script, DAG], env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    outcomes = json.loads(done.stdout.splitlines()[-1])
    codes = (ROOT / "docs" / "exit-codes.md").read_text("utf-8")
    advice = re.search(r"A scheduler should repeat a job that ended with ([\d,or ]+)", codes)
    assert advice is not None
    repeated = re.findall(r"\d+", advice[1])
    retried = "AirflowException: tweetscore ended with exit code"
    failed = "AirflowFailException: tweetscore ended with exit code"
    assert outcomes.pop("stopped") == f"{retried} 143: kept"
    assert outcomes.pop("SIGKILL") == f"{retried} -9: "
    assert outcomes.pop("0") == "returned: the line"
    assert outcomes == {
        str(code): f"{retried if str(code) in repeated else failed} {code}: the line"
        for code in range(1, 256)
    }


def test_airflow_has_all_that_its_lock_should_have() -> None:
    """No package of the environment lacks another one, or has a version that it does not admit."""
    subprocess.run([AIRFLOW / "python", "-m", "pip", "check"], check=True)
