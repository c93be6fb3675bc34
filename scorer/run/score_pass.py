"""The first pass over an input: read, prepare, score, keep the results.

Reading and preparing the next window overlap with scoring this one, so memory is two windows.
A window that an earlier run has scored is not scored again, nor are rows whose answers an earlier
output has.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from scorer.formats.base import Source, text_digest
from scorer.inference.loading import ModelHandle
from scorer.monitor.run_report import RunRecord
from scorer.options import CPU_WINDOW
from scorer.prefetch import one_ahead
from scorer.readback.earlier import EarlierAnswers
from scorer.records import Answers, Reject, Scores, TextWindow
from scorer.store.rejects import reject_log
from scorer.store.state import State

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier
    from scorer.inference.loading import Candidate
    from scorer.store.checkpoints import Checkpoints


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window as it comes from the reading thread: with old scores, or ready for the model."""

    texts: TextWindow
    digest: bytes
    stored: Scores | None
    prepared: Any
    known: Answers | None


class Windows:
    """An input's windows of `rows` rows, read and prepared one ahead in a thread of its own."""

    def __init__(self, source: Source, loaded: "Candidate", record: RunRecord, rows: int) -> None:
        self.rows = rows
        self.encoding = source.encoding
        self._source = source
        self._loaded = loaded
        self._record = record
        self._begun: Iterator[Window] | None = None
        self._first: list[Window] = []

    @property
    def are_large(self) -> bool:
        """Whether reading one window first would delay an error of the model."""
        return self.rows > CPU_WINDOW

    def prove(self, model: ModelHandle, max_rejects: int) -> "Classifier":
        """Read the first window, for which nothing can be stored, and prove the model with it.

        One with more rejects than are allowed is not scored.
        """
        self._begun = self._prepared(None, None)
        # No thread reads on meanwhile: another session may have to be loaded, which must not be
        # beside threads, see `scorer.inference.runtime.prepared`.
        with closing(one_ahead(islice(self._begun, 1))) as windows:
            first = next(windows, None)
        self._first = [] if first is None else [first]
        scored = first is not None and len(first.texts.rejects) <= max_rejects
        with self._record.stage("score"):
            return model.prove(first.prepared if first is not None and scored else None)

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
            with self._record.stage("read"):
                texts = next(windows, None)
            if texts is None:
                return
            with self._record.stage("prepare"):
                digest = text_digest(texts.texts)
                stored = prepared = known = None
                if checkpoints:
                    stored = checkpoints.take(texts.offset, digest, len(texts.texts))
                if stored is None:
                    prepared = self._loaded.prepare(texts.texts)
                    known = answers.known(texts) if answers else None
            yield Window(texts, digest, stored, prepared, known)


@dataclass(frozen=True, slots=True)
class FirstPass:
    """The first pass over one input."""

    windows: Windows
    classifier: "Classifier"
    state: State
    record: RunRecord
    answers: EarlierAnswers | None = None  # of an earlier output

    def run(self, max_rejects: int, progress: Callable[[int], object]) -> list[Reject]:
        """Score all windows that no earlier run has scored.

        Returns:
            The first reject and those that were met last, if there are more than allowed: then
            reading stopped there.
        """
        first: list[Reject] = []
        with (
            reject_log(self.state.rejects, self.windows.encoding) as rejects,
            closing(self.windows.all(self.state.checkpoints, self.answers)) as windows,
        ):
            for window in windows:
                rejects.add(window.texts.rejects)
                self.record.rejected = rejects.count
                self.record.not_finite += window.texts.not_finite
                first = first or list(window.texts.rejects[:1])
                if rejects.count > max_rejects:
                    return [*first, *window.texts.rejects]
                self._save(window)
                progress(len(window.texts.texts))
        return []

    def _save(self, window: Window) -> None:
        record = self.record
        if window.stored is not None:
            record.resumed_from(self.state.started)
            record.add(window.stored, reused=True)
            return
        with record.stage("score"):
            scores = self._score(window)
        with record.stage("keep"):
            self.state.checkpoints.save(window.texts.offset, window.digest, scores)
        record.add(scores)

    def _score(self, window: Window) -> Scores:
        known = window.known
        if known is None:
            return self.classifier.score(window.prepared)
        scores = self.classifier.score(window.prepared, known)
        return replace(scores, cache_hits=int((known.label_ids >= 0).sum()))
