"""The int8 graph of a model: post-training quantisation of weights and activations.

The method is SmoothQuant with dynamic quantisation (Q/DQ) of the activations. First
`export.int8.streams` splits the model into two streams: the token that is pooled stays in fp32, and
only the products of its context with the weights are quantised. Every such product has a
quantisation point, where an `Observer` records how large each feature is on calibration texts. From
these sizes come the smoothing factors: a feature is multiplied by its factor before the
quantisation point, and the weights behind the point are divided by it, so that a few large features
no longer set the scale of all others. The exported graph has an operator that changes nothing at
each quantisation point, and `int8_graph` replaces it: every row of activations is quantised to
uint8 with a scale of its own (so that no row depends on another), every output channel of the
weights to int8 with a scale of its own, and ONNX Runtime multiplies the integers. The weights in
the file stay fp16; a session quantises them when it folds its constants.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

# ONNX Runtime's own domain; `scorer.inference.bundle.onnx_graph` admits this one operator of it.
_DOMAIN = "com.microsoft"
_PRODUCT = "MatMulIntegerToFloat"
_LEAST_SCALE = 1e-9  # for a row of zeros
_LOWEST = 0.17  # below zero: an activation of `Observer.one_sided` gives nothing lower
_BELOW, _ABOVE = 16, 239  # steps of a byte below and above the zero point of such an activation

# The operator at each quantisation point of an exported graph. A sum of one operand changes
# nothing, and no exporter writes one. A custom operator would not do, because Optimum opens the
# graph that it has written.
POINT_OPERATOR = "Sum"
# Activations that never give less than -0.17: almost all of a byte can go to what is positive.
_ONE_SIDED = ("gelu", "gelu_new", "relu")


@dataclass(slots=True)
class Observer:
    """The features at one quantisation point, where context is multiplied with weights."""

    width: int
    one_sided: bool  # behind an activation function that gives nothing below -0.17
    squares: torch.Tensor = field(default_factory=lambda: torch.zeros(1))  # [width], their sum
    rows: int = 0  # that the sums are of

    def sizes(self) -> torch.Tensor:
        """Return the root mean square of each feature over the observed rows, [width]."""
        return (self.squares / max(self.rows, 1)).sqrt().expand(self.width)


class _QuantizationPoint(torch.autograd.Function):
    """The identity in PyTorch, `POINT_OPERATOR` in the exported graph."""

    @staticmethod
    def forward(_: Any, context: torch.Tensor) -> torch.Tensor:
        return context.view_as(context)

    @staticmethod
    def symbolic(graph: Any, context: Any) -> Any:
        return graph.op(POINT_OPERATOR, context).setType(context.type())


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
        """Return the context unchanged, behind a quantisation point.

        `activated` says that an activation function computed it.
        """
        if self._next == len(self._observers):
            self._observers.append(Observer(context.shape[-1], activated and self._one_sided))
        observer = self._observers[self._next]
        self._next += 1
        if self.recording:
            rows = context.detach().reshape(-1, observer.width)
            observer.squares = observer.squares + rows.square().sum(0)
            observer.rows += len(rows)
        same: torch.Tensor = _QuantizationPoint.apply(context)  # type: ignore[no-untyped-call]  # torch's
        return same


def int8_graph(observed: onnx.ModelProto, observers: Sequence[Observer]) -> onnx.ModelProto:
    """Return the graph with integer products behind its quantisation points.

    Raises:
        ValueError: The graph has another number of points than there are observers, or an operator
            behind a point is no product.
    """
    graph = deepcopy(observed)
    points = [node for node in graph.graph.node if node.op_type == POINT_OPERATOR]
    if len(points) != len(observers):
        raise ValueError(
            f"the graph has {len(points)} quantisation points for {len(observers)} observers"
        )
    rewriter = _Rewriter(graph.graph)
    for number, (point, observer) in enumerate(zip(points, observers, strict=True)):
        rewriter.rewrite(f"context.{number}", point, observer)
    rewriter.finish()
    graph.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return graph


class _Rewriter:
    """Replaces nodes of a graph; new nodes take the old one's place in the order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._consumers: dict[str, list[NodeProto]] = {}
        self._producers = {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._replacements: dict[str, list[NodeProto]] = {}  # by the old node's first output
        self._constants: dict[str, onnx.TensorProto] = {}

    def rewrite(self, name: str, point: NodeProto, observer: Observer) -> None:
        quantized = self._quantize(name, point, observer)
        for number, product in enumerate(self._consumers[point.output[0]]):
            if product.op_type != "MatMul":
                raise ValueError(f"{product.name}, a {product.op_type}, is no product")
            self._multiply(f"{name}.{number}", product, quantized)

    def finish(self) -> None:
        nodes = [
            new
            for node in self._graph.node
            for new in self._replacements.get(node.output[0], [node])
        ]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        self._graph.initializer.extend(self._constants.values())

    def _quantize(self, name: str, point: NodeProto, observer: Observer) -> tuple[str, str, str]:
        """Quantise each row at a point; return the names of bytes, scale and zero point."""
        chain, row = _Chain(name), point.input[0]
        last = self._constant("context.last", np.array([-1]))
        if observer.one_sided:
            largest, zero = chain.add("ReduceMax", [row, last], "largest", keepdims=1), _BELOW
            step, least = 1 / _ABOVE, _LOWEST / _BELOW
        else:
            size = chain.add("Abs", [row], "size")
            largest, zero = chain.add("ReduceMax", [size, last], "largest", keepdims=1), 128
            step, least = 1 / 127, _LEAST_SCALE
        scaled = chain.add("Mul", [largest, self._number(step)], "scaled")
        scale = chain.add("Max", [scaled, self._number(least)], "scale")
        # The operator takes one scale per index of an axis: the rows of all texts become one axis.
        scales = chain.add("Reshape", [scale, last], "scales")
        zeros = chain.zeros(scales, zero, np.uint8)
        flat = self._constant(f"context.flat.{observer.width}", np.array([-1, observer.width]))
        matrix = chain.add("Reshape", [row, flat], "matrix")
        matrix = chain.add("QuantizeLinear", [matrix, scales, zeros], "quantized", axis=0)
        quantized = chain.add("Reshape", [matrix, chain.add("Shape", [row], "shape")], "bytes")
        self._replacements[point.output[0]] = chain.nodes
        return quantized, scale, self._constant(f"context.zero.{zero}", np.array(zero, np.uint8))

    def _multiply(self, name: str, product: NodeProto, quantized: tuple[str, str, str]) -> None:
        """Replace a product with weights [inputs, outputs] by one of integers."""
        row, scale, zero = quantized
        chain, weights = _Chain(name), product.input[1]
        transposed = self._transposed(weights, chain)
        size = chain.add("Abs", [transposed], "size")
        last = self._constant("context.last", np.array([-1]))
        largest = chain.add("ReduceMax", [size, last], "largest", keepdims=0)
        scaled = chain.add("Mul", [largest, self._number(1 / 127)], "scaled")
        columns = chain.add("Max", [scaled, self._number(_LEAST_SCALE)], "columns")
        zeros = chain.zeros(columns, 0, np.int8)
        # Along axis 1 the operator is slow: a session of MiniLM would need 0.10 s of 0.29 s longer
        # to fold its constants (one core).
        whole = chain.add("QuantizeLinear", [transposed, columns, zeros], "turned_bytes", axis=0)
        whole = chain.add("Transpose", [whole], "weights", perm=[1, 0])
        operands = [row, whole, self._number(1), columns, zero]
        result = chain.add(_PRODUCT, operands, "product", domain=_DOMAIN)
        chain.nodes.append(helper.make_node("Mul", [result, scale], [product.output[0]]))
        self._replacements[product.output[0]] = chain.nodes

    def _transposed(self, weights: str, chain: "_Chain") -> str:
        """Return the weights as [outputs, inputs], as PyTorch stores those of a Linear."""
        producer = self._producers.get(weights)
        if producer is not None and producer.op_type == "Transpose":
            return str(producer.input[0])
        return chain.add("Transpose", [weights], "turned", perm=[1, 0])

    def _number(self, value: float) -> str:
        return self._constant(f"context.number.{value:.6g}", np.array(value, np.float32))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants[name] = numpy_helper.from_array(value, name)
        return name


class _Chain:
    """Nodes, each of which may use the results of those before it."""

    def __init__(self, name: str) -> None:
        self.nodes: list[NodeProto] = []
        self._name = name

    def add(self, operator: str, inputs: list[str], result: str, **attributes: Any) -> str:
        """Append a node and return the full name of its result."""
        name = f"{self._name}.{result}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def zeros(self, like: str, zero: int, kind: type[np.generic]) -> str:
        """Append a zero point for each element of a vector."""
        value = numpy_helper.from_array(np.array([zero], kind))
        return self.add(
            "ConstantOfShape", [self.add("Shape", [like], "count")], "zeros", value=value
        )
