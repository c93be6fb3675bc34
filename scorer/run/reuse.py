"""Reuse of the answers in the output that is about to be replaced.

They are reused only where the model would give the same bits again: with the same bundle, provider,
precision, instruction set and versions, on a provider whose answers do not depend on the batch.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import DataError, InputMissing
from scorer.formats.base import Source
from scorer.monitor.report_types import CompleteReport, strictly_decoded
from scorer.monitor.run_report import RunRecord
from scorer.monitor.versions import library_versions
from scorer.options import RunOptions
from scorer.readback.earlier import Earlier, EarlierAnswers
from scorer.run import cache_keys
from scorer.store.commit import report_on
from scorer.store.state import differences

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier
    from scorer.inference.session import RuntimeInfo


def find_earlier(
    output: Path, options: RunOptions, digest: str, classifier: "Classifier"
) -> Earlier | str | None:
    """Return the earlier output, or why nothing can be reused; None without an id column.

    Args:
        output: The file that is about to be replaced, if it is there.
        options: The options of this run.
        digest: Of the bundle.
        classifier: What would score the rows.
    """
    if options.id_column is None:
        return None
    content = report_on(output)
    if content is None:
        return "there is no earlier output of ours"
    if reason := _unwanted(options, classifier.runtime):
        return reason
    try:
        report = strictly_decoded(content)
    except ValueError:
        report = None
    if not isinstance(report, CompleteReport):
        return "the earlier output's report is not as this version writes it"
    key = cache_keys.score_key(digest, classifier.runtime, library_versions())
    return _unusable(report, key, options) or Earlier(output, report, options.id_column)


def _unwanted(options: RunOptions, runtime: "RuntimeInfo") -> str:
    """Return why the call or the device rules reuse out; nothing where they do not."""
    if not options.incremental:
        return "--no-incremental asks for all rows to be scored"
    return "" if runtime.exact else "on a GPU a score may depend on its batch"


def _unusable(report: CompleteReport, key: dict[str, Any], options: RunOptions) -> str:
    """Return why the answers of an earlier output cannot be reused; nothing where they can."""
    changed = ", ".join(differences(cache_keys.recorded_score_key(report), key))
    if changed:
        return f"{changed} changed since the earlier output"
    if options.output_spec.scores == "all" and report.options.scores != "all":
        return "the earlier output has no score for each class"
    names = [label.written_as for label in report.labels]
    return "two classes have one name in the earlier output" if len({*names}) < len(names) else ""


@contextmanager
def answers_of(
    earlier: Earlier | str | None, source: Source, directory: Path, record: RunRecord
) -> Iterator[EarlierAnswers | None]:
    """Yield the earlier answers for an input until the block ends, or None.

    Args:
        earlier: What `find_earlier` found, or None where it was not asked.
        source: The input.
        directory: A name for files that are gone when the block ends.
        record: Notes why nothing was reused.
    """
    if not isinstance(earlier, Earlier):
        if earlier is not None:
            record.take_over(earlier)
        yield None
        return
    with record.stage("match"):
        try:
            answers = earlier.read(directory)
        except (DataError, InputMissing) as error:
            record.take_over(error.problem)
            yield None
            return
    record.take_over(None)
    with closing(answers):
        with record.stage("match"):
            answers.look_up(source)
        yield answers
