"""Labels tweets by sentiment, in nightly batches, on any box.

The steps that a text passes through, and their modules::

    discover    store/inputs, output_plan     which files, and where their output goes
    read        formats/                      windows of the text column, rejects beside them
    normalise   inference/normalize.py        the rules the model was trained with
    tokenise    inference/preparation.py      token ids, without padding
    plan        inference/session.py          batches of one token length
    infer       inference/runtime/            ONNX Runtime on CUDA, OpenVINO or the plain CPU
    label       inference/labels.py           calibrated probabilities, the best class
    checkpoint  store/checkpoints.py          results only, one file per window
    commit      store/commit.py               the input's rows with two more columns, all at once
    report      monitor/run_report.py         what happened, in numbers that add up

`run` is the pipeline from files to files, `inference.classifier` that from texts to labels. `cli`
and `api` are the two entry points. Names load on first use: importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # and no __getattr__: a checker would take any name for one that is there
    from scorer.api import Scorer, predict_sentiment
    from scorer.errors import (
        DataError,
        DeviceUnavailable,
        GateFailed,
        InputMissing,
        InvalidBundle,
        MissingExtra,
        OutOfMemory,
        OutputRefused,
        StorageError,
        TweetscoreError,
        UsageError,
    )

    __version__: str

__all__ = [
    "DataError",
    "DeviceUnavailable",
    "GateFailed",
    "InputMissing",
    "InvalidBundle",
    "MissingExtra",
    "OutOfMemory",
    "OutputRefused",
    "Scorer",
    "StorageError",
    "TweetscoreError",
    "UsageError",
    "__version__",
    "predict_sentiment",
]

_IN_API = ("Scorer", "predict_sentiment")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "__version__":
            return import_module("scorer.monitor.versions").tweetscore_version()
        home = "scorer.api" if name in _IN_API else "scorer.errors"
        return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
