"""Fine-tuning with the Hugging Face Trainer: token ids and targets in, a model out."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.utils.data import Dataset

from export.source.base import Base
from export.train import TrainingConfig
from export.train.adapters import merged, with_adapters
from export.train.callbacks import AverageLast, Messages, Validation
from export.train.checkpoints import (
    Completion,
    RecordedOrder,
    ResumableTrainer,
    latest_checkpoint,
)
from export.train.dataset import EncodedRows
from export.train.evaluation import negative_log_likelihood
from export.train.loss import balanced_weights, soft_cross_entropy
from export.train.stages import Stage
from scorer.errors import InvalidBundle
from scorer.inference.session import plan_batches

_PREDICTION_TOKENS = 4096  # per batch
_SHARE_LOGGED = 0.05  # of the steps, after which the loss is said


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows(Dataset[dict[str, Any]]):
    """Rows as the Trainer takes them. A hard label is a target of one 1 and zeros."""

    input_ids: Sequence[Sequence[int]]
    targets: NDArray[np.float32]  # [rows, classes], each row adds up to 1

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one row; ``labels`` is the name that the Trainer expects."""
        return {"input_ids": self.input_ids[index], "labels": self.targets[index]}


_ALONE = Stage()


def finetune(
    base: Base,
    tokenizer: Any,
    labels: Sequence[str],
    rows: TrainingRows,
    config: TrainingConfig,
    stage: Stage = _ALONE,
) -> Any:
    """Train a classifier on top of a base, and return it in evaluation mode, in fp32.

    Where the stage has a complete checkpoint, the training goes on from there, to the same weights.

    Args:
        base: The model to start from.
        tokenizer: Its tokenizer, with a pad token.
        labels: Names of the classes, in id order.
        rows: The training rows.
        config: The training configuration.
        stage: What is kept and said of it.
    """
    transformers.set_seed(config.seed)  # the classification head is drawn at random
    model = load_classifier(base, tokenizer, labels)
    if config.lora:
        model = with_adapters(model, config.lora)
    weights = balanced_weights(rows.targets) if config.class_weights == "balanced" else None
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        trainer = ResumableTrainer(
            model=model,
            args=arguments(config, stage.directory or Path(scratch), stage),
            train_dataset=rows,
            processing_class=tokenizer,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            compute_loss_func=soft_cross_entropy(config.label_smoothing, weights),
        )
        trainer.order = RecordedOrder()
        trainer.remove_callback(transformers.PrinterCallback)  # it prints to stdout
        _train(trainer, stage, _parts(trainer, config, stage))
    return (merged(model) if config.lora else model).eval()


def _parts(
    trainer: ResumableTrainer, config: TrainingConfig, stage: Stage
) -> dict[str, AverageLast | Validation]:
    """Return the callbacks that change what a training ends on, and what checkpoints keep."""
    parts: dict[str, AverageLast | Validation] = {}
    held_out = stage.held_out
    if held_out is not None:
        parts["validation"] = Validation(
            partial(_loss_and_accuracy, rows=held_out),
            trainer.log,
            keep_best=config.best_epoch or config.early_stopping > 0,
            patience=config.early_stopping,
        )
    if config.average_last > 0:
        parts["average"] = AverageLast(config.average_last)
    return parts


def _train(
    trainer: ResumableTrainer, stage: Stage, parts: Mapping[str, AverageLast | Validation]
) -> None:
    completion = Completion(trainer.order, parts)
    for callback in (*parts.values(), completion, Messages(stage.title, stage.notify)):
        trainer.add_callback(callback)  # type: ignore[no-untyped-call]  # the Trainer's
    checkpoint = latest_checkpoint(stage.directory) if stage.directory else None
    if checkpoint is None:
        trainer.train()
        return
    completion.restore(checkpoint)
    validation = parts.get("validation")
    if isinstance(validation, Validation) and validation.stopped:
        validation.put_best(trainer.model)  # the Trainer would learn one more step
        return
    trainer.train(resume_from_checkpoint=str(checkpoint))


