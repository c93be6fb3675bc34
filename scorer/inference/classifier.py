"""The steps of inference: texts in, labels and scores out, for one window at a time.

    normalise -> tokenise -> join equal texts -> cached answers -> plan batches -> infer -> label

The pipeline, the export's parity check and the Python API all go through here.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, GateFailed
from scorer.hints import counted
from scorer.inference import labels
from scorer.inference.answer_cache import AnswerCache
from scorer.inference.bundle import Bundle
from scorer.inference.gate import Figures, low_margin, measure
from scorer.inference.preparation import Preparation, Prepared, Tokens
from scorer.inference.session import Batch, RuntimeInfo, Session, plan_batches
from scorer.records import Answers, OnShare, Scores

#: Tokens of a window that the canary goes with: some 1,600 tweets. A session that fails the gate
#: has computed them for nothing: with AMX up to 1 s of MiniLM, 12 s of GPT-2. A longer run would
#: hardly notice what it gains.
_MOST_WITH_CANARY = 1 << 15
#: The part of a window's time that texts of low margin take, which the exact session decides.
#: Where there are more or fewer of them, only the shares that are told are less even.
_EXACT_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _FirstWindow:
    """The answers for the first window, inferred together with the canary's."""

    tokens: Tokens  # of the window's distinct texts
    answers: NDArray[np.float32]  # [distinct texts + 1, classes]; NaN where not asked


