"""Fine-tuning with the Hugging Face Trainer: token ids and targets in, a model out."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import TrainerCallback

from export.source.base import Base
from export.train import TrainingConfig
from scorer.errors import InvalidBundle
from scorer.inference.session import plan_batches

_PREDICTION_TOKENS = 4096  # per batch
_SNAPSHOTS = 100  # whose mean `average_last` takes; more cost time and change nothing


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


def finetune(
    base: Base,
    tokenizer: Any,
    labels: Sequence[str],
    rows: TrainingRows,
    config: TrainingConfig,
    description: str = "training",
) -> Any:
    """Train a classifier on top of a base, and return it in evaluation mode, in fp32.

    Args:
        base: The model to start from.
        tokenizer: Its tokenizer, with a pad token.
        labels: Names of the classes, in id order.
        rows: The training rows.
        config: The training configuration.
        description: What the progress bar calls this run.
    """
    transformers.set_seed(config.seed)  # the classification head is drawn at random
    model = load_classifier(base, tokenizer, labels)
    callbacks: list[TrainerCallback] = [_Progress(description)]
    if config.average_last > 0:
        callbacks.append(AverageLast(config.average_last))
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        trainer = transformers.Trainer(
            model=model,
            args=arguments(config, Path(scratch)),
            train_dataset=rows,
            processing_class=tokenizer,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            compute_loss_func=soft_cross_entropy(config.label_smoothing),
            callbacks=callbacks,
        )
        trainer.remove_callback(transformers.PrinterCallback)  # it prints to stdout
        trainer.train()
    return model.eval()


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
                attn_implementation="sdpa",
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


def arguments(config: TrainingConfig, scratch: Path) -> transformers.TrainingArguments:
    """Return a training configuration as the Trainer's arguments; the rest are its defaults."""
    # Which the Trainer leaves behind, and takes for a wish: fp32 after bf16 would compute in bf16.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return transformers.TrainingArguments(
        output_dir=str(scratch),
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
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,  # replaced by _Progress, which leaves stdout alone
    )


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


def soft_cross_entropy(smoothing: float) -> Any:
    """Return the loss against targets that are distributions, in the form the Trainer calls."""

    def loss(
        outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        logits = outputs.logits.float()
        total = functional.cross_entropy(
            logits, labels.to(logits.dtype), reduction="sum", label_smoothing=smoothing
        )
        # The Trainer counts the numbers in `labels` over all batches of an accumulated step.
        items = labels.numel() if num_items_in_batch is None else num_items_in_batch
        return total * labels.shape[1] / items

    return loss


class AverageLast(TrainerCallback):
    """Ends training on the mean of the weights of its last part."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._count = 0
        self._mean: dict[str, torch.Tensor] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take a snapshot into the mean."""
        span = state.max_steps * self._share
        since = state.global_step - (state.max_steps - span)
        stride = max(1, round(span / _SNAPSHOTS))
        if since <= 0 or (state.max_steps - state.global_step) % stride:
            return
        self._count += 1
        for name, weight in kwargs["model"].named_parameters():
            if self._count == 1:
                self._mean[name] = weight.detach().clone()
            else:
                self._mean[name].lerp_(weight.detach(), 1 / self._count)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the mean in the place of the last weights."""
        with torch.no_grad():
            for name, weight in kwargs["model"].named_parameters():
                weight.copy_(self._mean[name])


class _Progress(TrainerCallback):
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, description: str) -> None:
        self._description = description

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from tqdm import tqdm

        hidden = not sys.stderr.isatty()
        self._bar = tqdm(total=state.max_steps, desc=self._description, unit="step", disable=hidden)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._bar.update(state.global_step - self._bar.n)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._bar.close()
