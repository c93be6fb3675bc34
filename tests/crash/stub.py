"""The stub that stands in for the model: its answers can be computed from a text alone."""

import os
import time
import zlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from scorer.inference.bundle import Bundle
from scorer.inference.gate import Figures
from scorer.inference.handle import ModelHandle
from scorer.inference.normalize import Normalizer
from scorer.inference.runtime.session import RuntimeInfo
from scorer.records import Answers, Counters, Scores
from tests.handles import handle_of
from tests.stub_metadata import stub_metadata

LABELS = ("negative", "neutral", "positive")


def answer(text: str, edition: str = "1") -> tuple[int, np.float32]:
    """Return the label id and its probability; each edition of the stub has its own answers."""
    digest = zlib.crc32(f"{edition} {text}".encode())
    return digest % 3, np.float32(0.5 + digest % 4999 / 10_000)


class StubClassifier:
    """Notes what it is asked to do, and can dawdle or stop at a window until a file is there.

    Args:
        notes: Where a line is written for the model's loading and for each window scored.
        edition: Of the bundle: another one answers differently, and has another digest.
        instruction_set: What the stub says that it runs on.
        hold_at: The window, from 1, in which to wait for `go`, or 0.
        go: The file to wait for.
        batch_seconds: How long each of ten batches of a window takes, from window `slow_from` on.
        slow_from: That window.
    """

    device = "builtin"

    def __init__(
        self,
        notes: str,
        edition: str = "1",
        instruction_set: str = "none",
        hold_at: int = 0,
        go: str = "",
        batch_seconds: float = 0.0,
        slow_from: int = 1,
    ) -> None:
        self.bundle = Bundle(
            directory=Path("/nowhere"),
            digest=f"{zlib.crc32(edition.encode()):064x}",
            metadata=stub_metadata(),
            name="stub",
            version=edition,
            model_type="bert",
            labels=LABELS,
            max_length=128,
            pad_token_id=0,
            temperature=1.0,
            normalizer=Normalizer(),
        )
        self.labels = LABELS
        self.runtime = RuntimeInfo("StubProvider", "builtin", "fp32", instruction_set, 1, "a stub")
        self.canary = Figures(256, 1.0, 1e-7, 1e-8)
        self.warnings: tuple[str, ...] = ()
        self._edition = edition
        self._notes = Path(notes)
        self._hold_at = hold_at
        self._go = Path(go)
        self._batch_seconds = batch_seconds
        self._slow_from = slow_from
        self._windows = 0

    def opened(self, _: Any) -> ModelHandle:
        """Stand in for `ModelHandle.of`."""
        return handle_of(self)

    def load(self) -> Self:
        """Return what the pipeline asks for what is loaded."""
        self._note("load")
        return self

    def prove(self, _: pl.Series | None = None) -> Self:
        """Return what the pipeline asks for the classifier."""
        return self

    def prepare(self, texts: pl.Series) -> pl.Series:
        """Return the texts, blank ones empty."""
        return texts.fill_null("").str.strip_chars()

    def score(self, prepared: pl.Series, known: Answers | None = None) -> Scores:
        """Answer one window, what is known of it as an earlier output does."""
        self._windows += 1
        self._note(f"score {len(prepared)}")
        if self._batch_seconds and self._windows >= self._slow_from:
            for _ in range(10):
                time.sleep(self._batch_seconds)
        while self._windows == self._hold_at and not self._go.exists():
            time.sleep(0.001)
        blank = (prepared == "").to_numpy()
        answers = [answer(text, self._edition) for text in prepared]
        ids = np.array([label for label, _ in answers], np.int16)
        best = np.array([probability for _, probability in answers], np.float32)
        rest = ((1 - best) / 2).astype(np.float32)
        probabilities = np.repeat(rest[:, None], len(LABELS), axis=1)
        probabilities[np.arange(len(ids)), ids] = best
        probabilities[blank] = np.nan
        if known is not None:
            old = known.label_ids >= 0
            ids[old], probabilities[old] = known.label_ids[old], known.probabilities[old]
        scored = int((~blank).sum())
        counters = Counters(len(ids), scored, len(ids) - scored, 0, 0, 3 * scored)
        lengths = np.array([0, 0, 0, scored])
        ids = np.where(blank, -1, ids).astype(np.int16)
        return Scores(ids, probabilities, counters, lengths)

    def _note(self, words: str) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {words}\n")
