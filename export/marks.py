"""Quantisation points: an observer for each in PyTorch, a marker operator for each in ONNX."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

# The marker, as a fake-quantisation operator is elsewhere. A sum of one operand changes nothing,
# and no exporter writes it: `export.int8` finds the quantisation points by it. A custom operator
# would not do, since Optimum opens the graph that it has written.
MARK = "Sum"
# Activations that never give less than -0.17: almost all of a byte can go to what is positive.
_ONE_SIDED = ("gelu", "gelu_new", "relu")


@dataclass(slots=True)
class Observer:
    """The features at one quantisation point, where context is multiplied with weights."""

    width: int
    one_sided: bool  # behind an activation that gives nothing below -0.17
    squares: torch.Tensor = field(default_factory=lambda: torch.zeros(1))  # [width], their sum
    rows: int = 0  # that are in it

    def sizes(self) -> torch.Tensor:
        """Return the root mean square of each feature over the observed rows, [width]."""
        return (self.squares / max(self.rows, 1)).sqrt().expand(self.width)


class _Mark(torch.autograd.Function):
    """The identity in PyTorch, the marker in the exported graph."""

    @staticmethod
    def forward(_: Any, context: torch.Tensor) -> torch.Tensor:
        return context.view_as(context)

    @staticmethod
    def symbolic(graph: Any, context: Any) -> Any:
        return graph.op(MARK, context).setType(context.type())


class Observers:
    """The observers of a model, in the order in which a forward pass meets them."""

    def __init__(self, activation: str) -> None:
        self._observers: list[Observer] = []
        self.recording = False
        self._one_sided = activation in _ONE_SIDED
        self._next = 0

    def __iter__(self) -> Iterator[Observer]:
        return iter(self._observers)

    def start(self) -> None:
        """Begin a forward pass."""
        self._next = 0

    def observe(self, context: torch.Tensor, *, activated: bool = False) -> torch.Tensor:
        """Return the same context, marked; `activated` if an activation function computed it."""
        if self._next == len(self._observers):
            self._observers.append(Observer(context.shape[-1], activated and self._one_sided))
        observer = self._observers[self._next]
        self._next += 1
        if self.recording:
            rows = context.detach().reshape(-1, observer.width)
            observer.squares = observer.squares + rows.square().sum(0)
            observer.rows += len(rows)
        marked: torch.Tensor = _Mark.apply(context)  # type: ignore[no-untyped-call]  # torch's
        return marked
