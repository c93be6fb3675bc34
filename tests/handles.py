"""What a run is given for its model where a stub stands in for it."""

from typing import Any

from scorer.inference.handle import ModelHandle


def handle_of(stub: Any) -> ModelHandle:
    """Return a handle on a stub: it has a `bundle`, and what its `load` returns is proven."""
    return ModelHandle(lambda: stub.bundle, lambda _: stub.load())
