"""What one of Ray's actors does: bring files to their outputs, one after the other.

Each file goes through the same stages as on one box, under the lock of its output. So a task that
Ray runs again, because its actor died, takes up what is there or finds the output up to date.
Nothing heavy is loaded before the libraries' thread pools are held to what Ray grants.
"""

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import InvalidBundle, TweetscoreError
from scorer.pools import limit_pools
from scorer.recipe import Recipe
from scorer.versions import library_versions, tweetscore_version

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.opening import Candidate
    from scorer.run_options import Outcome, RunOptions, TextClassifier


@dataclass(frozen=True, slots=True)
class Job:
    """What every actor is told once."""

    options: "RunOptions"  # paths are absolute, threads those of one actor
    recipe: Recipe
    libraries: Mapping[str, str]  # versions on the box that plans
    manifest: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one file, or what is wrong with the model, which concerns all."""

    number: int
    outcome: "Outcome | None"
    error: TweetscoreError | None = None


class FileScorer:
    """Scores files with one model, which is loaded when the first of them needs it."""

    def __init__(self, job: bytes, threads: int) -> None:
        """Unpack the job.

        Args:
            job: A pickled `Job`: what it needs is loaded after the pools have their size.
            threads: CPUs that Ray grants to this actor.
        """
        limit_pools(threads)
        self._job: Job = pickle.loads(job)  # noqa: S301 - from the driver of this very run
        self._model = _Model(self._job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the file of a row; the pickled `Answer` is what travels back."""
        path, output = (Path(os.fsdecode(row[name])) for name in ("input", "output"))
        outcome = self._score(path, output)
        if self._model.error:
            answer = Answer(row["number"], None, self._model.error)
        else:
            answer = Answer(row["number"], outcome)
        return {"answer": pickle.dumps(answer)}

    def _score(self, path: Path, output: Path) -> "Outcome":
        from scorer.file_run import FileRun
        from scorer.files.publish import inodes

        taken = inodes([path])
        run = FileRun(path, output, self._job.options, several=True)
        with run.attempt():
            run.look(taken)
            run.expect(self._model.bundle)
            run.score(self._model, taken, lambda _: None)
        return run.outcome()


class _Model:
    """The recipe's model on this node: the same bundle and libraries as where the run began."""

    def __init__(self, job: Job) -> None:
        self.error: TweetscoreError | None = None
        self._job = job
        self._classifier: TextClassifier | None = None

    @cached_property
    def bundle(self) -> "Bundle":
        with self._failing_for_all():
            _check_libraries(self._job.libraries)
            return self._job.recipe.open_bundle()

    @cached_property
    def _candidate(self) -> "Candidate":
        from scorer.inference.opening import load

        return load(self.bundle, self._job.options.model_spec)

    def load(self) -> "Candidate":
        """Load the session that is tried first, and what prepares texts for it."""
        with self._failing_for_all():
            return self._candidate

    def prove(self, first: Any = None) -> "TextClassifier":
        """Return the classifier, proven on the canary; an output is about to change."""
        with self._failing_for_all():
            self._classifier = self._classifier or self._candidate.prove(first)
        self._job.manifest.unlink(missing_ok=True)  # from now on it would be out of date
        return self._classifier

    @contextmanager
    def _failing_for_all(self) -> Iterator[None]:
        try:
            yield
        except TweetscoreError as error:
            self.error = error
            raise


def versions() -> dict[str, str]:
    """Return the versions, in this process, of what decides an answer."""
    return {"tweetscore": tweetscore_version(), **library_versions()}


def _check_libraries(wanted: Mapping[str, str]) -> None:
    """Raise InvalidBundle unless what decides an answer has the driver's versions here."""
    here = versions()
    for name in sorted(wanted.keys() | here.keys()):
        if wanted.get(name) != here.get(name):
            raise InvalidBundle(
                f"{name} is {here.get(name, 'not there')} on {os.uname().nodename}, and "
                f"{wanted.get(name, 'not there')} where the run was started",
                "install the same release of tweetscore with the same libraries on every node",
            )