class Classifier:
    """A bundle on a session that has proven itself on the canary."""

    def __init__(
        self,
        bundle: Bundle,
        session: Session,
        warnings: Sequence[str] = (),
        preparation: Preparation | None = None,
        first: Prepared | None = None,
        on_share: OnShare = lambda _: None,
    ) -> None:
        """Prove the session and keep it; `loading.load` chooses one for this box.

        Args:
            bundle: The model.
            session: What is to be proven.
            warnings: Which sessions were skipped before it, and why.
            preparation: The bundle's, where it is there already.
            first: The window that will be scored first. If it is small, and an answer does not
                depend on its batch, the canary goes through the model in this window's batches:
                a run of 1,000 tweets takes 0.9 of the time.
            on_share: Is called with the share of those batches that is done, by their tokens.

        Raises:
            GateFailed: The answers differ from PyTorch's by more than the gate allows.
        """
        self.bundle = bundle
        self.labels: tuple[str, ...] = bundle.labels
        self.runtime: RuntimeInfo = session.info
        self._skipped = tuple(warnings)
        self._session = session
        self._prepare = preparation or Preparation(bundle)
        # On a GPU an answer may depend on its batch, and so an output on what is cached.
        self._cache = AnswerCache(len(bundle.labels)) if session.info.exact else None
        self._first_window: _FirstWindow | None = None
        bundle.verify_unchanged()
        logits = self._logits_of_canary(first, on_share)
        self.canary: Figures = measure(logits, self._prepare.canary, self.runtime)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sessions that were skipped at the start, and what has happened to this one since."""
        return self._skipped + self._session.warnings

    def prepare(self, texts: pl.Series) -> Prepared:
        """Normalise and tokenise one window; needs no GPU and no session."""
        return self._prepare(texts)

    def _logits_of_canary(self, first: Prepared | None, on_share: OnShare) -> NDArray[np.float32]:
        """Return the canary's logits, and keep those of a window that went the same way."""
        canary = self._prepare.prepared_canary
        exact = self.runtime.exact
        if first is not None and exact and len(first.tokens.ids) <= _MOST_WITH_CANARY:
            # The window may be the cause of a failure: then it fails when it is scored.
            with suppress(DeviceUnavailable):
                tokens = canary.tokens.followed_by(first.tokens)
                after = len(canary.tokens.lengths)
                answers = self._no_answers(tokens)
                texts = np.concatenate((canary.scorable, after + first.scorable))
                self._infer(tokens, texts, answers, on_share)
                self._first_window = _FirstWindow(first.tokens, answers[after:])
                return answers[canary.rows]
        return self.logits(canary)

    def logits(self, prepared: Prepared) -> NDArray[np.float32]:
        """Return the logits [rows, classes], without the cache; NaN where blank."""
        answers = self._no_answers(prepared.tokens)
        self._infer(prepared.tokens, prepared.scorable, answers)
        return answers[prepared.rows]

    def _no_answers(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return logits of NaN for each text, and one row more: row -1 stays NaN."""
        return np.full((len(tokens.lengths) + 1, len(self.labels)), np.nan, np.float32)

    def _infer(
        self,
        tokens: Tokens,
        texts: NDArray[np.int64],
        answers: NDArray[np.float32],
        on_share: OnShare = lambda _: None,
    ) -> None:
        """Run the model on some of the texts, and write into their rows of `answers`."""
        exact = self._session.exact
        fast = 1 - _EXACT_SHARE if exact else 1.0
        _run(self._session, tokens, texts, answers, lambda share: on_share(fast * share))
        if exact:
            undecided = low_margin(answers[texts], self.bundle.task) | self._pools_inside(
                tokens, texts
            )
            _run(
                exact,
                tokens,
                texts[undecided],
                answers,
                lambda share: on_share(fast + (1 - fast) * share),
            )

    def _pools_inside(self, tokens: Tokens, texts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each text whether a decoder answers at a token that is not its last one.

        It does where a text that may hold control tokens ends with the pad token. The int8 graph
        keeps the last token exact, whatever it is.
        """
        rules = self.bundle.metadata
        if rules.split_special_tokens or rules.pad_to is not None:
            return np.zeros(len(texts), np.bool_)
        inside: NDArray[np.bool_] = tokens.ids[tokens.offsets[texts + 1] - 1] == rules.pad_token_id
        return inside

    def score(
        self,
        prepared: Prepared,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Run the model on a prepared window.

        Known answers for some of the rows hold for all rows with the same tokens. `on_share` is
        called in this thread, after each batch, with the share of the window's tokens that is done.

        Raises:
            DeviceUnavailable: The session fails on a batch.
            GateFailed: An answer is not a number: an overflow that no canary text has shown.
        """
        answers = self._no_answers(prepared.tokens)
        known_rows = _known_rows(prepared, known)
        asked = prepared.scorable[known_rows[prepared.scorable] < 0]
        remembered = self._answer(prepared.tokens, asked, answers, on_share)
        logits, taken = answers[prepared.rows], known_rows[prepared.rows]
        broken = (prepared.rows >= 0) & (taken < 0) & ~np.isfinite(logits).all(axis=1)
        if broken.any():
            raise GateFailed(
                f"{self.runtime.provider} in {self.runtime.precision} gives answers that are not "
                f"numbers, for {counted(int(broken.sum()), 'text')} of a window",
                "use --precision fp32, and tell who trained the model",
            )
        bundle = self.bundle
        probabilities = labels.scores(logits, bundle.activation, bundle.temperature)
        label_ids = np.where(prepared.rows < 0, np.int16(-1), labels.label_ids(probabilities))
        if known is not None:
            rows = np.flatnonzero(taken >= 0)
            label_ids[rows] = known.label_ids[taken[rows]]
            probabilities[rows] = known.probabilities[taken[rows]]
        return Scores(label_ids, probabilities, prepared.counters, prepared.lengths, remembered)

    def _answer(
        self,
        tokens: Tokens,
        texts: NDArray[np.int64],
        answers: NDArray[np.float32],
        on_share: OnShare,
    ) -> int:
        """Fill in the texts' rows of `answers`; return how many came from the cache."""
        cache = self._cache
        first, self._first_window = self._first_window, None  # answers the next window, or none
        if first is not None and first.tokens is tokens:
            answers[texts] = first.answers[texts]
            if cache is not None:
                cache.store(tokens.take(texts), answers[texts])
            return 0
        if cache is None:
            self._infer(tokens, texts, answers, on_share)
            return 0
        known = answers[texts]
        cached = cache.lookup(tokens.take(texts), known)
        answers[texts] = known
        asked = texts[~cached]
        self._infer(tokens, asked, answers, on_share)
        cache.store(tokens.take(asked), answers[asked])
        return int(cached.sum())

    def classify(self, texts: pl.Series) -> Scores:
        """Return label ids and probabilities for texts, in their order."""
        return self.score(self.prepare(texts))


def _known_rows(prepared: Prepared, known: Answers | None) -> NDArray[np.int64]:
    """Return for each distinct text a row whose answer is known, or -1; a last -1 for blanks."""
    known_rows = np.full(len(prepared.tokens.lengths) + 1, -1)
    if known is not None:
        (rows,) = np.nonzero((known.label_ids >= 0) & (prepared.rows >= 0))
        known_rows[prepared.rows[rows]] = rows
    return known_rows


def _run(
    session: Session,
    tokens: Tokens,
    texts: NDArray[np.int64],
    answers: NDArray[np.float32],
    on_share: OnShare,
) -> None:
    """Run one session on some of the texts, from as many threads as it admits."""

    def infer(batch: Batch) -> None:
        rows = texts[batch.rows]
        answers[rows] = session.run(tokens.matrix(rows, batch.length))

    batches = plan_batches(tokens.lengths[texts], session.token_budget, alike=session.info.compiles)
    work = np.cumsum([len(each.rows) * each.length for each in batches])  # in tokens
    # A pool for each window, and so a barrier at its end. Keeping the callers busy across
    # windows would gain 0.6 % at 2,400 tweets/s: of a window's 7 s they idle for the 23 ms of
    # planning, caching and labelling, 20 ms of fsync, and 0.1 % until the last batches end.
    pool = ThreadPoolExecutor(session.callers, thread_name_prefix="infer")
    wait = True
    try:
        for done, _ in zip(work, pool.map(infer, batches), strict=True):
            on_share(float(done / work[-1]))
    except KeyboardInterrupt:
        wait = False  # not even for the batch in hand: a device may hang
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
