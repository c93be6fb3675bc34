"""Branches of a graph that always go the same way are replaced by that way.

A scorer admits no subgraph, see `scorer.inference.bundle.onnx_graph`. DeBERTa's are there because
its scripted functions ask whether keys and queries are of one length, which in a classifier they
always are. The tracer cannot know that, so the conditions are computed on probes: short and long,
one row and several, with any tokens. The gate then compares the graph on texts of all lengths.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper

from export.graph.exporter import ANOTHER
from scorer.errors import InvalidBundle

_ROWS_AND_TOKENS = ((1, 1), (1, 2), (2, 3), (3, 16), (5, 40))
_MOST_NESTING = 8


def fold_branches(graph: onnx.ModelProto, longest: int) -> onnx.ModelProto:
    """Return the graph without If nodes; the graph itself where it has none.

    Args:
        graph: With its weights; it takes tensors [rows, tokens] of int64.
        longest: Tokens that the model reads.

    Raises:
        InvalidBundle: A condition depends on the text.
    """
    for _ in range(_MOST_NESTING):
        ifs = [node for node in graph.graph.node if node.op_type == "If"]
        if not ifs:
            break
        ways = _ways(graph, [node.input[0] for node in ifs], longest)
        nodes = [part for node in graph.graph.node for part in _taken(node, ways)]
        del graph.graph.node[:]
        graph.graph.node.extend(nodes)
    if left := sorted({node.op_type for node in graph.graph.node if _has_subgraph(node)}):
        raise _branching(f"its graph holds {' and '.join(left)} nodes")
    return graph


def _has_subgraph(node: NodeProto) -> bool:
    kinds = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attribute)


def _ways(graph: onnx.ModelProto, conditions: list[str], longest: int) -> dict[str, bool]:
    """Return the value of each condition, the same on all probes."""
    probed = onnx.ModelProto()
    probed.CopyFrom(graph)
    del probed.graph.output[:]
    for name in dict.fromkeys(conditions):
        probed.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.BOOL, None))
    found: dict[str, set[bool]] = {name: set() for name in conditions}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "probed.onnx"
        onnx.save_model(probed, path, save_as_external_data=True)  # some are larger than 2 GB
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        for feeds in _probes([node.name for node in graph.graph.input], longest):
            for name, value in zip(found, session.run([*found], feeds), strict=True):
                found[name].add(bool(value))
    for name, values in found.items():
        if len(values) != 1:
            raise _branching(f"{name} of its graph is one way or the other")
    return {name: values.pop() for name, values in found.items()}


def _probes(inputs: list[str], longest: int) -> Iterator[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    for rows, tokens in (*_ROWS_AND_TOKENS, (1, longest)):
        shape = (rows, min(tokens, longest))
        values = {"input_ids": generator.integers(0, 5, shape), "attention_mask": np.ones(shape)}
        yield {name: values.get(name, np.zeros(shape)).astype(np.int64) for name in inputs}


def _taken(node: NodeProto, ways: dict[str, bool]) -> Iterator[NodeProto]:
    """Yield a node, or the nodes of the branch that an If always takes."""
    if node.op_type != "If":
        yield node
        return
    name = "then_branch" if ways[node.input[0]] else "else_branch"
    (branch,) = (attribute.g for attribute in node.attribute if attribute.name == name)
    for tensor in branch.initializer:
        yield helper.make_node("Constant", [], [tensor.name], value=tensor)
    yield from branch.node
    for inner, outer in zip(branch.output, node.output, strict=True):
        yield helper.make_node("Identity", [inner.name], [outer], name=f"{node.name}_taken")


def _branching(what: str) -> InvalidBundle:
    return InvalidBundle(
        f"the model computes in another way for other texts ({what}), which a bundle must not",
        ANOTHER,
    )
