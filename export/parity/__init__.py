"""The parity gate: a bundle is published only if it answers as the trained model does.

It compares the scorer itself (its normaliser, tokenizer, batches and sessions) with transformers,
which loads the bundle's own safetensors. In order:

1. the reference spreads its probabilities, because parity on a constant model proves nothing, and
   gives the same answers in padded batches as alone, so that there is one reference (`truth`);
2. it answers as the user's checkpoint does in transformers' pipeline (`as_trained`, at the export);
3. the token ids are the same;
4. every provider and precision of this box answers within the gate;
5. on every provider a row gets the same answer alone as in batches of 7 and 32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from msgspec import structs
from numpy.typing import NDArray

from export.graph.exporter import ANOTHER
from export.parity.graph_check import fp16_figures
from export.parity.pytorch import Reference, whole_texts
from export.parity.truth import BATCH_SIZES, Truth, every, true_answers
from export.parity_texts import kept_in
from export.source.classes import Classes
from export.steps import Steps
from scorer.errors import DeviceUnavailable, GateFailed
from scorer.hints import counted
from scorer.inference.bundle import Bundle
from scorer.inference.classifier import Classifier
from scorer.inference.gate import MAX_DIFFERENCE, Figures
from scorer.inference.preparation import Prepared
from scorer.inference.runtime import Choice, choices, open_session
from scorer.inference.runtime.machine import Machine, inspect
from scorer.inference.session import RuntimeInfo, Session

# On CUDA a kernel is chosen by the batch's size; on the CPU a row is bitwise itself.
CUDA_NEIGHBOUR_DIFFERENCE = 2e-3
_BATCHED_LENGTHS = 5
_BLAME_EXPORT = "do not use this export; compare the versions with requirements/constraints.txt"


@dataclass(frozen=True, slots=True)
class Measured:
    """How one session compares with PyTorch."""

    runtime: RuntimeInfo
    figures: Figures

    def record(self) -> dict[str, Any]:
        """Return the entry for ``tweetscore.json``."""
        return {
            "provider": self.runtime.provider,
            "precision": self.runtime.precision,
            "architecture": self.runtime.instruction_set,
            **structs.asdict(self.figures),
        }

    def __str__(self) -> str:
        """Return the figures as one line."""
        where = f"{self.runtime.provider} {self.runtime.precision}"
        return f"{where} on {self.runtime.instruction_set}: {self.figures}"


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The figures of every session that this box could open."""

    measured: tuple[Measured, ...]
    graph_check: Measured | None  # the fp16 graph on the CPU: says nothing about a GPU
    passed_over: tuple[str, ...]  # sessions of this box that cannot be used, and why
    outside: tuple[dict[str, str], ...]  # of these, what is outside the gate: for the bundle

    @property
    def fp16_graph_fits(self) -> bool:
        """Tell whether the fp16 graph, where there is one, computes what PyTorch does."""
        check = self.graph_check
        return check is None or check.figures.largest_difference <= MAX_DIFFERENCE

    def require_fp16_graph(self) -> None:
        """Raise GateFailed where the fp16 graph computes something else."""
        if self.graph_check and not self.fp16_graph_fits:
            figures = self.graph_check.figures
            raise GateFailed(f"the fp16 graph differs from PyTorch: {figures}", _BLAME_EXPORT)

    def lines(self) -> Iterator[str]:
        """Yield a line per session."""
        yield from map(str, self.measured)
        if self.graph_check:
            yield _graph_line(self.graph_check)
        yield from map(_not_measured, self.passed_over)


def _graph_line(check: Measured) -> str:
    return f"fp16 graph, run on the CPU and not measured on a GPU: {check.figures}"


def _not_measured(reason: str) -> str:
    return f"not measured: {reason}"


def check(
    bundle: Bundle, reference: Reference, texts: Sequence[str] = (), steps: Steps | None = None
) -> ParityReport:
    """Compare every session of this box with PyTorch.

    The texts are the canary's, those that the bundle was compared on before, and `texts`.

    Raises:
        GateFailed: With the figure that is outside the gate.
        InvalidBundle: The texts that it keeps cannot be read.
    """
    steps = steps or Steps()
    kept = kept_in(bundle)
    known = [*bundle.canary().texts, *(whole_texts() if kept is None else kept), *texts]
    classes = Classes(bundle.labels, bundle.task, bundle.activation)
    truth, notes = true_answers(reference, bundle.normalizer, known, classes)
    for note in notes:
        steps.note(note)
    steps.done(f"PyTorch has answered {counted(len(truth.texts), 'text')}")
    return compare_sessions(bundle, truth, steps)


