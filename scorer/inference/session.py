"""The protocol of a session, whichever provider runs it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_EXACT = ("builtin", "openvino")  # the CPU's


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What really runs: reported, and part of what decides whether old results may be kept."""

    provider: str  # ONNX Runtime's name for it
    device: str  # cuda, openvino or builtin
    precision: str  # of the arithmetic: fp32, bf16, fp16 or int8
    instruction_set: str  # of the CPU, or the GPU's architecture
    threads: int
    reason: str  # why this one
    devices: int = 1  # how many share the batches

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
