"""Stubs for the model, whose answers can be computed from a text alone."""

import dataclasses
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.inference.bundle import Bundle, Canary
from scorer.inference.bundle.metadata import Metadata
from scorer.inference.gate import Figures
from scorer.inference.loading import ModelHandle
from scorer.inference.normalize import Normalizer
from scorer.inference.session import RuntimeInfo
from scorer.records import Answers, Counters, OnShare, Scores
from tests.handles import handle_of
from tests.stub_metadata import stub_metadata

LABELS = ("negative", "neutral", "positive")

#: What the stub would have answered to 1,000 texts: a third of each label, all with 0.8.
BASELINE = {
    "rows": 999,
    "label_shares": {"negative": 1 / 3, "neutral": 1 / 3, "positive": 1 / 3},
    "score_histogram": {"edges": [0, 0.5, 1], "counts": [0, 999]},
    "length_histogram": {"3": 999},
    "unknown_token_share": 0.0,
}


class _Stub:
    """A model and its classifier at once, for what a pipeline does with them."""

    labels: tuple[str, ...] = LABELS

    def __init__(self, digest: str, version: str, instruction_set: str, metadata: Metadata) -> None:
        self.bundle = Bundle(
            directory=Path("/nowhere"),
            digest=digest,
            metadata=metadata,
            name="stub",
            version=version,
            model_type="bert",
            labels=metadata.labels,
            max_length=128,
            temperature=1.0,
            normalizer=Normalizer(),
        )
        self.runtime = RuntimeInfo("StubProvider", "builtin", "fp32", instruction_set, 1, "a stub")
        self.canary = Figures(256, 1.0, 1e-7, 1e-8)
        self.warnings: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """What the runtime says."""
        return self.runtime.device

    def load(self) -> Self:
        """Return what the pipeline asks for what is loaded."""
        return self

    def prove(self, _: pl.Series | None = None, on_share: OnShare = lambda _: None) -> Self:
        """Return what the pipeline asks for the classifier."""
        return self

    def prepare(self, texts: pl.Series) -> pl.Series:
        """Return the texts, blank ones empty."""
        return texts.fill_null("")

    def score(
        self,
        prepared: pl.Series,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Answer one window, and leave what is known of it."""
        ids, probabilities = self._answers(prepared)
        blank = (prepared == "").to_numpy()
        probabilities[blank] = np.nan
        if known is not None:
            old = known.label_ids >= 0
            ids[old], probabilities[old] = known.label_ids[old], known.probabilities[old]
        scored = int((~blank).sum())
        counters = Counters(len(ids), scored, len(ids) - scored, 0, 0, 3 * scored)
        ids = np.where(blank, -1, ids).astype(np.int16)
        return Scores(ids, probabilities, counters, np.array([0, 0, 0, scored]))

    def _answers(self, prepared: pl.Series) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return the label ids, and the probabilities [rows, labels]."""
        raise NotImplementedError


class StubClassifier(_Stub):
    """Says positive to texts with a +, negative to those with a -, neutral to others."""

    def __init__(self) -> None:
        super().__init__("d" * 64, "1", "none", stub_metadata(baseline=BASELINE))
        self.loads = 0
        self.proven_with: list[pl.Series | None] = []
        self.windows: list[int] = []  # rows of each window, in the order of scoring
        self.before_scoring: Callable[[], None] = lambda: None

    def load(self) -> Self:
        """Count it."""
        self.loads += 1
        return self

    def prove(self, first: pl.Series | None = None, on_share: OnShare = lambda _: None) -> Self:
        """Keep what is said to come first."""
        self.proven_with.append(first)
        return self

    def _answers(self, prepared: pl.Series) -> tuple[NDArray[Any], NDArray[np.float32]]:
        self.before_scoring()
        self.windows.append(len(prepared))
        ids = np.where(prepared.str.contains("+", literal=True).to_numpy(), 2, 1)
        ids = np.where(prepared.str.contains("-", literal=True).to_numpy(), 0, ids)
        probabilities = np.full((len(ids), 3), 0.1, np.float32)
        probabilities[np.arange(len(ids)), ids] = 0.8
        return ids, probabilities


def answer(text: str, edition: str = "1") -> tuple[int, np.float32]:
    """Return the label id and its probability; each edition of the stub has its own answers."""
    digest = zlib.crc32(f"{edition} {text}".encode())
    return digest % 3, np.float32(0.5 + digest % 4999 / 10_000)


class StubThatNotes(_Stub):
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
        super().__init__(
            f"{zlib.crc32(edition.encode()):064x}", edition, instruction_set, stub_metadata()
        )
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

    def prepare(self, texts: pl.Series) -> pl.Series:
        """Return the texts, blank ones empty."""
        return super().prepare(texts).str.strip_chars()

    def _answers(self, prepared: pl.Series) -> tuple[NDArray[Any], NDArray[np.float32]]:
        self._windows += 1
        self._note(f"score {len(prepared)}")
        if self._batch_seconds and self._windows >= self._slow_from:
            for _ in range(10):
                time.sleep(self._batch_seconds)
        while self._windows == self._hold_at and not self._go.exists():
            time.sleep(0.001)
        answers = [answer(text, self._edition) for text in prepared]
        ids = np.array([label for label, _ in answers], np.int16)
        best = np.array([probability for _, probability in answers], np.float32)
        rest = ((1 - best) / 2).astype(np.float32)
        probabilities = np.repeat(rest[:, None], len(LABELS), axis=1)
        probabilities[np.arange(len(ids)), ids] = best
        return ids, probabilities

    def _note(self, words: str) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {words}\n")


#: Fields of a stub's metadata, for each task but a single label.
TASKS: dict[str, dict[str, Any]] = {
    "multi_label": {"labels": ("anger", "joy, or so", 'so "sad"', "café", "fear")},
    "regression": {"labels": ("stars",)},
}


class _TaskBundle(Bundle):
    def canary(self) -> Canary:
        """Return one whose values have a range of 1,000."""
        logits = np.array([[-400.0], [600.0]], np.float32)
        return Canary(("a", "b"), ((1,), (2,)), logits, self.task, self.activation)


class TaskStub(_Stub):
    """Answers each text with several labels, or with a value, by a hash of it."""

    def __init__(self, task: str, **fields: Any) -> None:
        activation = "none" if task == "regression" else "sigmoid"
        fields = {**TASKS[task], "task": task, "activation": activation, **fields}
        metadata = stub_metadata(**fields)
        super().__init__("e" * 64, "1", "none", metadata)
        self.labels = metadata.labels
        parts = {each.name: getattr(self.bundle, each.name) for each in dataclasses.fields(Bundle)}
        self.bundle = _TaskBundle(**parts)
        self.asked: list[str] = []

    def score(
        self,
        prepared: pl.Series,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Answer one window, and note the texts whose answers are not known."""
        unknown = prepared != ""
        if known is not None:
            unknown &= pl.Series(known.label_ids < 0)
        self.asked.extend(prepared.filter(unknown).to_list())
        return super().score(prepared, known, on_share)

    def _answers(self, prepared: pl.Series) -> tuple[NDArray[Any], NDArray[np.float32]]:
        drawn = np.array([_drawn(text, len(self.labels)) for text in prepared], np.float32)
        values = drawn.reshape(len(prepared), len(self.labels))
        if self.bundle.task == "regression":
            values = (values - np.float32(0.4)) * np.float32(1e3) ** (2 * values)
        return values.argmax(axis=1), values


def _drawn(text: str, count: int) -> list[float]:
    """Return numbers from 0 to 1, some of them hardly more than 0."""
    hashes = [zlib.crc32(f"{number} {text}".encode()) for number in range(count)]
    return [(each % 1009 / 1009) ** (1 + 9 * (each % 2)) for each in hashes]
