"""The pipeline of a run, files to files.

Discover the inputs; then for each: validate -> lock -> recover -> preflight -> first pass (read,
prepare, score, keep the results) -> second pass (the input's rows with their scores) -> commit
-> run report.
Reading and preparing the next window overlap with scoring this one, so memory is two windows
however long the input. Nothing under the output's name changes before the one rename that
publishes it, and the next run resumes a run that is killed anywhere.
"""

import os
from collections import deque
from collections.abc import Iterator

from scorer.formats.base import Source
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.records import OnProgress
from scorer.run.one_file import FileRun
from scorer.run.preflight import check_names, output_columns
from scorer.store.commit import inodes
from scorer.store.found import Inputs, table_versions
from scorer.store.inputs import find_inputs
from scorer.store.output_plan import plan_outputs, with_warnings


def discover(options: RunOptions) -> Inputs:
    """Return the files that a run scores, and warnings on where their outputs go."""
    found = find_inputs(options.inputs, options.input_spec.format)
    return found if options.output else with_warnings(found)


def run(
    options: RunOptions,
    inputs: Inputs | None = None,
    *,
    model: ModelHandle | None = None,
    progress: OnProgress = lambda _: None,
    outdated: bool = False,
) -> Iterator[Outcome]:
    """Bring each input's output up to date, one after the other, and yield its outcome.

    What fails for one file is in its outcome and does not keep the others from their turn;
    what concerns all of them is raised. The model is loaded when the first file needs it.

    Args:
        options: What is wanted.
        inputs: What `discover` found, where the caller has asked already.
        model: Its model, where the caller has it; by default the one that the options mean.
        progress: Is called with each step, and with rows as batches of them are done.
        outdated: No output is up to date, even if its input has the size and time that it had.
    """
    inputs = inputs or discover(options)
    plan = plan_outputs(inputs, options.output, options.input_spec.format)
    several = len(plan) > 1
    versions = table_versions(inputs)
    runs = deque(
        FileRun(
            path,
            output,
            options,
            several=several,
            outdated=outdated,
            table_version=versions.get(os.path.abspath(path)),
        )
        for path, output in plan
    )
    taken = inodes(inputs.files)
    model = model or ModelHandle.of(options.model_spec)
    yield from (Outcome(path, path, None, error=error) for path, error in inputs.unreadable)
    try:
        valid: dict[FileRun, Source] = {}
        for each in runs:
            with each.attempt():
                valid[each] = each.validate(taken)
        if valid:
            _resolve(model, valid, options)
    except BaseException:
        # What ends the run must not hide what was wrong with single files.
        yield from (each.outcome() for each in runs if each.error)
        raise
    while runs:
        each = runs.popleft()
        if each in valid:
            with each.attempt():
                each.score(valid.pop(each), model, taken, progress)
        if model.error:
            yield from _all_fail([each, *runs], model.error)
            raise model.error
        yield each.outcome()
        if each.interrupt and runs:
            raise each.interrupt


def _resolve(model: ModelHandle, valid: dict[FileRun, Source], options: RunOptions) -> None:
    """Verify the bundle, and check that its labels and columns fit; a file that they do not leaves.

    Whether a column's name is taken depends on the model: a regression has no label.
    """
    try:
        columns = output_columns(options.output_spec, model.bundle)
        for each, source in [*valid.items()]:
            with each.attempt():
                check_names(source, columns)
            if each.error:
                del valid[each]
        for each, source in valid.items():
            each.resolve(source, model.bundle)
    except BaseException as error:
        for each in valid:
            each.fail(error)
        raise


def _all_fail(runs: list[FileRun], error: BaseException) -> Iterator[Outcome]:
    """Fail all runs that wait for a model which cannot be used; yield those that failed before."""
    first, *later = runs
    first.fail(error)
    for each in later:
        if each.error:
            yield each.outcome()
        else:
            each.fail(error)
