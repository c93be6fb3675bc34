"""A training that is not done: where it lies, and whether it goes on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from export.staging import Making, making
from export.train.notices import Notify
from export.train.stages import is_unfinished, reached
from scorer.errors import OutputRefused

TRAINING_NAME = "training.json"


class _Options(Protocol):
    @property
    def overwrite(self) -> bool: ...
    @property
    def resume(self) -> bool | None: ...
    @property
    def notify(self) -> Notify: ...


@contextmanager
def unfinished(output: Path, options: _Options) -> Iterator[Making]:
    """Yield the place of a training; what an earlier one left there goes on, or is discarded.

    Raises:
        OutputRefused: `output` is there already; or an unfinished training is, and nobody said
            whether it is to go on.
    """
    with making(
        output, marker=TRAINING_NAME, overwrite=options.overwrite, keeps=is_unfinished
    ) as made:
        if words := reached(made.directory):
            _decide(made, words, options.resume)
        else:
            discard(made.directory)
            if options.resume:
                options.notify(
                    "info", "resume", f"no training of {output} is unfinished: it begins"
                )
        try:
            yield made
        except BaseException as error:
            if is_unfinished(made.directory) and not isinstance(error, OutputRefused):
                options.notify(
                    "info",
                    "kept",
                    f"what was learnt is kept ({reached(made.directory)}): --resume goes on with "
                    "it, --no-resume discards it",
                )
            raise


def _decide(made: Making, words: str, resume: bool | None) -> None:
    if resume is None:
        raise OutputRefused(
            f"an unfinished training of {made.destination} is there ({words}); --no-resume "
            "discards it, --resume goes on with it",
            "add --resume",
            {"--resume": None},
        )
    if not resume:
        discard(made.directory)


def discard(directory: Path) -> None:
    """Remove all that a training left, but not the directory itself, which is locked."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def logs_of(output: Path) -> Path:
    """Return where TensorBoard's files of a training go, which outlive it."""
    return output.absolute().with_name(f"{output.absolute().name}.tensorboard")