def _loss_and_accuracy(model: Any, rows: EncodedRows) -> tuple[float, float]:
    logits = predict(model, rows.input_ids)
    accuracy = float((logits.argmax(axis=1) == rows.label_ids).mean())
    return negative_log_likelihood(logits, rows.label_ids, 1.0), accuracy


def predict(model: Any, input_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Return the logits, [rows, classes], computed without padding, as serving does."""
    model.eval()
    logits = np.empty((len(input_ids), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        lengths = np.array([len(ids) for ids in input_ids], dtype=np.int64)
        for batch in plan_batches(lengths, _PREDICTION_TOKENS):
            ids = torch.tensor([input_ids[row] for row in batch.rows], device=model.device)
            logits[batch.rows] = model(input_ids=ids).logits.float().cpu().numpy()
    return logits


def load_classifier(base: Base, tokenizer: Any, labels: Sequence[str]) -> Any:
    """Load the base in fp32 with a head for these labels; only the head may be new.

    Raises:
        InvalidBundle: The weights are not those that the base's config.json describes.
    """
    auto: Any = transformers.AutoModelForSequenceClassification
    try:
        with _quiet():
            model, report = auto.from_pretrained(
                base.directory,
                id2label=dict(enumerate(labels)),
                label2id={label: i for i, label in enumerate(labels)},
                problem_type="single_label_classification",
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # the head of a base may have other classes
                output_loading_info=True,
            )
    except SafetensorError as error:
        raise InvalidBundle(
            f"the weights of {base.name} cannot be read ({error})", "fetch the base again"
        ) from error
    _require_weights(base, model, report)
    if len(tokenizer) > model.config.vocab_size:
        raise InvalidBundle(
            f"the tokenizer of {base.name} knows {len(tokenizer)} tokens, its model only "
            f"{model.config.vocab_size}",
            "choose another base",
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.bos_token_id = tokenizer.bos_token_id
    return model


def _require_weights(base: Base, model: Any, report: dict[str, Any]) -> None:
    """Refuse a base whose body would start from random weights."""
    absent = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    body = f"{model.base_model_prefix}."
    lost = sorted(
        key for key in absent if key.startswith(body) and not key.startswith(f"{body}pooler.")
    )
    if lost:
        raise InvalidBundle(
            f"the weights of {base.name} lack {lost[0]} and {len(lost) - 1} more of the shape "
            "that config.json describes",
            "fetch the base again",
        )


def arguments(
    config: TrainingConfig, directory: Path, stage: Stage = _ALONE
) -> transformers.TrainingArguments:
    """Return a training configuration as the Trainer's arguments; the rest are its defaults."""
    saves = "no"
    if stage.directory is not None and stage.every != 0:
        saves = "epoch" if stage.every is None else "steps"
    # Which the Trainer leaves behind, and takes for a wish: fp32 after bf16 would compute in bf16.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return transformers.TrainingArguments(
        output_dir=str(directory),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        warmup_ratio=config.warmup,
        weight_decay=config.weight_decay,
        group_by_length=config.group_by_length,
        seed=config.seed,
        bf16=uses_bf16(config),
        # Said outright: otherwise the Trainer takes bf16 for a GPU's, and refuses it on a CPU.
        use_cpu=device() == "cpu",
        dataloader_pin_memory=torch.cuda.is_available(),
        save_strategy=saves,
        save_steps=stage.every or 1,
        logging_steps=_SHARE_LOGGED,
        report_to=list(stage.report_to),
        logging_dir=None if stage.logs is None else str(stage.logs),
        run_name=stage.title,
        disable_tqdm=True,  # replaced by Messages, which leave stdout alone
    )


def device() -> str:
    """Return what training computes on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def uses_bf16(config: TrainingConfig) -> bool:
    """Return whether training computes in bf16; ``auto`` does where the hardware is fast at it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text().split() if cpu.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of transformers about what is intended, such as a new head."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
