"""Checkpoints of a training that is not done: written by the Trainer, complete or not there."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch.utils.data import Sampler
from transformers import TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from export.train.callbacks import Stateful
from export.train.stages import COMPLETE
from scorer.errors import StorageError
from scorer.store.commit import fsync_directory

_ORDER = "order"  # among the parts, that of `RecordedOrder`


class RecordedOrder(Sampler[int], Stateful):
    """A sampler that draws an epoch's order again from the random state in which it was drawn.

    The Trainer resumes in the middle of an epoch by drawing its order anew and leaving out what
    was learnt; with rows grouped by length that is another order, because the state is another.
    """

    sampler: LengthGroupedSampler

    def __init__(self) -> None:
        self._drawn_from = torch.get_rng_state()
        self._wanted: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        if self._wanted is not None:
            torch.set_rng_state(self._wanted)  # what comes after is the checkpoint's own state
            self._wanted = None
        self._drawn_from = torch.get_rng_state()
        return iter(self.sampler)

    def state(self) -> dict[str, Any]:
        """Return the random state of the running epoch's order."""
        return {"drawn_from": self._drawn_from}

    def restore(self, state: dict[str, Any]) -> None:
        """Draw the next order from there."""
        self._wanted = state["drawn_from"]


class ResumableTrainer(transformers.Trainer):
    """The Trainer, whose orders can be drawn again and whose full disk is no bug."""

    order: RecordedOrder

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        if not isinstance(sampler, LengthGroupedSampler):
            return sampler  # which accelerate seeds by the number of the epoch
        self.order.sampler = sampler
        return self.order

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]  # the Trainer's
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise StorageError(
                f"a checkpoint cannot be written to {self.args.output_dir} ({reason})",
                "make room, and add --resume; or add --checkpoint-steps 0, which writes none",
            ) from error


class Completion(TrainerCallback):
    """Completes each checkpoint, and removes the one before it.

    Args:
        order: Of the running epoch.
        parts: What else a checkpoint keeps, by name.
    """

    def __init__(self, order: RecordedOrder, parts: Mapping[str, Stateful]) -> None:
        self._parts = {_ORDER: order, **parts}

    def restore(self, checkpoint: Path) -> None:
        """Bring what a checkpoint keeps beside the Trainer's files back."""
        content = torch.load(checkpoint / COMPLETE, weights_only=True)
        for name, state in content.items():
            self._parts[name].restore(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write what the Trainer does not know, and let all of it reach the disk."""
        directory = Path(args.output_dir, f"checkpoint-{state.global_step}")
        content = {name: part.state() for name, part in self._parts.items()}
        if float(state.epoch).is_integer():
            content.pop(_ORDER)  # the next epoch's is not drawn yet
        torch.save(content, directory / f"{COMPLETE}.tmp")
        for path in filter(Path.is_file, directory.iterdir()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        (directory / f"{COMPLETE}.tmp").replace(directory / COMPLETE)
        fsync_directory(directory)
        fsync_directory(directory.parent)
        for other in directory.parent.glob("checkpoint-*"):
            if other != directory:
                shutil.rmtree(other, ignore_errors=True)


def latest_checkpoint(directory: Path) -> Path | None:
    """Return the last complete checkpoint in a directory; None where there is none."""
    found = [path.parent for path in directory.glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
