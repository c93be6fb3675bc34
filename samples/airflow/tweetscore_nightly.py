"""An Airflow DAG that scores each day's tweets at 03:15; docs/airflow.md explains it.

Copy this file into the folder of your DAGs. It needs nothing but Airflow 3: tweetscore is a program
in an environment of its own, so that neither can break what the other depends on.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# Exit codes after which the same command may well succeed later: a device or a disk failed, the
# disk is full, another run writes the output, the run was interrupted or killed. What it has scored
# by then is kept, and the next try goes on from there. docs/exit-codes.md has all codes.
RETRIED = {69, 74, 75, 130, 137, 143}


class TweetscoreOperator(BaseOperator):
    """Run `tweetscore run SOURCE --output TARGET`, and tell Airflow whether a retry can help."""

    template_fields = ("program", "source", "target")

    def __init__(self, *, program: str, source: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.program = program
        self.source = source
        self.target = target

    @cached_property
    def hook(self) -> SubprocessHook:
        """What starts the program, and writes each of its lines into the task's log."""
        return SubprocessHook()

    def execute(self, context: Any) -> str:
        """Return the program's last line."""
        command = [self.program, "run", self.source, "--output", self.target]
        code, line = self.hook.run_command(command)
        if code == 0:
            return line
        problem = f"tweetscore ended with exit code {code}: {line}"
        if code in RETRIED or code < 0:  # a negative one is the signal that ended the program
            raise AirflowException(problem)
        raise AirflowFailException(problem)  # fails at once, whatever retries are left

    def on_kill(self) -> None:
        """Stop the program by SIGTERM: it ends within two seconds and keeps what it has scored."""
        with suppress(ProcessLookupError):  # it has ended already
            self.hook.send_sigterm()


with DAG(
    "tweetscore_nightly",
    description="Score the day's tweets",
    schedule="15 3 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow adds the time zone it is set to
    catchup=False,
    max_active_runs=1,  # the next night waits for one that takes long
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=6),
    },
    tags=["tweetscore"],
):
    TweetscoreOperator(
        task_id="score",
        program="{{ var.value.tweetscore_program }}",
        source="{{ var.value.tweets }}/day={{ ds }}",
        target="{{ var.value.scored_tweets }}",  # gets day=.../ too, as the input has it
    )
