"""The classes of a checkpoint: their names in id order."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle, UsageError
from scorer.hints import counted

_GENERIC_LABEL = re.compile(r"LABEL_\d+")


def labels_of(directory: Path, config: dict[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes, in id order.

    Raises:
        InvalidBundle: They have none that tell them apart, or the task is not served.
        UsageError: The given names do not fit the classes.
    """
    if config.get("problem_type") in ("regression", "multi_label_classification"):
        raise InvalidBundle(
            f"the checkpoint {directory} is trained for {config['problem_type']}",
            "train it with one label per text",
        )
    known = config.get("id2label") or {}
    labels = [str(known[key]) for key in sorted(known, key=int)]
    if names:
        if labels and len(names) != len(labels):
            raise UsageError(
                f"{counted(len(names), 'label name')} for {len(labels)} classes",
                "give one name per class, in id order",
            )
        labels = list(names)
    generic = any(_GENERIC_LABEL.fullmatch(label) for label in labels)
    if not names and (generic or not labels):
        raise InvalidBundle(
            f"the classes of the checkpoint {directory} have no names of their own",
            "give them in id order: --label-names NAME,NAME,...",
        )
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(labels):
        raise InvalidBundle(
            f"the checkpoint {directory} has the labels {', '.join(labels)}",
            "at least two are needed, all different",
        )
    return tuple(labels)
