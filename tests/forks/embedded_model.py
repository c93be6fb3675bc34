"""The embedded model, checked, loaded and proven once in a process: each takes a while.

A fork that scores the samples, as most commands of the pages do, has the answers from before it.
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
import polars as pl
from numpy.typing import NDArray

from scorer.inference import bundle, loading
from scorer.inference.bundle import EMBEDDED
from scorer.inference.classifier import Classifier
from scorer.inference.preparation import Preparation, TextTokenizer
from scorer.inference.runtime import host
from scorer.inference.session import RuntimeInfo
from scorer.options import ModelSpec
from scorer.records import OnShare

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

    from scorer.inference.preparation import Prepared, Tokens

SAMPLES = Path(__file__).parents[2] / "samples"

_loaded: dict[tuple[Path, str], host.Loaded] = {}
_load_anew = host.load  # before `load` takes its place
_verified: list[bundle.Bundle] = []
_canary: dict[str, NDArray[np.float32]] = {}  # its logits in each precision
_preparation: dict[str, Any] = {}  # its attributes: the tokenizer, and the canary's token ids
_samples: dict[tuple[str, bytes], NDArray[np.float32]] = {}  # logits by precision and token ids
_verify = bundle._verified
_score_canary = Classifier._logits_of_canary
_prepare = Preparation.__init__
_infer = Classifier._infer


def _load(graph: Path, settings: "SessionOptions", providers: Sequence[Any] | None) -> host.Loaded:
    if graph.parent != EMBEDDED:
        return _load_anew(graph, settings, providers)
    key = graph, str(providers)
    if key not in _loaded:
        _loaded[key] = _load_anew(graph, settings, providers)
    return _loaded[key]


def _verify_once(directory: Path) -> bundle.Bundle:
    if directory != EMBEDDED:
        return _verify(directory)
    if not _verified:
        _verified.append(_verify(directory))
    return _verified[0]


def _score_canary_once(
    self: Classifier, first: "Prepared | None", on_share: OnShare
) -> NDArray[np.float32]:
    if not _is_shared(self):
        return _score_canary(self, first, on_share)
    if self.runtime.precision not in _canary:
        _canary[self.runtime.precision] = _score_canary(self, first, on_share)
    return _canary[self.runtime.precision]


def _prepare_once(self: Preparation, of: bundle.Bundle) -> None:
    if of.directory != EMBEDDED:
        _prepare(self, of)
        return
    if not _preparation:
        _prepare(self, of)
        _preparation.update(vars(self))
    vars(self).update(_preparation)


def _infer_once(
    self: Classifier,
    tokens: "Tokens",
    texts: NDArray[np.int64],
    answers: NDArray[np.float32],
    on_share: OnShare = lambda _: None,
) -> None:
    if _samples and _is_shared(self):
        keys = tokens.take(texts).keys()
        found = [_samples.get((self.runtime.precision, key)) for key in keys]
        for text, logits in zip(texts, found, strict=True):
            if logits is not None:
                answers[text] = logits
        texts = texts[[logits is None for logits in found]]
    _infer(self, tokens, texts, answers, on_share)


def _is_shared(classifier: Classifier) -> bool:
    return classifier.bundle.directory == EMBEDDED and classifier.runtime.provider == host.PROVIDER


#: Where each of them goes.
PLACES = (
    (host, "load", _load),
    (bundle, "_verified", _verify_once),
    (Classifier, "_logits_of_canary", _score_canary_once),
    (Preparation, "__init__", _prepare_once),
    (Classifier, "_infer", _infer_once),
)


def warm() -> None:
    """Do what a run may want on this box."""
    for place, name, function in PLACES:
        setattr(place, name, function)
    embedded = bundle.open_bundle()
    for precision in ("fp32", "int8"):
        info = RuntimeInfo(host.PROVIDER, "builtin", precision, "none", 1, "")
        host._open(embedded, precision, info)
    _learn_from_a_fork(embedded)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():  # has hashed the files
            thread.join()


def _learn_from_a_fork(embedded: bundle.Bundle) -> None:
    """Score canary and samples where the libraries may start their threads.

    These would not survive a fork; what they have computed does.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        classifier = loading.load(embedded, ModelSpec(device="builtin")).prove()
        samples = _answers_to_samples(classifier)
        del _preparation["_tokenizer"]
        with os.fdopen(theirs, "wb") as pipe:
            pickle.dump((_canary, _preparation, samples), pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        canary, preparation, samples = pickle.load(pipe)  # noqa: S301 - our own fork's
    os.waitpid(child, 0)
    _canary.update(canary)
    _preparation.update(preparation, _tokenizer=TextTokenizer(embedded))
    _samples.update(samples)


def _answers_to_samples(classifier: Classifier) -> dict[tuple[str, bytes], NDArray[np.float32]]:
    files = [SAMPLES / name for name in ("tweets.csv", "labelled.csv")]
    texts = [pl.read_csv(file, infer_schema=False)["text"] for file in files]
    prepared = classifier.prepare(pl.concat(texts))
    tokens = prepared.tokens
    answers = classifier._no_answers(tokens)
    _infer(classifier, tokens, prepared.scorable, answers)
    keys = tokens.take(prepared.scorable).keys()
    precision = classifier.runtime.precision
    return {
        (precision, key): logits
        for key, logits in zip(keys, answers[prepared.scorable], strict=True)
    }
