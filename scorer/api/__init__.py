"""The Python API: `Scorer` and `predict_sentiment`, on texts, frames and record batches.

Its names load on first use: a process of an engine unpickles a `ScorerConfig` before the thread
pools of polars and tokenizers have their size.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorer.api.scorer import Scorer, Sentiment, predict_sentiment

__all__ = ["Scorer", "Sentiment", "predict_sentiment"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("scorer.api.scorer"), name)
