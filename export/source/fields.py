"""The types of what is read of a model's own files: a wrong one is an error with its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, ValidationError

from scorer.errors import InvalidBundle

_Id = Annotated[str, Meta(pattern=r"^[0-9]{1,6}$")]


class Config(Struct, frozen=True):
    """Of ``config.json``, what every classifier of texts says in the same way."""

    model_type: str
    vocab_size: Annotated[int, Meta(ge=1, le=2**31)]
    id2label: dict[_Id, str | int] | None = None
    num_labels: int | None = None
    pad_token_id: int | None = None
    problem_type: str | None = None


class Record(Struct, frozen=True):
    """Of ``training.json`` or ``tweetscore.json``, what decides an answer."""

    name: str | None = None
    temperature: Annotated[float, Meta(ge=0.01, le=100)] = 1.0
    max_length: Annotated[int, Meta(ge=3, le=2**20)] = 3
    split_special_tokens: bool | None = None
    pad_to: int | None = None
    training: dict[str, Any] = {}


def check(path: Path, content: Mapping[str, Any], kind: type[Struct]) -> None:
    """Check the types of the fields that a struct names; others may be anything.

    Raises:
        InvalidBundle: One has another type, or is missing.
    """
    try:
        msgspec.convert(content, kind)
    except ValidationError as error:
        raise InvalidBundle(
            f"{path} is not what a model says of itself: {error}",
            "fetch or save the checkpoint again",
        ) from error
