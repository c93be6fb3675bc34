"""The first pass over an input: read, prepare, score, keep the results.

Reading and preparing the next window overlap with scoring this one, so memory is two windows.
A window that an earlier run has scored is not scored again, nor are rows whose answers an earlier
output has. Those are reused only where the model would give the same bits again: with the same
bundle, provider, precision, instruction set and versions, on a provider whose answers do not
depend on the batch.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.errors import DataError, InputMissing
from scorer.formats.base import Source, text_digest
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import CompleteReport, strictly_decoded
from scorer.monitor.run_report import RunRecord
from scorer.options import RunOptions
from scorer.prefetch import one_ahead
from scorer.readback.earlier import Earlier, EarlierAnswers
from scorer.records import Answers, OnShare, Reject, Scores, TextWindow
from scorer.run import cache_keys
from scorer.run.file_progress import FileProgress
from scorer.store.commit import report_on
from scorer.store.rejects import reject_log
from scorer.store.state import State, differences

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier
    from scorer.inference.loading import Candidate
    from scorer.inference.session import RuntimeInfo
    from scorer.store.checkpoints import Checkpoints


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window as it comes from the reading thread: with old scores, or ready for the model."""

    texts: TextWindow
    digest: bytes
    stored: Scores | None
    prepared: Any
    known: Answers | None

    @property
    def known_rows(self) -> int:
        """The rows whose answers an earlier run had."""
        if self.stored is not None:
            return len(self.texts.texts)
        return 0 if self.known is None else int((self.known.label_ids >= 0).sum())


class Windows:
    """An input's windows of `rows` rows, read and prepared one ahead in a thread of its own."""

    def __init__(
        self,
        source: Source,
        loaded: "Candidate",
        record: RunRecord,
        rows: int,
        progress: FileProgress,
    ) -> None:
        self.rows = rows
        self.progress = progress
        self.encoding = source.encoding
        self._source = source
        self._loaded = loaded
        self.record = record
        self._begun: Iterator[Window] | None = None
        self._first: list[Window] = []

    def prove(self, model: ModelHandle, max_rejects: int) -> "Classifier":
        """Read the first window, for which nothing can be stored, and prove the model with it.

        One with more rejects than are allowed is not scored.
        """
        self.progress.step("read")
        self._begun = self._prepared(None, None)
        # No thread reads on meanwhile: another session may have to be loaded, which must not be
        # beside threads, see `scorer.inference.runtime.prepared`.
        with closing(one_ahead(islice(self._begun, 1))) as windows:
            first = next(windows, None)
        self._first = [] if first is None else [first]
        scored = first is not None and len(first.texts.rejects) <= max_rejects
        self.progress.begin(len(first.texts.texts) if first is not None else 0, "check")
        with self.record.stage("score"):
            prepared = first.prepared if first is not None and scored else None
            return model.prove(prepared, self.progress.share)

    def all(self, checkpoints: "Checkpoints", answers: EarlierAnswers | None) -> Generator[Window]:
        """Yield all of them; what was stored, or is known from an earlier output, is with them."""
        if self._begun is None:
            return one_ahead(self._prepared(checkpoints, answers))
        checkpoints.forget()
        return one_ahead(chain(self._again(), self._begun))

    def _again(self) -> Iterator[Window]:
        while self._first:
            yield self._first.pop()

    def _prepared(
        self, checkpoints: "Checkpoints | None", answers: EarlierAnswers | None
    ) -> Iterator[Window]:
        windows = self._source.windows(self.rows)
        while True:
            with self.record.stage("read"):
                texts = next(windows, None)
            if texts is None:
                return
            with self.record.stage("prepare"):
                digest = text_digest(texts.texts)
                stored = prepared = known = None
                if checkpoints:
                    stored = checkpoints.take(texts.offset, digest, len(texts.texts))
                if stored is None:
                    prepared = self._loaded.prepare(texts.texts)
                    known = answers.known(texts) if answers else None
            yield Window(texts, digest, stored, prepared, known)


def score_windows(
    windows: Windows,
    classifier: "Classifier",
    state: State,
    answers: EarlierAnswers | None,
    max_rejects: int,
) -> list[Reject]:
    """Score all windows that no earlier run has scored.

    Returns:
        The first reject and those that were met last, if there are more than allowed: then
        reading stopped there.
    """
    first: list[Reject] = []
    record, progress = windows.record, windows.progress
    progress.step("read")
    with (
        reject_log(state.rejects, windows.encoding) as rejects,
        closing(windows.all(state.checkpoints, answers)) as all_of_them,
    ):
        for window in all_of_them:
            rejects.add(window.texts.rejects)
            record.rejected = rejects.count
            record.not_finite += window.texts.not_finite
            first = first or list(window.texts.rejects[:1])
            if rejects.count > max_rejects:
                return [*first, *window.texts.rejects]
            progress.begin(len(window.texts.texts), known=window.known_rows)
            _save(window, classifier, state, record, progress.share)
            progress.end()
    return []


def _save(
    window: Window, classifier: "Classifier", state: State, record: RunRecord, on_share: OnShare
) -> None:
    if window.stored is not None:
        record.add(window.stored, resumed=state.started)
        return
    with record.stage("score"):
        scores = classifier.score(window.prepared, window.known, on_share)
        if window.known is not None:
            scores = replace(scores, cache_hits=window.known_rows)
    with record.stage("keep"):
        state.checkpoints.save(window.texts.offset, window.digest, scores)
    record.add(scores)


def find_earlier(
    output: Path, options: RunOptions, classifier: "Classifier"
) -> Earlier | str | None:
    """Return the output that is about to be replaced, or why nothing of it can be reused.

    None without an id column.
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
    key = cache_keys.score_key(classifier.bundle.digest, classifier.runtime)
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
    # A list of labels needs all of them too: another threshold may include another class.
    every = options.output_spec.scores == "all" or report.model.task == "multi_label"
    if every and report.options.scores != "all" and report.model.task != "regression":
        return "the earlier output has no score for each class"
    names = [label.written_as for label in report.labels]
    return "two classes have one name in the earlier output" if len({*names}) < len(names) else ""


@contextmanager
def answers_of(
    earlier: Earlier | str | None, source: Source, directory: Path, record: RunRecord
) -> Iterator[EarlierAnswers | None]:
    """Yield the answers for an input from what `find_earlier` found until the block ends, or None.

    The directory is a name for files that are gone then; the record notes why nothing was reused.
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
