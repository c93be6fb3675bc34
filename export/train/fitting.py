"""Fits one model: folds, distillation, the temperature, and training again on all rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.source.base import Base
from export.train import TrainingConfig, dataset
from export.train.dataset import EncodedRows
from export.train.evaluation import fit_temperature
from export.train.finetune import TrainingRows, finetune, predict
from export.train.stages import Stage, Stages
from export.train.text_encoder import TextEncoder
from scorer.inference.labels import probabilities

_IN_MEMORY = Stages()


def one_hot(label_ids: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return targets that are certain, [rows, classes]."""
    return np.eye(classes, dtype=np.float32)[label_ids]


def blend(
    label_ids: NDArray[np.int64], logits: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Return targets of which `weight` is a model's answer and the rest the label."""
    certain = one_hot(label_ids, logits.shape[1])
    return (1 - weight) * certain + weight * probabilities(logits)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model, and held-out rows with the logits, [rows, classes], of it or of its first fit."""

    model: Any
    temperature: float  # 1 if nothing was held out
    held_out: tuple[EncodedRows, NDArray[np.float32]] | None
    training_rows: int  # of the last fit

    def answer(self, rows: EncodedRows) -> tuple[EncodedRows, NDArray[np.float32]]:
        """Return rows with the model's logits, [rows, classes]."""
        return rows, predict(self.model, rows.input_ids)


def fit(
    base: Base,
    encoder: TextEncoder,
    labels: tuple[str, ...],
    rows: EncodedRows,
    spare: EncodedRows | None,
    config: TrainingConfig,
    stages: Stages = _IN_MEMORY,
) -> Fitted:
    """Train a model, fit its temperature on held-out rows, and train again where `refit` says so.

    Args:
        base: The model to start from.
        encoder: Its tokenizer.
        labels: Names of the classes, in id order.
        rows: The training rows.
        spare: Rows that the recipe leaves over; if they are enough, the held-out rows come
            from them, and all of `rows` are learnt at once.
        config: The training configuration.
        stages: What is kept of the trainings, and what was.
    """
    learn = _Learner(base, encoder, labels, config, stages)
    learnt, held_out = _hold_out(rows, spare, config)
    targets = learn.targets(learnt, learn.unseen_logits(learnt))
    if held_out is None:
        return Fitted(learn(learnt, targets, stages.stage("training")), 1.0, None, len(learnt))
    if not config.refit or len(learnt) == len(rows):
        model = learn(learnt, targets, stages.stage("training", held_out))
        logits = predict(model, held_out.input_ids)
        temperature = fit_temperature(logits, held_out.label_ids)
        return Fitted(model, temperature, (held_out, logits), len(learnt))
    logits = learn.logits(learnt, targets, "training", held_out)
    # To the first model, the held-out rows are what one more fold would be.
    more = learn.targets(held_out, logits if config.distill_folds else None)
    learnt, targets = learnt + held_out, np.concatenate((targets, more))
    model = learn(learnt, targets, stages.stage("training on all rows"))
    temperature = fit_temperature(logits, held_out.label_ids)
    return Fitted(model, temperature, (held_out, logits), len(learnt))


@dataclass(frozen=True, slots=True)
class _Learner:
    """Trains models that differ only in their rows."""

    base: Base
    encoder: TextEncoder
    labels: tuple[str, ...]
    config: TrainingConfig
    stages: Stages

    def __call__(self, rows: EncodedRows, targets: NDArray[np.float32], stage: Stage) -> Any:
        return finetune(
            self.base,
            self.encoder.tokenizer,
            self.labels,
            TrainingRows(rows.input_ids, targets),
            self.config,
            stage,
        )

    def logits(
        self, rows: EncodedRows, targets: NDArray[np.float32], title: str, asked: EncodedRows
    ) -> NDArray[np.float32]:
        """Return the logits of a model for rows that it has not learnt, [asked, classes]."""
        logits = self.stages.logits(title)
        if logits is None:
            evaluated = asked if title == "training" else None
            model = self(rows, targets, self.stages.stage(title, evaluated))
            logits = predict(model, asked.input_ids)
            self.stages.keep(title, logits)
        return logits

    def targets(self, rows: EncodedRows, logits: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return the labels as targets, blended with a model's answers where there are any."""
        if logits is None:
            return one_hot(rows.label_ids, len(self.labels))
        return blend(rows.label_ids, logits, self.config.distill_weight)

    def unseen_logits(self, rows: EncodedRows) -> NDArray[np.float32] | None:
        """Return for every row the logits of a model that was trained on the other folds."""
        if not self.config.distill_folds:
            return None
        logits = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        folds = dataset.folds(rows.label_ids, self.config.distill_folds, self.config.seed)
        for i, held_out in enumerate(folds, start=1):
            others = rows.take(np.setdiff1d(np.arange(len(rows)), held_out))
            targets, title = self.targets(others, None), f"fold {i} of {len(folds)}"
            logits[held_out] = self.logits(others, targets, title, rows.take(held_out))
        return logits


def _hold_out(
    rows: EncodedRows, spare: EncodedRows | None, config: TrainingConfig
) -> tuple[EncodedRows, EncodedRows | None]:
    """Return the rows to learn and those for the temperature."""
    if config.validation == 0:
        return rows, None
    pool, count = dataset.held_out_from(rows, spare, config)
    others, held_out = dataset.stratified(pool.label_ids, count, config.seed)
    return (rows.take(others) if pool is rows else rows), pool.take(held_out)
