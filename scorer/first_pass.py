"""The first pass over an input: read, prepare, score, keep the results.

Reading and preparing the next window overlap with scoring this one, so memory is two windows.
A window that an earlier run has scored is not scored again, nor are rows whose answers an earlier
output has.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from scorer.ahead import one_ahead
from scorer.files.earlier import Answers
from scorer.files.rejects import reject_log
from scorer.files.source import Source, text_digest
from scorer.files.state import State
from scorer.monitor.run_report import RunRecord
from scorer.records import Known, Reject, Scores, TextWindow
from scorer.run_options import TextClassifier


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """One window as it comes from the reading thread: with old scores, or ready for the model."""

    texts: TextWindow
    digest: bytes
    stored: Scores | None
    prepared: Any
    known: Known | None


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What takes part."""

    source: Source
    classifier: TextClassifier
    state: State
    record: RunRecord
    answers: Answers | None = None  # of an earlier output

    def run(
        self, rows: int, *, max_rejects: int, progress: Callable[[int], object]
    ) -> Reject | None:
        """Score all windows of `rows` rows that no earlier run has scored.

        Returns:
            The first reject, if there are more than allowed: then reading stopped there.
        """
        first: Reject | None = None
        with (
            reject_log(self.state.rejects, self.source.encoding) as rejects,
            closing(one_ahead(self._windows(rows))) as windows,
        ):
            for window in windows:
                rejects.add(window.texts.rejects)
                self.record.rejected = rejects.count
                first = first or next(iter(window.texts.rejects), None)
                if rejects.count > max_rejects:
                    return first
                self._keep(window)
                progress(len(window.texts.texts))
        return None

    def _windows(self, rows: int) -> Iterator[_Window]:
        """Read and prepare windows; runs one window ahead, in a thread of its own."""
        windows = self.source.windows(rows)
        while True:
            with self.record.stage("read"):
                texts = next(windows, None)
            if texts is None:
                return
            with self.record.stage("prepare"):
                digest = text_digest(texts.texts)
                stored = self.state.parts.take(texts.offset, digest, len(texts.texts))
                prepared = None if stored else self.classifier.prepare(texts.texts)
                known = self.answers.known(texts) if self.answers and not stored else None
            yield _Window(texts, digest, stored, prepared, known)

    def _keep(self, window: _Window) -> None:
        record = self.record
        if window.stored is not None:
            record.resumed_from(self.state.started)
            record.add(window.stored, reused=True)
            return
        with record.stage("score"):
            scores = self._score(window)
        with record.stage("keep"):
            self.state.parts.write(window.texts.offset, window.digest, scores)
        record.add(scores)

    def _score(self, window: _Window) -> Scores:
        known = window.known
        if known is None:
            return self.classifier.score(window.prepared)
        scores = self.classifier.score(window.prepared, known)
        return replace(scores, taken_over=int((known.label_ids >= 0).sum()))
