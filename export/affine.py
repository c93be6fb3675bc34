"""Linear maps whose inputs and outputs can be scaled, chosen, or left without a bias.

Everything is computed where it is called: under the tracer it becomes part of the graph, whose
weights stay those of the file. ONNX Runtime folds it when it loads the graph.
"""

from dataclasses import dataclass, replace
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
