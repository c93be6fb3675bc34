"""Model handles around stubs."""

from typing import Any

from scorer.inference.bundle import Bundle
from scorer.inference.classifier import Classifier
from scorer.inference.loading import ModelHandle, load
from scorer.options import ModelSpec


def handle_of(stub: Any) -> ModelHandle:
    """Return a handle on a stub: it has a `bundle`, and what its `load` returns is proven."""
    return ModelHandle(lambda: stub.bundle, lambda _: stub.load())


def open_classifier(bundle: Bundle, **spec: Any) -> Classifier:
    """Load a bundle as a `ModelSpec` has it, and prove it."""
    return load(bundle, ModelSpec(**spec)).prove()
