"""int8: the graph with quantised weights and activations (SmoothQuant, Q/DQ)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from export.int8.smoothing import MARK, Observer

# ONNX Runtime's own domain; `scorer.inference.bundle.onnx_graph` admits this one operator of it.
_DOMAIN = "com.microsoft"
_PRODUCT = "MatMulIntegerToFloat"
_LEAST_SCALE = 1e-9  # of a row of zeros
_DEEPEST = 0.17  # below zero, that an activation of `Observer.one_sided` gives
_BELOW, _ABOVE = 16, 239  # steps of a byte on the two sides of such a zero


def int8_graph(marked: onnx.ModelProto, observers: Sequence[Observer]) -> onnx.ModelProto:
    """Return the graph with integer products at its marks; its weights stay where they were.

    Raises:
        ValueError: The marks are not those of `observers`, or what is marked is not multiplied.
    """
    graph = onnx.ModelProto()
    graph.CopyFrom(marked)
    marks = [node for node in graph.graph.node if node.op_type == MARK]
    if len(marks) != len(observers):
        raise ValueError(f"the graph has {len(marks)} marks for {len(observers)} observers")
    rewriter = _Rewriter(graph.graph)
    for number, (mark, observer) in enumerate(zip(marks, observers, strict=True)):
        rewriter.rewrite(f"context.{number}", mark, observer)
    rewriter.finish()
    graph.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return graph


class _Rewriter:
    """Replaces nodes of a graph; every new node stands where the old one stood."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._consumers: dict[str, list[NodeProto]] = {}
        self._producers = {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._instead: dict[str, list[NodeProto]] = {}  # by the old node's first output
        self._constants: dict[str, onnx.TensorProto] = {}

    def rewrite(self, name: str, mark: NodeProto, observer: Observer) -> None:
        quantized = self._quantize(name, mark, observer)
        for number, product in enumerate(self._consumers[mark.output[0]]):
            if product.op_type != "MatMul":
                raise ValueError(f"{product.name}, a {product.op_type}, is no product")
            self._multiply(f"{name}.{number}", product, quantized)

    def finish(self) -> None:
        nodes = [
            new for node in self._graph.node for new in self._instead.get(node.output[0], [node])
        ]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        self._graph.initializer.extend(self._constants.values())

    def _quantize(self, name: str, mark: NodeProto, observer: Observer) -> tuple[str, str, str]:
        """Put a row's bytes, its scale and the byte of zero in the mark's place."""
        chain, row = _Chain(name), mark.input[0]
        last = self._constant("context.last", np.array([-1]))
        if observer.one_sided:
            largest, zero = chain.add("ReduceMax", [row, last], "largest", keepdims=1), _BELOW
            step, least = 1 / _ABOVE, _DEEPEST / _BELOW
        else:
            size = chain.add("Abs", [row], "size")
            largest, zero = chain.add("ReduceMax", [size, last], "largest", keepdims=1), 128
            step, least = 1 / 127, _LEAST_SCALE
        scaled = chain.add("Mul", [largest, self._number(step)], "scaled")
        scale = chain.add("Max", [scaled, self._number(least)], "scale")
        # Scales belong to an axis of the operator: the rows of all texts become one.
        scales = chain.add("Reshape", [scale, last], "scales")
        zeros = chain.zeros(scales, zero, np.uint8)
        flat = self._constant(f"context.flat.{observer.width}", np.array([-1, observer.width]))
        matrix = chain.add("Reshape", [row, flat], "matrix")
        matrix = chain.add("QuantizeLinear", [matrix, scales, zeros], "quantized", axis=0)
        quantized = chain.add("Reshape", [matrix, chain.add("Shape", [row], "shape")], "bytes")
        self._instead[mark.output[0]] = chain.nodes
        return quantized, scale, self._constant(f"context.zero.{zero}", np.array(zero, np.uint8))

    def _multiply(self, name: str, product: NodeProto, quantized: tuple[str, str, str]) -> None:
        """Put an integer product in the place of one with weights [inputs, outputs]."""
        row, scale, zero = quantized
        chain, weights = _Chain(name), product.input[1]
        turned = self._turned(weights, chain)
        size = chain.add("Abs", [turned], "size")
        last = self._constant("context.last", np.array([-1]))
        largest = chain.add("ReduceMax", [size, last], "largest", keepdims=0)
        scaled = chain.add("Mul", [largest, self._number(1 / 127)], "scaled")
        columns = chain.add("Max", [scaled, self._number(_LEAST_SCALE)], "columns")
        zeros = chain.zeros(columns, 0, np.int8)
        # Along axis 1 the operator takes one element at a time: a session of MiniLM would need
        # 0.10 s of 0.29 s longer to fold its constants (one core).
        whole = chain.add("QuantizeLinear", [turned, columns, zeros], "turned_bytes", axis=0)
        whole = chain.add("Transpose", [whole], "weights", perm=[1, 0])
        operands = [row, whole, self._number(1), columns, zero]
        result = chain.add(_PRODUCT, operands, "product", domain=_DOMAIN)
        chain.nodes.append(helper.make_node("Mul", [result, scale], [product.output[0]]))
        self._instead[product.output[0]] = chain.nodes

    def _turned(self, weights: str, chain: "_Chain") -> str:
        """Return the weights as [outputs, inputs], which is how PyTorch stores a Linear's."""
        made_by = self._producers.get(weights)
        if made_by is not None and made_by.op_type == "Transpose":
            return str(made_by.input[0])
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
        """Append the byte of zero, as many times as a vector has elements."""
        value = numpy_helper.from_array(np.array([zero], kind))
        return self.add(
            "ConstantOfShape", [self.add("Shape", [like], "count")], "zeros", value=value
        )
