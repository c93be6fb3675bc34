"""Quantisation points of a graph: observed, scaled, and the affine maps that absorb the scales."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch

Some = torch.Tensor | slice  # of a map's inputs or outputs: their numbers


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A linear map and what it adds."""

    weight: torch.Tensor  # [outputs, inputs]
    bias: torch.Tensor  # [outputs]

    @classmethod
    def of_linear(cls, module: Any) -> Self:
        """Take the parameters of a ``torch.nn.Linear``."""
        return cls(module.weight, module.bias)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return [..., outputs] of [..., inputs]."""
        return self.linear(x) + self.bias

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same without the bias."""
        return x @ self.weight.T

    def add_bias(self, bias: torch.Tensor) -> Self:
        """Return the map that adds `bias` too."""
        return replace(self, bias=self.bias + bias)

    def absorb_input_scale(self, gain: torch.Tensor) -> Self:
        """Return the map that gives the same outputs for inputs multiplied by `gain`."""
        return replace(self, weight=self.weight / gain)

    def scaled(self, gain: torch.Tensor) -> Self:
        """Return the map to outputs that are multiplied by `gain`."""
        return replace(self, weight=self.weight * gain[:, None], bias=self.bias * gain)

    def select_inputs(self, inputs: Some) -> Self:
        """Return the map restricted to some of the inputs."""
        return replace(self, weight=self.weight[:, inputs])

    def select_outputs(self, outputs: Some) -> Self:
        """Return the map restricted to some of the outputs."""
        return replace(self, weight=self.weight[outputs], bias=self.bias[outputs])


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


_LEAST = 1e-2  # of the mean size, that a feature is taken to have
_SHARES = (1 / 8, 3 / 8)  # of the inner units, that are in the first group, and in the first two
_EXACT = 1 / 6  # of the layers, at least one: the first, whose way back stays as it is
_SITES = 4  # of a layer whose inner units are one group; the last layer has but the first


@dataclass(frozen=True, slots=True, eq=False)
class Equalized:
    """Gains of the context's features in one layer, and its inner units in groups."""

    entering: torch.Tensor  # [width], before query, key and value
    attended: torch.Tensor  # [width], of the values, and so of what attention gives
    raising: torch.Tensor  # [width], before the inner layer
    groups: tuple[Some, ...]  # the numbers of their units; none: the way back stays in fp32

    def to(self, kind: torch.dtype) -> "Equalized":
        """Return the same for a model of that kind of numbers."""
        return Equalized(
            self.entering.to(kind), self.attended.to(kind), self.raising.to(kind), self.groups
        )


def unchanged(width: int) -> Equalized:
    """Return gains of one, and one group."""
    ones = torch.ones(width)
    return Equalized(ones, ones, ones, (slice(None),))


def equalized(observers: Iterable[Observer], layers: int) -> list[Equalized]:
    """Return the gains and groups of each layer; of the last one only the first is used.

    Args:
        observers: Those of a model that is `unchanged`, after they have seen texts.
        layers: How many there are.
    """
    remaining, found = iter(observers), []
    exact = max(1, round(_EXACT * layers))
    for number in range(layers - 1):
        entering, attended, raising, inner = (next(remaining) for _ in range(_SITES))
        groups = () if number < exact else _groups(inner)
        found.append(Equalized(_gain(entering), _gain(attended), _gain(raising), groups))
    last = _gain(next(remaining))
    return [*found, Equalized(last, torch.ones_like(last), torch.ones_like(last), ())]


def _gain(observer: Observer) -> torch.Tensor:
    sizes = observer.sizes()
    if not sizes.any():
        return torch.ones_like(sizes)  # nothing came by
    return sizes.clamp(min=_LEAST * sizes.mean()).rsqrt()


def _groups(observer: Observer) -> tuple[torch.Tensor, ...]:
    largest_first = observer.sizes().argsort(descending=True, stable=True)
    return largest_first.tensor_split([round(share * observer.width) for share in _SHARES])
