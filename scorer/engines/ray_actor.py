"""What one of Ray's actors does: bring files to their outputs, one after the other.

Each file goes through the same stages as on one box, under the lock of its output. So a task that
Ray runs again, because its actor died, takes up what is there or finds the output up to date.
Nothing heavy is loaded before the libraries' thread pools are held to what Ray grants.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import InvalidBundle
from scorer.pools import limit_pools
from scorer.recipe import ScorerConfig
from scorer.versions import library_versions, tweetscore_version

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.handle import ModelHandle
    from scorer.inference.opening import Candidate
    from scorer.run_options import Outcome, RunOptions


@dataclass(frozen=True, slots=True)
class Job:
    """What every actor is told once."""

    options: "RunOptions"  # paths are absolute, threads those of one actor
    config: ScorerConfig
    libraries: Mapping[str, str]  # versions on the box that plans
    manifest: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one file, or what is wrong with the model, which concerns all."""

    number: int
    outcome: "Outcome | None"
    error: BaseException | None = None


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
        self._model = _model(self._job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the file of a row; the pickled `Answer` is what travels back."""
        path, output = (Path(os.fsdecode(row[name])) for name in ("input", "output"))
        outcome, error = self._score(path, output), self._model.error
        answer = Answer(row["number"], None if error else outcome, error)
        return {"answer": pickle.dumps(answer)}

    def _score(self, path: Path, output: Path) -> "Outcome":
        from scorer.file_run import FileRun
        from scorer.files.publish import inodes

        taken = inodes([path])
        run = FileRun(path, output, self._job.options, several=True)
        with run.attempt():
            source = run.validate(taken)
            run.resolve(source, self._model.bundle)
            run.score(source, self._model, taken, lambda _: None)
        return run.outcome()


def _model(job: Job) -> "ModelHandle":
    """Return the config's model on this node, with the libraries of where the run began."""
    from scorer.inference.handle import ModelHandle

    def open_bundle() -> "Bundle":
        _check_libraries(job.libraries)
        return job.config.open_bundle()

    def load(bundle: "Bundle") -> "Candidate":
        from scorer.inference import opening

        return opening.load(bundle, job.options.model_spec)

    def on_proven() -> None:
        job.manifest.unlink(missing_ok=True)  # an output is about to change

    return ModelHandle(open_bundle, load, on_proven)


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
