"""The configuration that opens the same `Scorer` in every process: small, hashable, picklable."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from scorer.errors import InvalidBundle, UsageError, is_unicode, shown
from scorer.inference.labels import renamed
from scorer.options import (
    LABELS_COLUMN,
    THRESHOLD,
    Device,
    ModelSpec,
    OutputSpec,
    Precision,
    WhichScores,
)
from scorer.threads import SHARE, THREADS

if TYPE_CHECKING:
    from scorer.formats.output_columns import OutputColumns
    from scorer.inference.bundle import Bundle
    from scorer.records import Task

_SHOWN = 12  # digits of a digest that distinguish two bundles


@dataclass(frozen=True, slots=True)
class ScorerConfig:
    """The arguments of a `Scorer`, and which bundle they meant."""

    spec: ModelSpec  # without a directory: the embedded bundle of each machine
    digest: str
    classes: tuple[str, ...]  # the bundle's labels, in id order
    labels: tuple[str, ...]  # what they are called in answers
    task: "Task" = "single_label"

    @classmethod
    def of(
        cls,
        model: str | PathLike[str] | None,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        labels: Iterable[str] | None = None,
    ) -> "tuple[Self, Bundle]":
        """Verify a bundle, and return the config with it.

        Raises:
            InvalidBundle: The model cannot be used.
            UsageError: There are more or fewer names than labels; or there is no such language,
                device, precision or number of threads; or the model is no path.
        """
        from scorer.inference.bundle import open_bundle

        # A misspelt "cuda" must not mean the CPU.
        _require_one_of("device", device, get_args(Device))
        _require_one_of("precision", precision, get_args(Precision))
        if threads is not None and not THREADS.holds(threads):
            raise UsageError(
                f"threads: {THREADS.complaint(threads)}", "correct it, or leave it out"
            )
        bundle = open_bundle(None if model is None else _path_of(model))
        # Resolved: another process may work in another directory.
        directory = None if model is None else bundle.directory
        spec = ModelSpec(directory, device, precision, None if threads is None else int(threads))
        names = renamed(bundle.labels, labels)
        return cls(spec, bundle.digest, bundle.labels, names, bundle.task), bundle

    def columns(
        self,
        all_scores: bool,
        label_column: str,
        score_column: str,
        labels_column: str = LABELS_COLUMN,
        threshold: float = THRESHOLD,
    ) -> "OutputColumns":
        """Return the columns that scoring appends.

        Raises:
            UsageError: A name is none, `all_scores` neither true nor false, or the threshold no
                number from 0 to 1; or there is one, and the model gives a text no list of labels.
        """
        from scorer.formats.output_columns import OutputColumns

        if not isinstance(all_scores, bool):
            raise UsageError(f"all_scores is {shown(all_scores)}", "give True or False")
        require_name("label_column", label_column)
        require_name("score_column", score_column)
        require_name("labels_column", labels_column)
        if not SHARE.holds(threshold):
            raise UsageError(f"threshold: {SHARE.complaint(threshold)}", "give another one")
        if threshold != THRESHOLD and self.task != "multi_label":
            raise UsageError(
                "threshold is for models that give a text several labels", "leave it out"
            )
        which: WhichScores = "all" if all_scores else "label"
        names = label_column, score_column, labels_column
        spec = OutputSpec(which, None, *names, float(threshold))
        return OutputColumns.of(spec, self.classes, self.labels, self.task)

    def open_bundle(self) -> "Bundle":
        """Verify the bundle that this process finds under the config's path, and return it.

        Raises:
            InvalidBundle: It is not usable, or not the one that was meant.
        """
        from scorer.inference.bundle import open_bundle

        bundle = open_bundle(self.spec.model)
        if bundle.digest != self.digest:
            raise InvalidBundle(
                f"{bundle.directory} is {bundle.name} {bundle.version} "
                f"({bundle.digest[:_SHOWN]}), not the bundle that this scorer was made with "
                f"({self.digest[:_SHOWN]})",
                "put the same bundle and the same release of tweetscore on every machine",
            )
        return bundle


def require_name(option: str, name: Any) -> None:
    """Raise UsageError unless a column can have that name."""
    if not isinstance(name, str):
        raise UsageError(f"{option} is {shown(name)}, not a string", "name a column by a string")
    if not is_unicode(name):
        raise UsageError(f"{option}, {name!a}, is not valid Unicode", "name another")


def _require_one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        said = repr(value) if isinstance(value, str) else shown(value)
        raise UsageError(f"{name} is {said}", f"choose one of {', '.join(known)}")


def _path_of(model: Any) -> Path:
    try:
        path = os.fspath(model)
    except TypeError:
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(
            f"the model is {shown(model)}, not the path of a bundle's directory",
            "name a directory, or leave it out for the embedded model",
        )
    return Path(path)
