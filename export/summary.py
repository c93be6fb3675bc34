"""What a bundle says of itself to people."""

from pathlib import Path

import msgspec
from msgspec import Struct, ValidationError

from scorer.inference.bundle.metadata import (
    AsTrained,
    BaseModel,
    Metadata,
    Metrics,
    Parity,
    Rules,
    Source,
    Training,
)
from scorer.inference.bundle.untrusted import invalid
from scorer.records import Activation, Task

_TASKS: dict[Task, str] = {
    "single_label": "one of the labels for each text",
    "multi_label": "any number of the labels for each text",
    "regression": "a value for each text",
}
_SCORES: dict[tuple[Task, Activation], str] = {
    ("single_label", "softmax"): "scores add up to 1 (softmax)",
    ("multi_label", "sigmoid"): "scores are independent of each other (sigmoid)",
    ("regression", "sigmoid"): "scores are from 0 to 1 (sigmoid)",
    ("regression", "none"): "scores are any number (the logit)",
}


class Summary(Struct, frozen=True):
    """The fields that the model card and `tweetscore model info` show."""

    name: str
    version: str
    model_type: str
    labels: tuple[str, ...]
    max_length: int
    temperature: float
    base_model: BaseModel
    training: Training
    metrics: Metrics | None
    parity: tuple[Parity, ...]
    normalizer: Rules
    source: Source | None = None
    license: str | None = None
    pad_to: int | None = None
    as_trained: AsTrained | None = None
    task: Task = "single_label"
    activation: Activation = "softmax"

    @property
    def answers(self) -> str:
        """Say what the model answers, and what its scores are."""
        return f"{self.task}, {_TASKS[self.task]}; {_SCORES[self.task, self.activation]}"


def summary_of(path: Path, metadata: Metadata) -> Summary:
    """Return the fields of a bundle that people read.

    Raises:
        InvalidBundle: A part of it is missing, or is of another kind.
    """
    try:
        return msgspec.convert(metadata, Summary, from_attributes=True)
    except ValidationError as error:
        # Scoring does not read these fields, so opening the bundle has not checked them.
        raise invalid(path, f"does not say what a bundle says of itself ({error})") from error
