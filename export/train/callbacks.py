"""What happens between the steps of a training: averages, evaluation, messages."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

from export.train.notices import Notify

_SNAPSHOTS = 100  # whose mean `average_last` takes; more cost time and change nothing

Weights = dict[str, torch.Tensor]


class Stateful(ABC):
    """What a checkpoint keeps beside the Trainer's own files."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all that a resumed training needs of it: tensors, numbers, text."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""


class AverageLast(TrainerCallback, Stateful):
    """Ends training on the mean of the weights of its last part."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._count = 0
        self._mean: Weights = {}

    def state(self) -> dict[str, Any]:
        """Return the running mean."""
        return {"count": self._count, "mean": self._mean}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a running mean."""
        self._count, self._mean = state["count"], state["mean"]

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
                mean = self._mean[name].to(weight.device)  # a checkpoint's is the CPU's
                self._mean[name] = mean.lerp_(weight.detach(), 1 / self._count)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the mean in the place of the last weights."""
        _put(self._mean, kwargs["model"])


class Validation(TrainerCallback, Stateful):
    """Evaluates after each epoch; may keep the best epoch's weights, and end the training early.

    Args:
        evaluate: Returns the loss and the accuracy of a model on rows that it does not learn.
        log: Hands figures to all callbacks.
        keep_best: End on the weights of the epoch with the smallest loss.
        patience: Epochs without a smaller loss that end the training; 0 = none do.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], tuple[float, float]],
        log: Callable[[dict[str, float]], None],
        *,
        keep_best: bool,
        patience: int,
    ) -> None:
        self._evaluate, self._log = evaluate, log
        self._keep_best, self._patience = keep_best, patience
        self._best_loss = float("inf")
        self._best: Weights = {}
        self._worse = 0  # epochs since then
        self.stopped = False

    def state(self) -> dict[str, Any]:
        """Return the best epoch so far."""
        return {
            "loss": self._best_loss,
            "best": self._best,
            "worse": self._worse,
            "stopped": self.stopped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the best epoch so far."""
        self._best_loss, self._best = state["loss"], state["best"]
        self._worse, self.stopped = state["worse"], state["stopped"]

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate, and decide whether to go on."""
        model = kwargs["model"]
        loss, accuracy = self._evaluate(model)
        self._log({"eval_loss": loss, "eval_accuracy": accuracy})
        if loss < self._best_loss:
            self._best_loss, self._worse = loss, 0
            if self._keep_best:
                self._best = {n: w.detach().clone() for n, w in model.named_parameters()}
        else:
            self._worse += 1
        if self._patience and self._worse >= self._patience:
            self.stopped = control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the best epoch's weights in the place of the last ones."""
        self.put_best(kwargs["model"])

    def put_best(self, model: Any) -> None:
        """Put the best epoch's weights into a model, where they are kept."""
        if self._best:
            _put(self._best, model)


def _put(weights: Weights, model: Any) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weights[name])


class Messages(TrainerCallback):
    """Says how the loss goes, on a terminal below a bar.

    Args:
        title: What the training is called.
        notify: Takes the messages.
    """

    def __init__(self, title: str, notify: Notify) -> None:
        self._title, self._notify = title, notify

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Draw the bar, also of a training that goes on in the middle."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=self._title,
            unit="step",
            disable=not sys.stderr.isatty(),
        )
        if state.global_step:
            words = f"goes on after step {state.global_step:,} of {state.max_steps:,}"
            self._say("resumed", words, state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say what is logged of a loss; the Trainer logs its own speed too."""
        logs = kwargs["logs"]
        at = f"step {state.global_step:,} of {state.max_steps:,}, epoch {state.epoch:.2f}"
        if "loss" in logs:
            facts = {"loss": logs["loss"], "learning_rate": logs["learning_rate"]}
            self._say("loss", f"{at}: loss {logs['loss']:.4f}", state, **facts)
        if "eval_loss" in logs:
            loss, accuracy = logs["eval_loss"], logs["eval_accuracy"]
            words = f"{at}: validation loss {loss:.4f}, accuracy {accuracy:.4f}"
            self._say("validation", words, state, validation_loss=loss, accuracy=accuracy)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the bar."""
        self._bar.close()

    def _say(self, event: str, words: str, state: Any, **facts: Any) -> None:
        from tqdm import tqdm

        facts |= {"stage": self._title, "step": state.global_step, "steps": state.max_steps}
        with tqdm.external_write_mode(file=sys.stderr):
            self._notify("info", event, f"{self._title}: {words}", epoch=state.epoch, **facts)
