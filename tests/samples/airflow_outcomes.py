"""What the operator of the sample DAG makes of each way in which a program ends.

Run by the Python of Airflow's environment with the DAG's file; its last line is a JSON object: exit
code, or what happened, to the name and the text of the exception.
"""

import json
import runpy
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

OPERATOR = runpy.run_path(sys.argv[1])["TweetscoreOperator"]


def task(script: str, folder: str) -> Any:
    """Return a task whose program is a script."""
    program = Path(folder, "tweetscore")
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    return OPERATOR(task_id="score", program=str(program), source=folder, target="b")


def outcome(operator: Any) -> str:
    try:
        return f"returned: {operator.execute({})}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        return f"{type(error).__name__}: {error}"


def ended(script: str) -> str:
    with TemporaryDirectory() as folder:
        operator = task(script, folder)
        found = outcome(operator)
        operator.on_kill()  # too late, which is no error
        return found


def stopped() -> str:
    """Return the outcome of a task that Airflow stops while its program works."""
    with TemporaryDirectory() as folder:
        operator = task("trap 'echo kept; exit 143' TERM; echo >$2/on; while :; do :; done", folder)
        found: list[str] = []
        working = Thread(target=lambda: found.append(outcome(operator)))
        working.start()
        while not Path(folder, "on").exists() and working.is_alive():
            working.join(0.01)
        operator.on_kill()
        working.join()
        return found[0]


if __name__ == "__main__":
    outcomes = {str(code): ended(f"echo the line; exit {code}") for code in range(256)}
    outcomes |= {"SIGKILL": ended("kill -KILL $$"), "stopped": stopped()}
    sys.stdout.write(json.dumps(outcomes))
