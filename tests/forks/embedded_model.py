"""The embedded model, checked, loaded and proven once in a process: each takes a while.

Only the built-in provider's sessions are shared: they have no threads, so that they survive a
fork, and hold nothing of the texts that they have scored. What a run leaves out for it is what
`tests/inference/` is about, and the tests that start the program itself.
"""

import os
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorer.inference import bundle, loading
from scorer.inference.classifier import Classifier
from scorer.inference.runtime import host
from scorer.inference.session import RuntimeInfo
from scorer.options import ModelSpec
from scorer.records import OnShare

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

    from scorer.inference.preparation import Prepared

_loaded: dict[tuple[Path, str], host.Loaded] = {}
_load_anew = host.load  # before `load` takes its place
_verified: list[bundle.Bundle] = []
_canary: dict[str, NDArray[np.float32]] = {}  # its logits in each precision
_verify = bundle._verified
_score_canary = Classifier._logits_of_canary


def _load(graph: Path, settings: "SessionOptions", providers: Sequence[Any] | None) -> host.Loaded:
    if graph.parent != bundle.EMBEDDED:
        return _load_anew(graph, settings, providers)
    key = graph, str(providers)
    if key not in _loaded:
        _loaded[key] = _load_anew(graph, settings, providers)
    return _loaded[key]


def _verify_once(directory: Path) -> bundle.Bundle:
    if directory != bundle.EMBEDDED:
        return _verify(directory)
    if not _verified:
        _verified.append(_verify(directory))
    return _verified[0]


def _score_canary_once(
    self: Classifier, first: "Prepared | None", on_share: OnShare
) -> NDArray[np.float32]:
    if self.bundle.directory != bundle.EMBEDDED or self.runtime.provider != host.PROVIDER:
        return _score_canary(self, first, on_share)
    if self.runtime.precision not in _canary:
        _canary[self.runtime.precision] = _score_canary(self, first, on_share)
    return _canary[self.runtime.precision]


#: Where each of them goes.
PLACES = (
    (host, "load", _load),
    (bundle, "_verified", _verify_once),
    (Classifier, "_logits_of_canary", _score_canary_once),
)


def warm() -> None:
    """Do what a run may want on this box."""
    for place, name, function in PLACES:
        setattr(place, name, function)
    embedded = bundle.open_bundle()
    for precision in ("fp32", "int8"):
        info = RuntimeInfo(host.PROVIDER, "builtin", precision, "none", 1, "")
        host._open(embedded, precision, info)
    _canary.update(_canary_of_a_fork(embedded))
    for thread in threading.enumerate():
        if thread is not threading.main_thread():  # has hashed the files
            thread.join()


def _canary_of_a_fork(embedded: bundle.Bundle) -> dict[str, NDArray[np.float32]]:
    """Score the canary where polars may start its threads, which would not survive a fork."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        loading.load(embedded, ModelSpec(device="builtin")).prove()
        with os.fdopen(theirs, "wb") as pipe:
            pickle.dump(_canary, pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        scored: dict[str, NDArray[np.float32]] = pickle.load(pipe)  # noqa: S301 - our own fork's
    os.waitpid(child, 0)
    return scored
