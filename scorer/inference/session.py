"""The protocol of a session, the batches that it gets, and smaller ones where its memory is full.

Each batch holds rows of one token length. No padding means no wasted work, and a text's score does
not depend on the other rows.
"""

import threading
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from scorer.errors import DeviceFull

_EXACT = ("builtin", "openvino")  # the CPU's


class RuntimeInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The session that runs: it is reported, and decides whether old results may be reused."""

    provider: str  # ONNX Runtime's name for it
    device: Literal["cuda", "openvino", "builtin"]
    precision: Literal["fp32", "bf16", "fp16", "int8"]  # of the arithmetic
    instruction_set: str  # of the CPU, or the GPU's architecture
    threads: Annotated[int, Meta(ge=1)]
    reason: str  # why this one
    devices: Annotated[int, Meta(ge=1)] = 1  # how many share the batches

    @property
    def exact(self) -> bool:
        """Tell whether an answer has the same bits in any batch; on a GPU it may depend on it."""
        return self.device in _EXACT

    @property
    def compiles(self) -> bool:
        """Tell whether a batch of a new size costs it time: kernels are compiled for each one.

        18 ms with MiniLM in bf16 on AMX, as long as 25 tweets take. 16,384 tweets in batches of
        one size for each length instead of two or more: 0.90 of the time.
        """
        return self.device == "openvino"


class Session(Protocol):
    """A loaded model; `run` may be called from `callers` threads at once."""

    info: RuntimeInfo
    token_budget: int  # may shrink while the session is used
    callers: int
    warnings: tuple[str, ...]  # what has happened since it was opened

    @property
    def exact(self) -> "Session | None":
        """The session that decides texts of low margin; see `LowMarginFallback`."""
        ...

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one token length that go through the model together."""

    rows: NDArray[np.int64]  # ascending; the last one again where the batch is filled up
    length: int  # tokens per row


def plan_batches(
    lengths: NDArray[np.int64], token_budget: int, *, alike: bool = False
) -> list[Batch]:
    """Place every row in exactly one batch of at most `token_budget` tokens.

    A row longer than the budget is a batch of its own. The longest come first: memory peaks
    at once instead of late in the night, and what the last callers wait for is short.

    Args:
        lengths: Tokens per row, each at least 1: an empty row must never reach a model.
        token_budget: Rows times length that a batch may hold.
        alike: Give all batches of a length one size, for a session that compiles each new one:
            there are no more of them, and the last one is filled up with its last row.
    """
    if len(lengths) == 0:
        return []
    if lengths.min() < 1:
        raise ValueError("a row without tokens cannot be placed in a batch")
    order = np.argsort(-lengths, kind="stable")
    starts = np.flatnonzero(np.diff(lengths[order], prepend=-1))
    batches = []
    for rows in np.split(order, starts[1:]):
        length = int(lengths[rows[0]])
        size = max(1, token_budget // length)
        batches += [Batch(each, length) for each in (_alike if alike else _full)(rows, size)]
    return batches


def _full(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut rows into slices of `size`, the last one of the remainder."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _alike(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut rows into as many slices of one size, the last one filled up with its last row."""
    count = -(-len(rows) // size)
    size = -(-len(rows) // count)
    return _full(np.pad(rows, (0, count * size - len(rows)), "edge"), size)


class HalvingSession:
    """A session that goes on with smaller batches when its device's memory is used up.

    The rows of a batch are independent, so halves answer the same. On a GPU another number of
    rows may choose another kernel: that is within what is promised there (docs/guarantees.md).
    """

    exact = None

    def __init__(self, session: Session) -> None:
        self.info: RuntimeInfo = session.info
        self.token_budget: int = session.token_budget
        self.callers: int = session.callers
        self.warnings: tuple[str, ...] = ()
        self._session = session
        self._first_budget = session.token_budget
        self._change = threading.Lock()

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length].

        Raises:
            DeviceFull: The device cannot hold a single row.
        """
        budget = self.token_budget
        rows, length = ids.shape
        most = max(1, budget // length)
        if rows > most:  # planned when the budget was larger
            return np.concatenate([self.run(ids[i : i + most]) for i in range(0, rows, most)])
        try:
            return self._session.run(ids)
        except DeviceFull:
            if rows == 1:
                raise
        self._halve(budget)
        half = (rows + 1) // 2
        return np.concatenate([self.run(ids[:half]), self.run(ids[half:])])

    def _halve(self, tried: int) -> None:
        """Halve the budget for the rest of the run, once for all callers that tried with it."""
        with self._change:
            if self.token_budget == tried:
                self.token_budget = max(1, tried // 2)
                words = (
                    "the GPU's memory ran out: batches are now of at most "
                    f"{self.token_budget:,} tokens instead of {self._first_budget:,}"
                )
                self.warnings = (words,)
