"""The parity gate: a bundle is published only if it answers as the trained model does.

It compares the scorer itself (its normaliser, tokenizer, batches and sessions) with transformers,
which loads the bundle's own safetensors. In order:

1. the reference answers with every class and spreads its probabilities, because parity on a
   constant model proves nothing;
2. the reference gives the same answers in padded batches as alone, so that there is one reference;
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

from export.parity.pytorch import Reference, whole_texts
from export.steps import Steps
from scorer.errors import DeviceUnavailable, GateFailed
from scorer.hints import counted
from scorer.inference import labels
from scorer.inference.bundle import Bundle
from scorer.inference.classifier import Classifier
from scorer.inference.gate import MAX_DIFFERENCE, Figures, compare
from scorer.inference.preparation import Prepared
from scorer.inference.runtime import Choice, choices, open_session
from scorer.inference.runtime.machine import Machine, inspect
from scorer.inference.session import RuntimeInfo, Session

BATCH_SIZES = (1, 7, 32)
# The reference must choose each class for one text in a hundred, and move each class's
# probability by a tenth from text to text. A trained model does so many times over.
MIN_CLASS_SHARE = 0.01
MIN_SPREAD = 0.1
# On CUDA a kernel is chosen by the batch's size; on the CPU a row is bitwise itself.
CUDA_NEIGHBOUR_DIFFERENCE = 2e-3
# Samples that meet every shape of batch; all texts would make a large model's gate take an hour.
_BATCHED_TEXTS = 32
_BATCHED_LENGTHS = 5
_FP16_GRAPH_TEXTS = 64
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


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Texts with PyTorch's answers."""

    texts: tuple[str, ...]  # as they come in
    token_ids: list[list[int]]
    probabilities: NDArray[np.float32]  # at temperature 1


def check(
    bundle: Bundle, reference: Reference, texts: Sequence[str] = (), steps: Steps | None = None
) -> ParityReport:
    """Compare every session of this box with PyTorch.

    The texts are those of the canary, cut and whole, and `texts`.

    Raises:
        GateFailed: With the figure that is outside the gate.
    """
    truth = _truth(bundle, reference, [*bundle.canary().texts, *whole_texts(), *texts])
    require_spread(truth.probabilities, bundle.labels)
    steps = steps or Steps()
    steps.done(f"PyTorch has answered {counted(len(truth.texts), 'text')}")
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
    graph_check = _check_fp16_graph(bundle, truth, machine)
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


def require_spread(probabilities: NDArray[np.float32], names: Sequence[str]) -> None:
    """Refuse a reference that could agree with a broken export by chance.

    Raises:
        GateFailed: It never chooses one of the classes, or hardly moves its probability.
    """
    answers = probabilities.argmax(axis=1)
    spread = probabilities.max(axis=0) - probabilities.min(axis=0)
    for label, name in enumerate(names):
        share = float((answers == label).mean())
        if not (share >= MIN_CLASS_SHARE and spread[label] >= MIN_SPREAD):
            raise GateFailed(
                f"the model answers {name} to {share:.1%} of {len(answers)} texts, with "
                f"probabilities that differ by {spread[label]:.2f} at most: parity on it would "
                "prove nothing",
                "train it further, or give texts of all classes with --parity-data",
            )


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
    answers = labels.probabilities(classifier.logits(prepared))
    figures = compare(answers, truth.probabilities)
    if not figures.within_gate(session.info.precision):
        raise GateFailed(f"{_where(session)} differs from PyTorch: {figures}", _BLAME_EXPORT)
    return figures


def _truth(bundle: Bundle, reference: Reference, texts: Sequence[str]) -> Truth:
    distinct = list(dict.fromkeys(texts))
    normalized = bundle.normalizer(pl.Series(distinct, dtype=pl.String)).to_list()
    token_ids = reference.token_ids(normalized)
    blank = len(reference.token_ids([""])[0])
    rows = [row for row, ids in enumerate(token_ids) if len(ids) > blank]
    kept = [normalized[row] for row in rows]
    alone = labels.probabilities(reference.logits(kept))
    _require_one_truth(reference, kept, alone)
    return Truth(tuple(distinct[row] for row in rows), [token_ids[row] for row in rows], alone)


def _require_one_truth(reference: Reference, texts: list[str], alone: NDArray[np.float32]) -> None:
    sample = _every(len(texts), _BATCHED_TEXTS)
    for rows in BATCH_SIZES[1:]:
        batched = labels.probabilities(reference.batched(texts[sample], rows))
        figures = compare(batched, alone[sample])
        if not figures.within_gate("fp32"):
            raise GateFailed(
                f"PyTorch itself answers differently in batches of {rows} than alone: {figures}",
                "check pad_token_id and padding_side (GPT-2 needs right padding) and train again",
            )


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
    for length in lengths[_every(len(lengths), _BATCHED_LENGTHS)]:
        alone = session.run(by_length[length][np.newaxis])[0]
        for rows in BATCH_SIZES[1:]:
            batch = np.resize(stream, (rows, length))
            batch[rows // 2] = by_length[length]
            _require_equal(session, alone, session.run(batch)[rows // 2], rows)


def _require_equal(
    session: Session, alone: NDArray[np.float32], among: NDArray[np.float32], rows: int
) -> None:
    if session.info.device == "cuda":
        pair = labels.probabilities(np.stack([alone, among]))
        equal = bool(abs(pair[0] - pair[1]).max() <= CUDA_NEIGHBOUR_DIFFERENCE)
    else:
        equal = np.array_equal(alone, among)
    if not equal:
        raise GateFailed(
            f"{_where(session)} gives a row other answers in a batch of {rows} than alone "
            f"(logits differ by {abs(alone - among).max():.1e})",
            _BLAME_EXPORT,
        )


def _check_fp16_graph(bundle: Bundle, truth: Truth, machine: Machine) -> Measured | None:
    """Run the graph for CUDA on the CPU, which computes its products in fp32.

    It shows that the graph loads and that its casts are right. It says nothing about a GPU's
    arithmetic, so it is not a parity figure, and a label of low margin that differs is no reason to
    fail.
    """
    from scorer.inference.runtime.host import PROVIDER, TOKEN_BUDGET, HostSession, load, options

    if "fp16" not in bundle.metadata.graphs:
        return None
    info = RuntimeInfo(
        PROVIDER, "builtin", "fp16", machine.instruction_set, machine.cpus, "graph check"
    )
    session = HostSession(load(bundle.graph("fp16"), options(), [PROVIDER]), info, TOKEN_BUDGET)
    sample = _every(len(truth.texts), _FP16_GRAPH_TEXTS)
    logits = np.concatenate([session.run(np.array([ids])) for ids in truth.token_ids[sample]])
    figures = compare(labels.probabilities(logits), truth.probabilities[sample])
    if not figures.largest_difference <= MAX_DIFFERENCE:
        raise GateFailed(f"the fp16 graph differs from PyTorch: {figures}", _BLAME_EXPORT)
    return Measured(info, figures)


def _every(count: int, wanted: int) -> slice:
    """Return evenly spaced places among `count`: `wanted` or a few more."""
    return slice(None, None, max(1, count // wanted))


def _where(session: Session) -> str:
    return f"{session.info.provider} in {session.info.precision}"
