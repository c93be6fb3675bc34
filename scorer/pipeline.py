"""The outer hallway, files to files.

Discover the inputs; then for each: look -> lock -> recover -> first pass (read, prepare, score,
keep the results) -> second pass (the input's rows with their scores) -> commit -> run report.
Reading and preparing the next window overlap with scoring this one, so memory is two windows
however long the input. Nothing under the output's name changes before the one rename that
publishes it, and a run that is killed anywhere is taken up by the next one.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scorer.file_run import FileRun
from scorer.files.discover import plan_outputs
from scorer.files.inputs import Inputs, find_inputs
from scorer.files.publish import inodes
from scorer.memory import WITH_ONE_GRAPH, told
from scorer.run_options import Loaded, Model, ModelSpec, Outcome, RunOptions, TextClassifier

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.opening import Candidate


class LocalModel:
    """The model that is meant, on this box."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @cached_property
    def bundle(self) -> "Bundle":
        """The verified bundle."""
        from scorer.inference.bundle import open_bundle

        return open_bundle(self._spec.model)

    @cached_property
    def _candidate(self) -> "Candidate":
        from scorer.inference.opening import load

        return load(self.bundle, self._spec)

    def load(self) -> "Candidate":
        """Load the session that is tried first, and what prepares texts for it."""
        return self._candidate

    def prove(self, first: Any = None) -> TextClassifier:
        """Prove the session on the canary, which may share the batches of a first window."""
        return self._candidate.prove(first)


class SharedModel:
    """A model that is loaded and proven once for all inputs, or fails once for all of them."""

    def __init__(self, model: Model) -> None:
        self.error: BaseException | None = None
        self._model = model
        self._classifier: TextClassifier | None = None

    @cached_property
    def bundle(self) -> "Bundle":
        """The verified bundle."""
        return self._model.bundle

    @cached_property
    def _loaded(self) -> Loaded:
        return self._model.load()

    def load(self) -> Loaded:
        """Return the model, or raise what kept it from loading."""
        with self._failing_for_all():
            return self._loaded

    def prove(self, first: Any = None) -> TextClassifier:
        """Return the classifier, or raise what kept it from being proven."""
        with self._failing_for_all():
            self._classifier = self._classifier or self._model.prove(first)
            return self._classifier

    @contextmanager
    def _failing_for_all(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = told(error, WITH_ONE_GRAPH)
            if self.error is error:
                raise
            raise self.error from error


def discover(options: RunOptions) -> Inputs:
    """Return the files that a run is asked to score; nothing is opened."""
    return find_inputs(options.inputs, options.input_spec.format)


def run(
    options: RunOptions,
    inputs: Inputs | None = None,
    *,
    model_for: Callable[[ModelSpec], Model] = LocalModel,
    progress: Callable[[int], object] = lambda _: None,
    outdated: bool = False,
) -> Iterator[Outcome]:
    """Bring each input's output up to date, one after the other, and yield what became of it.

    What fails for one file is in its outcome and does not keep the others from their turn;
    what concerns all of them is raised. The model is loaded when the first file needs it.

    Args:
        options: What is wanted.
        inputs: What `discover` found, where the caller has asked already.
        model_for: How to get the model.
        progress: Hears each window's rows.
        outdated: No output is up to date, even if its input has the size and time that it had.
    """
    inputs = inputs or discover(options)
    plan = plan_outputs(inputs, options.output, options.input_spec.format)
    several = len(plan) > 1
    runs = deque(
        FileRun(path, output, options, several=several, outdated=outdated) for path, output in plan
    )
    taken = inodes(inputs.files)
    model = SharedModel(model_for(options.model_spec))
    yield from (Outcome(path, path, {}, error=error) for path, error in inputs.unreadable)
    try:
        for each in runs:
            with each.attempt():
                each.look(taken)
        _expect(model, [each for each in runs if not each.error])
    except BaseException:
        # What ends the run must not hide what was wrong with single files.
        yield from (each.outcome() for each in runs if each.error)
        raise
    while runs:
        each = runs.popleft()
        if not each.error:
            with each.attempt():
                each.score(model, taken, progress)
        if model.error:
            yield from _all_fail([each, *runs], model.error)
            raise model.error
        yield each.outcome()
        if each.interrupt and runs:
            raise each.interrupt


def _expect(model: Model, runs: list[FileRun]) -> None:
    """Verify the bundle, if there is anything for it to do, and check that its labels fit."""
    try:
        for each in runs:
            each.expect(model.bundle)
    except BaseException as error:
        for each in runs:
            each.fail(error)
        raise


def _all_fail(runs: list[FileRun], error: BaseException) -> Iterator[Outcome]:
    """Report a model that cannot be used for all that waited for it; tell what failed before."""
    first, *later = runs
    first.fail(error)
    for each in later:
        if each.error:
            yield each.outcome()
        else:
            each.fail(error)
