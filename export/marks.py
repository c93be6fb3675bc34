"""Marks: where a model multiplies something that may be quantised, in PyTorch and in ONNX."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

# A sum of one operand changes nothing, and no exporter writes it: `export.int8` finds the places
# by it. An operator of our own would not do, since Optimum opens what it has written.
MARK = "Sum"
# Activations that never give less than -0.17: almost all of a byte can go to what is positive.
_ONE_SIDED = ("gelu", "gelu_new", "relu")


@dataclass(slots=True)
class Site:
    """A place where context is multiplied with weights."""

    width: int
    one_sided: bool  # behind an activation that gives nothing below -0.17
    squares: torch.Tensor = field(default_factory=lambda: torch.zeros(1))  # [width], their sum
    rows: int = 0  # that are in it

    def sizes(self) -> torch.Tensor:
        """Return the root mean square of each feature over the rows that came by, [width]."""
        return (self.squares / max(self.rows, 1)).sqrt().expand(self.width)


class _Mark(torch.autograd.Function):
    """Nothing in PyTorch, an operator in the exported graph."""

    @staticmethod
    def forward(_: Any, context: torch.Tensor) -> torch.Tensor:
        return context.view_as(context)

    @staticmethod
    def symbolic(graph: Any, context: Any) -> Any:
        return graph.op(MARK, context).setType(context.type())


class Sites:
    """The sites of a model, in the order in which a forward pass meets them."""

    def __init__(self, activation: str) -> None:
        self._sites: list[Site] = []
        self.recording = False
        self._one_sided = activation in _ONE_SIDED
        self._next = 0

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites)

    def start(self) -> None:
        """Begin a forward pass."""
        self._next = 0

    def mark(self, context: torch.Tensor, *, activated: bool = False) -> torch.Tensor:
        """Return what was given, marked; `activated` if the activation function gave it."""
        if self._next == len(self._sites):
            self._sites.append(Site(context.shape[-1], activated and self._one_sided))
        site = self._sites[self._next]
        self._next += 1
        if self.recording:
            rows = context.detach().reshape(-1, site.width)
            site.squares = site.squares + rows.square().sum(0)
            site.rows += len(rows)
        marked: torch.Tensor = _Mark.apply(context)  # type: ignore[no-untyped-call]  # torch's
        return marked
