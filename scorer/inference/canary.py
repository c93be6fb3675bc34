"""The canary: texts with known answers that every session scores before it is used."""

import numpy as np
from numpy.typing import NDArray

from scorer.errors import GateFailed
from scorer.inference import labels
from scorer.inference.bundle import Bundle, Canary
from scorer.inference.gate import Figures, bounds, compare
from scorer.inference.runtime.session import RuntimeInfo


def check_token_ids(token_ids: list[list[int]], canary: Canary, bundle: Bundle) -> None:
    """Hold the tokenizer against the one that the model was trained with.

    Raises:
        GateFailed: They differ on some text; no provider can make up for that.
    """
    pairs = zip(token_ids, canary.token_ids, strict=True)
    differing = sum(tuple(mine) != theirs for mine, theirs in pairs)
    if differing:
        trained = bundle.metadata.libraries.get("tokenizers", "another version")
        raise GateFailed(
            f"{differing} of {len(canary.texts)} canary texts of {bundle.name} get other token ids "
            "than in training",
            f"install the tokenizers it was exported with ({trained})",
        )


def measure(logits: NDArray[np.float32], canary: Canary, runtime: RuntimeInfo) -> Figures:
    """Compare a session's logits with PyTorch's.

    Raises:
        GateFailed: They lie outside the gate of the session's precision.
    """
    figures = compare(labels.probabilities(logits), labels.probabilities(canary.logits))
    if not figures.within_gate(runtime.precision):
        agreement, difference = bounds(runtime.precision)
        raise GateFailed(
            f"the canary on {runtime.provider} in {runtime.precision} differs from PyTorch: "
            f"{figures} (the gate: {agreement:.1%}, {difference:.0e})",
            "choose another --precision or --device",
        )
    return figures
