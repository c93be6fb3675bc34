"""PyTorch's answers to the texts of the parity check, and whether they can prove anything."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from export.parity.pytorch import Reference
from export.source.classes import Classes
from scorer.errors import GateFailed
from scorer.hints import counted
from scorer.inference import labels
from scorer.inference.gate import Figures, compare
from scorer.inference.normalize import Normalizer
from scorer.records import Activation, Task

BATCH_SIZES = (1, 7, 32)
# What a probability must move by from text to text: one of two classes or of several labels, and
# in proportion one of more classes. A trained model moves them many times as much.
MIN_SPREAD = 0.1
MIN_RANGE = 0.01  # of a regression's values, of the largest: fp32 is far finer
# Samples that meet every shape of batch; all texts would make a large model's gate take an hour.
_BATCHED_TEXTS = 32
_SHOWN = 5  # names in a note


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Texts with PyTorch's answers."""

    texts: tuple[str, ...]  # as they come in
    token_ids: list[list[int]]
    scores: NDArray[np.float32]  # at temperature 1
    task: Task = "single_label"
    activation: Activation = "softmax"

    def of_logits(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores [texts, classes] of other logits."""
        return labels.scores(logits, self.activation)

    def compare(self, scores: NDArray[np.float32], rows: slice = slice(None)) -> Figures:
        """Compare the scores of some of the texts with these."""
        return compare(scores, self.scores[rows], self.task)


def true_answers(
    reference: Reference, normalizer: Normalizer, texts: Sequence[str], classes: Classes
) -> tuple[Truth, list[str]]:
    """Return PyTorch's answers to the distinct texts that are not blank, and notes on them.

    Raises:
        GateFailed: They can prove nothing, or depend on the texts beside them.
    """
    distinct = list(dict.fromkeys(texts))
    normalized = normalizer(pl.Series(distinct, dtype=pl.String)).to_list()
    token_ids = reference.token_ids(normalized)
    blank = len(reference.token_ids([""])[0])
    rows = [row for row, ids in enumerate(token_ids) if len(ids) > blank]
    kept = [normalized[row] for row in rows]
    truth = Truth(
        tuple(distinct[row] for row in rows),
        [token_ids[row] for row in rows],
        labels.scores(reference.logits(kept), classes.activation),
        classes.task,
        classes.activation,
    )
    notes = require_spread(truth.scores, classes.names, classes.task)
    try:
        _require_one_truth(reference, kept, truth)
    except GateFailed as error:
        if normalizer.name == "tweetscore":
            raise
        # Its own pipeline pads nothing either, unless it is told to.
        notes.append(f"{error.problem}; a run answers as alone")
    return truth, notes


def require_spread(
    scores: NDArray[np.float32], names: Sequence[str], task: Task = "single_label"
) -> list[str]:
    """Refuse a reference that could agree with a broken export by chance.

    Returns:
        A note with the names of the classes that win on no text, where there are any.

    Raises:
        GateFailed: It gives all texts nearly the same scores.
    """
    spread = float(np.ptp(scores, axis=0).max())
    if task == "regression":  # its values are of any size
        least = MIN_RANGE * float(np.abs(scores).max())
    else:
        least = MIN_SPREAD * (2 / len(names) if task == "single_label" else 1)
    if not (spread >= least and spread > 0):  # NaN compares false
        raise GateFailed(
            f"the scores that the model gives {counted(len(scores), 'text')} differ by "
            f"{spread:.2g} at most: parity on them would prove nothing",
            "train it further, or give texts that it tells apart with --parity-data",
        )
    winners = {*scores.argmax(axis=1).tolist()}
    never = [name for label, name in enumerate(names) if label not in winners]
    if task != "single_label" or not never:
        return []
    shown = ", ".join(never[:_SHOWN])
    more = f" and {len(never) - _SHOWN} more" if len(never) > _SHOWN else ""
    note = (
        f"warning: no text is answered with {shown}{more}: parity is shown for the other classes; "
        "--parity-data FILE adds texts of yours"
    )
    return [note]


def _require_one_truth(reference: Reference, texts: list[str], truth: Truth) -> None:
    if reference.pads is not None:
        return  # without a pad id there are no batches
    sample = every(len(texts), _BATCHED_TEXTS)
    for rows in BATCH_SIZES[1:]:
        figures = truth.compare(truth.of_logits(reference.batched(texts[sample], rows)), sample)
        if not figures.within_gate("fp32"):
            raise GateFailed(
                f"PyTorch itself answers differently in batches of {rows} than alone: {figures}",
                "check pad_token_id and padding_side (GPT-2 needs right padding) and train again",
            )


def every(count: int, wanted: int) -> slice:
    """Return evenly spaced places among `count`: `wanted` or a few more."""
    return slice(None, None, max(1, count // wanted))
