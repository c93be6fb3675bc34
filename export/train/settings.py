"""Settings of a training that contradict each other, and libraries that it needs."""

from importlib.util import find_spec

from export.train import TrainingConfig
from scorer.errors import MissingExtra, UsageError
from scorer.installation import add


def check_settings(config: TrainingConfig) -> None:
    """Raise UsageError where the settings contradict each other; the remedy is an option."""
    keeps_best = config.best_epoch or config.early_stopping > 0
    named = "--early-stopping" if config.early_stopping else "--best-epoch"
    if keeps_best and config.validation == 0:
        problem = f"{named} needs rows that are held out"
        raise UsageError(problem, "add --validation 0.1", {"--validation": "0.1"})
    if keeps_best and config.average_last > 0:
        problem = f"{named} ends on one epoch's weights, --average-last on a mean of them"
        raise UsageError(problem, "add --average-last 0", {"--average-last": "0"})
    if keeps_best and config.refit:
        problem = f"{named} needs rows that are held out, and --refit learns them in the end"
        raise UsageError(problem, "add --no-refit", {"--no-refit": None})


def check_reporters(names: tuple[str, ...]) -> None:
    """Raise MissingExtra where a library that is reported to is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise MissingExtra(
                f"--report-to {name} needs the library {name}, which is not installed",
                f"try: {add(name)}",
            )
