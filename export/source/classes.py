"""What a checkpoint answers: its task, and the names of its classes in id order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle, UsageError
from scorer.hints import counted
from scorer.inference.bundle.untrusted import shown
from scorer.records import Activation, Task

MOST_CLASSES = 1_000
_GENERIC_LABEL = re.compile(r"LABEL_\d+")
_OUTPUT = "score"  # the name of a single output that has none of its own
_PROBLEMS = (None, "single_label_classification", "multi_label_classification", "regression")


@dataclass(frozen=True, slots=True)
class Classes:
    """What a model answers."""

    names: tuple[str, ...]  # in id order; of a regression that of its one output
    task: Task
    activation: Activation


def classes_of(directory: Path, config: dict[str, Any], names: Sequence[str]) -> Classes:
    """Return the classes of a checkpoint as transformers' pipeline treats them.

    Args:
        directory: Of the checkpoint.
        config: Its configuration.
        names: Replaces the names of the classes, in id order.

    Raises:
        InvalidBundle: They have none that tell them apart, or the task is not served.
        UsageError: The given names do not fit the classes.
    """
    own = _own_names(directory, config)
    if names and len(names) != len(own):
        raise UsageError(
            f"{counted(len(names), 'label name')} for {_counted(len(own))}",
            "give one name per class, in id order",
        )
    task, activation = _task_of(directory, config, len(own))
    found = tuple(names) or own
    if task == "regression":
        named = not _GENERIC_LABEL.fullmatch(found[0]) and found[0]
        return Classes((named or _OUTPUT,), task, activation)
    _check_names(directory, found, given=bool(names))
    return Classes(found, task, activation)


def _own_names(directory: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Return the names in the configuration, or those that transformers makes up."""
    known = config.get("id2label")
    if known is None:
        count = config.get("num_labels", 2)
        usable = type(count) is int and 0 < count <= MOST_CLASSES
        names = [f"LABEL_{number}" for number in range(count)] if usable else []
    else:
        numbers = {str(number) for number in range(len(known))}
        usable = isinstance(known, dict) and known.keys() == numbers and len(known) <= MOST_CLASSES
        names = [str(known[str(number)]) for number in range(len(known))] if usable else []
    if not names:
        raise InvalidBundle(
            f"the config.json of the checkpoint {directory} has "
            f"{'num_labels' if known is None else 'id2label'} "
            f"{shown(config.get('num_labels') if known is None else known)}, which numbers no "
            f"classes from 0 to at most {MOST_CLASSES - 1}",
            'give each class a name there: "id2label": {"0": "no", "1": "yes"}',
        )
    return tuple(names)


def _counted(classes: int) -> str:
    return "1 class" if classes == 1 else f"{classes:,} classes"


def _task_of(directory: Path, config: dict[str, Any], count: int) -> tuple[Task, Activation]:
    """Return the task, and what makes scores of logits, as transformers' pipeline chooses it."""
    problem = config.get("problem_type")
    if problem not in _PROBLEMS:
        raise InvalidBundle(
            f"the checkpoint {directory} has the problem_type {shown(problem)}, which transformers "
            "does not know",
            f"set it to one of {', '.join(filter(None, _PROBLEMS))} in config.json",
        )
    if problem == "regression" and count > 1:
        raise InvalidBundle(
            f"the checkpoint {directory} is a regression of {count} values, and one can be scored",
            "train a model for each value, with num_labels=1; if the outputs are classes, set "
            '"problem_type": "multi_label_classification" in config.json',
        )
    if problem == "regression":
        return "regression", "none"
    if count == 1:
        return "regression", "sigmoid"
    multi = problem == "multi_label_classification"
    return ("multi_label", "sigmoid") if multi else ("single_label", "softmax")


def _check_names(directory: Path, names: Sequence[str], *, given: bool) -> None:
    if not given and any(map(_GENERIC_LABEL.fullmatch, names)):
        raise InvalidBundle(
            f"the classes of the checkpoint {directory} have no names of their own",
            "give them in id order: --label-names NAME,NAME,...",
        )
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise InvalidBundle(
            f"the checkpoint {directory} has the labels {', '.join(names)[:200]}",
            "all have to be different: give them in id order: --label-names NAME,NAME,...",
        )
