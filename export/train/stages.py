"""The trainings that a model comes of, one after the other, and what is done of them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.train.dataset import EncodedRows
from export.train.notices import Notify, silent
from scorer.errors import NotResumable
from scorer.os_errors import writing
from scorer.store.commit import fsync_directory

COMPLETE = "tweetscore.pt"  # the file of a checkpoint that is written last
_PLAN = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One of the trainings, and what is kept and said of it."""

    title: str = "training"
    directory: Path | None = None  # of its checkpoints; None: it keeps none
    every: int | None = None  # steps between them, 0 for none; None: one after each epoch
    held_out: EncodedRows | None = None  # evaluated after each epoch
    report_to: tuple[str, ...] = ()  # as the Trainer calls them
    logs: Path | None = None  # TensorBoard's
    notify: Notify = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What the trainings of one model share.

    A stage that is done is kept as what the next ones need of it: its logits.
    """

    directory: Path | None = None  # None: nothing is kept
    every: int | None = None  # as of a `Stage`
    report_to: tuple[str, ...] = ()
    logs: Path | None = None
    notify: Notify = silent

    def stage(self, title: str, held_out: EncodedRows | None = None) -> Stage:
        """Return one of them."""
        return Stage(
            title=title,
            directory=self.directory and self.directory / _slug(title),
            every=self.every,
            held_out=held_out,
            report_to=self.report_to,
            logs=self.logs and self.logs / _slug(title),
            notify=self.notify,
        )

    def logits(self, title: str) -> NDArray[np.float32] | None:
        """Return what is kept of a stage that is done, [rows, classes]."""
        path = self._kept(title)
        if path is None or not path.exists():
            return None
        logits: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return logits

    def keep(self, title: str, logits: NDArray[np.float32]) -> None:
        """Keep what the next stages need of one that is done, [rows, classes]."""
        path = self._kept(title)
        if path is None or self.every == 0:
            return
        temporary = path.with_suffix(".tmp")
        with writing(path), temporary.open("wb") as file:
            np.save(file, logits)
        temporary.replace(path)
        fsync_directory(path.parent)

    def _kept(self, title: str) -> Path | None:
        return self.directory and self.directory / f"{_slug(title)}.npy"


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title)


def reached(directory: Path) -> str:
    """Return how far an unfinished training is, for a message; '' where nothing of it is kept."""
    found = [path.parent for path in directory.glob(f"*/checkpoint-*/{COMPLETE}")]
    if found:
        last = max(found, key=lambda path: path.stat().st_mtime)
        return f"{last.parent.name.replace('-', ' ')}, step {last.name.rpartition('-')[2]}"
    done = sorted(directory.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    return f"{done[-1].stem.replace('-', ' ')} is done" if done else ""


def is_unfinished(directory: Path) -> bool:
    """Return whether a directory holds what a training can go on from."""
    return bool(reached(directory))


def require_plan(directory: Path, plan: dict[str, Any]) -> None:
    """Write down what decides the weights; where it is written, compare it.

    Raises:
        NotResumable: The unfinished training is another one.
    """
    path = directory / _PLAN
    content = json.dumps(plan, indent=1, sort_keys=True)
    if not path.exists():
        with writing(path):
            path.write_text(content, encoding="utf-8")
        return
    before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(content)
    other = [
        f"{key} {before.get(key)!r}, now {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if other:
        raise NotResumable(
            f"the unfinished training in {directory} is another one: it has {'; '.join(other[:3])}",
            "give the options and data that it was started with, or --no-resume to begin anew",
        )
