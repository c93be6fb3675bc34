"""The cells that are measured: models, contenders, and the order of runs. Pure.

A cell is one contender on one input with a number of threads. Cells run in alternation, A B C
A B C, so that a box that slows down in the middle slows down for all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

#: The precisions of `tweetscore run` that take part.
PRECISIONS = ("auto", "fp32")

THREADS = 2  # what every contender may use, if the box has as many
ROUNDS = 3
START_ROWS = 1000  # of the run whose start is taken apart
OUR_MODULE = "peers.tweetscore"
#: A process that takes longer than this in the first round has had its only one, unless it is ours.
SLOW_SECONDS = 60.0

Arithmetic = Literal["fp32", "bf16", "int8", "auto"]


@dataclass(frozen=True, slots=True)
class Model:
    """A classifier, and the size of its matrix products."""

    name: Literal["minilm", "gpt2"]
    title: str
    tweets: int  # of the data set's training half, from its start
    sample: int  # of these, for choosing a batch size
    layers: int
    width: int

    def dense_flops(self, tokens: int, texts: int) -> float:
        """Return the floating-point operations of the dense layers, pruned, on useful tokens.

        A whole layer costs 24 h^2 per token. The last one needs keys and values (4 h^2) of every
        token, and the rest of one token per text.
        """
        square = self.width**2
        return tokens * (24 * (self.layers - 1) + 4) * square + texts * 20 * square


MINILM = Model("minilm", "the embedded model (MiniLM, 6 layers of 384)", 27_480, 1_000, 6, 384)
GPT2 = Model("gpt2", "GPT-2 small with random weights (12 layers of 768)", 2_000, 400, 12, 768)
MODELS = (MINILM, GPT2)


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine in common use; `module` is its script in this folder."""

    name: str
    title: str
    module: str
    arithmetic: Arithmetic
    settings: Mapping[str, str | int] = field(default_factory=dict, hash=False)

    @property
    def ours(self) -> bool:
        """Tell tweetscore from its peers."""
        return self.module == OUR_MODULE

    @property
    def is_tuned(self) -> bool:
        """Tell whether a contender's batch size is tuned first."""
        return self.module.endswith("_sorted")


def _sorted(name: str, title: str, engine: str, arithmetic: Arithmetic) -> Contender:
    """Return an engine with a loop of our own: sorted texts, batches of the size it likes best."""
    return Contender(name, f"{title}, sorted", f"peers.{engine}_sorted", arithmetic)


OURS = tuple(
    Contender(
        f"tweetscore-{precision}",
        f"**tweetscore** `--precision {precision}`",
        OUR_MODULE,
        "fp32" if precision == "fp32" else "auto",
        {"precision": precision},
    )
    for precision in PRECISIONS
)
PEERS = (
    Contender(
        "pipeline",
        "transformers pipeline, batch 32",
        "peers.transformers_pipeline",
        "fp32",
        {"order": "as it comes"},
    ),
    Contender(
        "pipeline-sorted",
        "the same on sorted texts",
        "peers.transformers_pipeline",
        "fp32",
        {"order": "sorted"},
    ),
    Contender(
        "optimum", "Optimum's ONNX Runtime pipeline, batch 32", "peers.optimum_pipeline", "fp32"
    ),
    _sorted("torch-fp32", "PyTorch", "torch", "fp32"),
    _sorted("torch-bf16", "PyTorch in bf16", "torch", "bf16"),
    _sorted("ort-fp32", "ONNX Runtime", "onnxruntime", "fp32"),
    _sorted("ort-int8", "ONNX Runtime in dynamic int8", "onnxruntime", "int8"),
    _sorted("openvino-fp32", "OpenVINO", "openvino", "fp32"),
    _sorted("openvino-bf16", "OpenVINO in bf16", "openvino", "bf16"),
    _sorted("ctranslate2-fp32", "CTranslate2", "ctranslate2", "fp32"),
    _sorted("ctranslate2-int8", "CTranslate2 in int8", "ctranslate2", "int8"),
)
CONTENDERS = {each.name: each for each in (*OURS, *PEERS)}
BASELINE = CONTENDERS["pipeline"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One contender on the first rows of one model's input."""

    model: Model
    contender: Contender
    rows: int
    threads: int

    @property
    def name(self) -> str:
        """Name the cell in the results."""
        return f"{self.model.name}/{self.contender.name}/{self.rows}x{self.threads}"

    def round(self, number: int) -> str:
        """Name one of its rounds, counted from 1."""
        return f"{self.name}#{number}"


def main_cells(model: Model, rows: int, threads: int) -> list[Cell]:
    """Return the table of a model: every contender on all its rows."""
    return [Cell(model, each, rows, threads) for each in CONTENDERS.values()]


def cold_cells(model: Model, threads: int) -> list[Cell]:
    """Return the cells that measure the start: a whole run over a single row."""
    return [Cell(model, each, 1, threads) for each in CONTENDERS.values()]


def in_alternation(
    cells: Sequence[Cell], seconds: Callable[[Cell], float | None], rounds: int = ROUNDS
) -> Iterator[tuple[Cell, int]]:
    """Yield cells and the number of the round, from 1; `seconds` is called when a round begins.

    Args:
        cells: In the order of each round.
        seconds: What a cell's first round took; None if it failed.
        rounds: How often a fast cell runs.
    """
    for number in range(1, rounds + 1):
        for cell in cells:
            first = seconds(cell) if number > 1 else 0.0
            if first is not None and (first <= SLOW_SECONDS or cell.contender.ours):
                yield cell, number
