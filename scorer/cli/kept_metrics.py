"""`--metrics-file`: written when a run ends, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.log import say
from scorer.errors import exit_code

if TYPE_CHECKING:
    from scorer.run_options import Outcome


@contextmanager
def kept_metrics(path: Path | None) -> "Iterator[Callable[[Outcome], object]]":
    """Yield who wants to hear of each file; without a path, somebody who does nothing with it.

    What is told of is done: a file of metrics that cannot be written is a warning.

    Raises:
        MissingExtra: The library that writes it is not installed.
        OutputRefused: There is no such directory.
        UsageError: The name is not one that the collector reads.
    """
    if path is None:
        yield lambda _: None
        return
    from scorer.monitor.metrics import RunMetrics

    metrics = RunMetrics(path)
    code = 0
    try:
        yield lambda outcome: metrics.add(
            outcome.report,
            failed=outcome.error is not None,
            up_to_date=outcome.up_to_date,
            outside=bool(outcome.outside),
        )
    except click.exceptions.Exit as done:
        code = done.exit_code
        raise
    except BaseException as error:
        code = exit_code(error)
        raise
    finally:
        try:
            metrics.write(code)
        except Exception as error:  # noqa: BLE001 - the outputs are there, whatever it is
            say("warning", "warning", f"{path} is not written: {error}")
