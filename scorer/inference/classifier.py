"""The inner hallway: texts in, labels and scores out, for one window at a time.

    normalise -> tokenise -> join equal texts -> plan batches -> infer -> label

The pipeline, the export's parity check and the Python API all go through here.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, GateFailed
from scorer.inference import labels
from scorer.inference.batches import Batch, plan_batches
from scorer.inference.bundle import Bundle
from scorer.inference.canary import check_token_ids, measure
from scorer.inference.gate import Figures, is_proven
from scorer.inference.runtime import open_session
from scorer.inference.runtime.machine import inspect
from scorer.inference.runtime.select import Device, Precision, choices
from scorer.inference.runtime.session import RuntimeInfo, Session
from scorer.inference.tokens import TextTokenizer, Tokens
from scorer.inference.unique import unique_texts, unique_tokens
from scorer.records import Counters, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A window ready for the model."""

    tokens: Tokens  # of the distinct texts
    rows: NDArray[np.int64]  # [rows]: which of them each row is; -1 where blank
    batches: list[Batch]  # over the distinct texts
    counters: Counters

    def ids(self, row: int) -> list[int]:
        """Return the token ids of a row, special ones included; none where blank."""
        place = self.rows[row]
        return [] if place < 0 else self.tokens.row(place).tolist()


class Classifier:
    """A bundle on a session that has proven itself on the canary."""

    def __init__(self, bundle: Bundle, session: Session, warnings: Sequence[str] = ()) -> None:
        """Prove the session and keep it; `open` chooses one for this box.

        Raises:
            GateFailed: The answers differ from PyTorch's by more than the gate allows.
        """
        self.bundle = bundle
        self.labels: tuple[str, ...] = bundle.labels
        self.runtime: RuntimeInfo = session.info
        self._passed_over = tuple(warnings)
        self._session = session
        self._tokenizer = TextTokenizer(bundle)
        bundle.verify_unchanged()
        self.canary: Figures = self._prove()

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> Self:
        """Take the fastest provider and precision of this box that pass the gate.

        What was passed over, and why, is in `warnings`.

        Raises:
            DeviceUnavailable: What was asked for is not there.
            GateFailed: The answers differ from PyTorch's, and nothing slower is left to try.
            InvalidBundle: The tokenizer or the graph cannot be loaded.
        """
        machine = inspect()
        int8_proven = is_proven(bundle.metadata, "int8")
        *preferred, last = choices(device, precision, machine, int8_proven=int8_proven)
        warnings: list[str] = []
        for choice in preferred:
            try:
                return cls(bundle, open_session(bundle, choice, machine, threads), warnings)
            except (DeviceUnavailable, GateFailed) as error:
                warnings.append(
                    f"{choice.device} in {choice.precision} is not used: {error.problem}"
                )
        return cls(bundle, open_session(bundle, last, machine, threads), warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was passed over at the start, and what has happened to the session since."""
        return self._passed_over + self._session.warnings

    def prepare(self, texts: pl.Series) -> Prepared:
        """Normalise, tokenise and plan one window; needs no GPU and no session."""
        distinct, text_rows = unique_texts(self.bundle.normalizer(texts).fill_null(""))
        tokens, token_rows = unique_tokens(self._tokenizer(distinct.to_list()))
        has_content = tokens.lengths > self._tokenizer.special_tokens
        rows = token_rows[text_rows]
        rows[~has_content[rows]] = -1
        (scorable,) = np.nonzero(has_content)
        batches = plan_batches(tokens.lengths[scorable], self._session.token_budget)
        batches = [Batch(scorable[batch.rows], batch.length) for batch in batches]
        return Prepared(tokens, rows, batches, _count(tokens, rows))

    def logits(self, prepared: Prepared) -> NDArray[np.float32]:
        """Return the model's answers [rows, classes], NaN where blank."""
        distinct = np.full((len(prepared.tokens.lengths) + 1, len(self.labels)), np.nan, np.float32)

        def infer(batch: Batch) -> None:
            ids = prepared.tokens.matrix(batch.rows, batch.length)
            distinct[batch.rows] = self._session.run(ids)

        pool = ThreadPoolExecutor(self._session.callers, thread_name_prefix="infer")
        wait = True
        try:
            for _ in pool.map(infer, prepared.batches):
                pass
        except KeyboardInterrupt:
            wait = False  # not even for the batch in hand: a device may hang
            raise
        finally:
            pool.shutdown(wait, cancel_futures=True)
        return distinct[prepared.rows]  # row -1 is the one more, never written

    def score(self, prepared: Prepared) -> Scores:
        """Run the model on a prepared window.

        Raises:
            DeviceUnavailable: The session fails on a batch.
            GateFailed: An answer is not a number: an overflow that no canary text has shown.
        """
        logits = self.logits(prepared)
        broken = (prepared.rows >= 0) & ~np.isfinite(logits).all(axis=1)
        if broken.any():
            raise GateFailed(
                f"{self.runtime.provider} in {self.runtime.precision} gives answers that are not "
                f"numbers, for {broken.sum()} texts of a window",
                "use --precision fp32, and tell who trained the model",
            )
        probabilities = labels.probabilities(logits, self.bundle.temperature)
        label_ids = np.where(prepared.rows < 0, np.int16(-1), labels.label_ids(probabilities))
        return Scores(label_ids, probabilities, prepared.counters)

    def _prove(self) -> Figures:
        canary = self.bundle.canary()
        prepared = self.prepare(pl.Series(canary.texts, dtype=pl.String))
        check_token_ids(
            [prepared.ids(row) for row in range(len(canary.texts))], canary, self.bundle
        )
        return measure(self.logits(prepared), canary, self.runtime)

    def classify(self, texts: pl.Series) -> Scores:
        """Return label ids and probabilities for texts, in their order."""
        return self.score(self.prepare(texts))


def _count(tokens: Tokens, rows: NDArray[np.int64]) -> Counters:
    scored = rows[rows >= 0]
    return Counters(
        rows=len(rows),
        scored=len(scored),
        blank=len(rows) - len(scored),
        equal=len(scored) - len(np.unique(scored)),
        truncated=int(tokens.truncated[scored].sum()),
        tokens=int(tokens.lengths[scored].sum()),
    )
