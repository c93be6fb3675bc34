"""What the bundle that wrote an output says of its run report."""

from collections.abc import Iterator, Mapping
from typing import Any

from scorer.inference.baseline import baseline_of
from scorer.inference.bundle import Bundle
from scorer.monitor.drift import Drift

_NOT_OF_THE_RUN = ("reason", "baseline_rows", "min_rows")


def contradicted_by(bundle: Bundle, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the report says of its model, and the bundle otherwise."""
    model = report["model"]
    for name, found in (("name", bundle.name), ("version", bundle.version)):
        if model[name] != found:
            yield f"the model's {name} is {found}, the report says {model[name]}"
    names = [label["name"] for label in report["labels"]]
    if names != list(bundle.labels):
        yield (
            f"the model's labels are {', '.join(bundle.labels)}, the report says {', '.join(names)}"
        )
    drift = report["drift"]
    baseline = Drift(baseline_of(bundle), bundle.labels).figures()
    if any(drift[name] != baseline[name] for name in _NOT_OF_THE_RUN):
        yield "the report's drift is not from the model's baseline"
        return
    for name, subject in drift["subjects"].items():
        wanted = baseline["subjects"][name]
        # How many tokens of the baseline are unknown is all of it that the run does not change.
        if any(subject[side] != wanted[side] for side in ("bins", "baseline")):
            yield f"the report's drift of {name} is not from the model's baseline"
