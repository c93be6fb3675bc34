"""PyTorch to ONNX, through Optimum.

Constants are not folded: every weight then keeps its parameter's name, shape and place of
storage, so that `precision` can point the graph into the safetensors file by name. ONNX
Runtime and OpenVINO fold what can be folded when they load the graph.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from transformers import PreTrainedModel

_log = logging.getLogger(__name__)

# transformers' implementation that gives the faster graph for each model type: OpenVINO has
# no node for scaled dot-product attention, and gains from it only where a mask is causal.
ATTENTION = {"bert": "eager", "distilbert": "eager", "roberta": "eager", "gpt2": "sdpa"}


def plain_graph(model: PreTrainedModel) -> onnx.ModelProto:
    """Return an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "plain.onnx"
        export_graph(model, path)
        return load_graph(path)


def export_graph(model: PreTrainedModel, output: Path) -> None:
    """Write an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out."""
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    constructor = TasksManager.get_exporter_config_constructor(
        exporter="onnx", model=model, task="text-classification", library_name="transformers"
    )
    with quiet():
        # Optimum's validation only warns, and on inputs of its own: `parity` is our gate.
        export(model, constructor(model.config), output, do_constant_folding=False)


def load_graph(path: Path) -> onnx.ModelProto:
    """Read a graph with its weights, without what differs between two exports of one model."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    model.ClearField("doc_string")
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Turn what the tracer and Optimum say into debug records; errors still raise."""
    loggers = [logging.getLogger(name) for name in ("optimum", "transformers", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    said = io.StringIO()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(said):
            warnings.simplefilter("always")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    for line in (*said.getvalue().splitlines(), *(str(w.message) for w in caught)):
        _log.debug("%s", line)