def compare_sessions(bundle: Bundle, truth: Truth, steps: Steps) -> ParityReport:
    """Compare every session of this box with what PyTorch has answered.

    Raises:
        GateFailed: With the figure that is outside the gate.
    """
    machine = inspect()
    measured, passed_over, outside = [], [], []
    for choice in available(machine, int8="int8" in bundle.metadata.graphs):
        try:
            session = open_session(bundle, choice, machine)
            figures = measure(bundle, session, truth)
            require_no_neighbours(session, truth)
        except (DeviceUnavailable, GateFailed) as error:
            if choice.precision == "fp32" and isinstance(error, GateFailed):
                raise
            passed_over.append(f"{choice.device} in {choice.precision}: {error.problem}")
            if isinstance(error, GateFailed):
                outside.append(_place(choice, machine))
            steps.done(_not_measured(passed_over[-1]))
            continue
        measured.append(Measured(session.info, figures))
        steps.done(str(measured[-1]))
    if not any(entry.runtime.precision == "fp32" for entry in measured):
        # A graph may fail on lengths that it was not traced with: Longformer's does.
        raise GateFailed(f"no engine of this box serves it in fp32: {passed_over[0]}", ANOTHER)
    found = fp16_figures(bundle, truth, machine)
    graph_check = Measured(*found) if found else None
    if graph_check:
        steps.done(_graph_line(graph_check))
    return ParityReport(tuple(measured), graph_check, tuple(passed_over), tuple(outside))


def _place(choice: Choice, machine: Machine) -> dict[str, str]:
    return {
        "device": choice.device,
        "precision": choice.precision,
        "architecture": machine.architecture(choice.device),
    }


def available(machine: Machine, *, int8: bool) -> Iterator[Choice]:
    """Yield every provider and precision that this box offers; int8 where there is a graph."""
    offered = [
        *(choices("cuda", "auto", machine) if machine.gpus else ()),
        *choices("cpu", "auto", machine, int8_proven=int8),
        *choices("builtin", "auto", machine, int8_proven=int8),
    ]
    yield from {(choice.device, choice.precision): choice for choice in reversed(offered)}.values()


def measure(bundle: Bundle, session: Session, truth: Truth) -> Figures:
    """Compare one session with PyTorch, through the scorer's own stages.

    Raises:
        GateFailed: It is outside the gate.
    """
    try:
        classifier = Classifier(bundle, session)
    except GateFailed as error:  # the canary's remedies are those of a run
        raise GateFailed(error.problem, _BLAME_EXPORT) from error
    prepared = classifier.prepare(pl.Series(truth.texts, dtype=pl.String))
    _require_same_tokens(prepared, truth)
    figures = truth.compare(truth.of_logits(classifier.logits(prepared)))
    if not figures.within_gate(session.info.precision):
        raise GateFailed(f"{_where(session)} differs from PyTorch: {figures}", _BLAME_EXPORT)
    return figures


def _require_same_tokens(prepared: Prepared, truth: Truth) -> None:
    for row, expected in enumerate(truth.token_ids):
        if prepared.ids(row) != expected:
            raise GateFailed(
                f"the text {truth.texts[row][:60]!r} gets other token ids than from transformers",
                "save the tokenizer with save_pretrained and export again",
            )


def require_no_neighbours(session: Session, truth: Truth) -> None:
    """Compare rows alone with the same rows among others of their length.

    Raises:
        GateFailed: A row's answer depends on the rows around it.
    """
    stream = np.concatenate([np.array(ids) for ids in truth.token_ids])
    by_length = {len(ids): np.array(ids) for ids in truth.token_ids}
    lengths = sorted(by_length)
    for length in lengths[every(len(lengths), _BATCHED_LENGTHS)]:
        alone = session.run(by_length[length][np.newaxis])[0]
        for rows in BATCH_SIZES[1:]:
            batch = np.resize(stream, (rows, length))
            batch[rows // 2] = by_length[length]
            _require_equal(session, truth, alone, session.run(batch)[rows // 2], rows)


def _require_equal(
    session: Session,
    truth: Truth,
    alone: NDArray[np.float32],
    among: NDArray[np.float32],
    rows: int,
) -> None:
    if session.info.device == "cuda":
        pair = truth.of_logits(np.stack([alone, among]))
        unit = float(np.ptp(truth.scores)) if truth.activation == "none" else 1.0
        equal = bool(abs(pair[0] - pair[1]).max() <= CUDA_NEIGHBOUR_DIFFERENCE * unit)
    else:
        equal = np.array_equal(alone, among)
    if not equal:
        raise GateFailed(
            f"{_where(session)} gives a row other answers in a batch of {rows} than alone "
            f"(logits differ by {abs(alone - among).max():.1e})",
            _BLAME_EXPORT,
        )


def _where(session: Session) -> str:
    return f"{session.info.provider} in {session.info.precision}"
