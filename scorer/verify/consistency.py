"""Whether a run report agrees with itself, and what of it nobody can check."""

from collections.abc import Iterator
from pathlib import Path

from scorer.errors import UsageError
from scorer.inference.bundle import Bundle, baseline_of
from scorer.inference.gate import bounds
from scorer.inference.labels import renamed
from scorer.monitor.drift import MIN_ROWS, Drift
from scorer.monitor.report_types import CompleteReport
from scorer.run import cache_keys

_ON = {"cpu": ("openvino", "builtin"), "auto": ("cuda", "openvino", "builtin")}
_TIME = 0.0005  # seconds by which a rounded time may lie from the true one
_SPEED = 0.05  # rows a second, likewise
_NOT_OF_THE_RUN = ("reason", "baseline_rows", "min_rows")  # fields of the drift


def inconsistencies(report: CompleteReport, output: Path) -> Iterator[str]:
    """Yield what cannot be true at once of a complete run that wrote this output."""
    if Path(report.output.path).name != output.name:
        yield f"it is that of {report.output.path}"
    if report.result_key != cache_keys.recorded_result_key(report):
        yield "its result key is not that of its input, model and options"
    yield from _names(report)
    yield from _limits(report)
    yield from _earlier_runs(report)
    yield from _speed(report)
    yield from _runtime(report)
    yield from _canary(report)
    yield from _drift(report)


def _names(report: CompleteReport) -> Iterator[str]:
    names = [label.name for label in report.labels]
    try:
        wanted = renamed(names, report.options.label_names)
    except UsageError as error:
        yield error.problem
        return
    if list(wanted) != [label.written_as for label in report.labels]:
        yield "its labels are not written as its options name them"


def _limits(report: CompleteReport) -> Iterator[str]:
    options, counters = report.options, report.counters
    if options.limit is not None and counters.rows > options.limit:
        yield f"{counters.rows:,} rows are more than the limit of {options.limit:,}"
    if counters.rejected > (most := options.max_rejects):
        yield f"{counters.rejected:,} rejects are more than the {most:,} allowed"


def _earlier_runs(report: CompleteReport) -> Iterator[str]:
    """Hold what came from earlier runs against the options that ask for it."""
    taken, resumed, options = report.taken_over, report.resumed, report.options
    if (taken is None) != (options.id_column is None):
        yield "answers of an earlier output, and --id-column, are not there together"
    if taken and taken.rows and taken.why_none is not None:
        yield "it says why no answers were reused, and how many were"
    if not resumed:
        return
    if options.resume == "never":
        yield "an unfinished run was resumed, which --resume never forbids"
    if (resumed.rows == 0) != (resumed.windows == 0) or resumed.rows < resumed.windows:
        yield f"{resumed.windows:,} windows were resumed with {resumed.rows:,} rows"
    if options.chunk_rows and resumed.rows > resumed.windows * options.chunk_rows:
        yield f"{resumed.windows:,} windows were resumed with {resumed.rows:,} rows"
    if resumed.started > report.started:
        yield "it resumed a run that began after it"


def _speed(report: CompleteReport) -> Iterator[str]:
    """Hold the speed against the total time and the rows that the run scored itself."""
    total, speed = report.seconds["total"], report.tweets_per_second
    resumed = report.resumed.rows if report.resumed else 0
    taken = report.taken_over.rows if report.taken_over else 0  # a row may be in both
    rows = report.counters.rows
    least, most = max(0, rows - resumed - taken), rows - max(resumed, taken)
    if speed is None:
        if total > _TIME:
            yield "it has a total time, and no speed"
        return
    lowest = least / (total + _TIME) - _SPEED
    highest = most / (total - _TIME) + _SPEED if total > _TIME else speed
    if not lowest <= speed <= highest:
        yield f"{speed:,} tweets per second do not fit its rows and its total time"


def _runtime(report: CompleteReport) -> Iterator[str]:
    runtime, options = report.runtime, report.options
    device, precision = runtime.device, runtime.precision
    if device not in _ON.get(options.device, (options.device,)):
        yield f"it ran on {device}, and {options.device} was asked for"
    if options.precision not in ("auto", precision):
        yield f"it ran in {precision}, and {options.precision} was asked for"
    if runtime.devices > 1 and device != "cuda":
        yield f"{runtime.devices:,} devices shared the work of a CPU"


def _canary(report: CompleteReport) -> Iterator[str]:
    canary = report.canary
    agreement, difference = bounds(report.runtime.precision)
    if canary.label_agreement < agreement or canary.largest_difference > difference:
        yield "its canary is outside the gate"
    if canary.mean_difference > canary.largest_difference:
        yield "the mean difference of its canary is more than the largest"


def _drift(report: CompleteReport) -> Iterator[str]:
    drift, counters = report.drift, report.counters
    subjects = drift.subjects
    compared = drift.reason is None
    if compared != bool(subjects) or compared != (drift.baseline_rows is not None):
        yield "it says why drift was not measured, and how large it is"
    if drift.min_rows != MIN_ROWS:
        yield f"drift is judged from {drift.min_rows:,} rows on, not from {MIN_ROWS:,}"
    if drift.judged != (compared and counters.scored >= MIN_ROWS):
        yield f"drift of {counters.scored:,} rows was judged: {drift.judged}"
    if not subjects:
        return
    labels, unknown = subjects["labels"], counters.unknown
    counted = {label.name: label.rows for label in report.labels}
    if dict(zip(labels.bins, labels.now, strict=False)) != counted:
        yield "the drift of labels is not that of its labels"
    tokens = subjects["unknown_tokens"]
    if tokens.bins != ["known", "unknown"] or tokens.now[1:] != [unknown]:
        yield f"the drift of unknown tokens is not that of {unknown:,}"


def contradicted_by(bundle: Bundle, report: CompleteReport) -> Iterator[str]:
    """Yield what the report says of its model, and the bundle otherwise."""
    model = report.model
    for name, found in (("name", bundle.name), ("version", bundle.version)):
        if (said := getattr(model, name)) != found:
            yield f"the model's {name} is {found}, the report says {said}"
    names = [label.name for label in report.labels]
    if names != list(bundle.labels):
        yield (
            f"the model's labels are {', '.join(bundle.labels)}, the report says {', '.join(names)}"
        )
    drift = report.drift
    baseline = Drift(baseline_of(bundle), bundle.labels).figures()
    if any(getattr(drift, name) != getattr(baseline, name) for name in _NOT_OF_THE_RUN):
        yield "the report's drift is not from the model's baseline"
        return
    for name, subject in drift.subjects.items():
        wanted = baseline.subjects[name]
        # How many tokens of the baseline are unknown is all of it that the run does not change.
        if (subject.bins, subject.baseline) != (wanted.bins, wanted.baseline):
            yield f"the report's drift of {name} is not from the model's baseline"
