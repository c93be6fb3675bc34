"""What transformers says of a model type by its name: nothing of a model's files is read."""

from functools import cache
from typing import Any

from scorer.errors import InvalidBundle


@cache
def defaults_of(model_type: str) -> Any:
    """Return transformers' config of a type as its class makes it.

    Raises:
        InvalidBundle: transformers does not know the type.
    """
    import transformers

    try:
        return transformers.CONFIG_MAPPING[model_type]()
    except (KeyError, TypeError, ValueError) as error:  # those that are made of several models
        raise InvalidBundle(
            f"transformers {transformers.__version__} has no text model of the type {model_type!r}",
            "choose a model of another type: docs/models.md lists those that are tested",
        ) from error
