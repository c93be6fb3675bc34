"""What `tweetscore run --dry-run` prints."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from scorer.cli.errors import print_error
from scorer.counts import counted
from scorer.errors import one_line

if TYPE_CHECKING:
    from scorer.preview import FilePreview, Preview, Probe

_FATES = {
    "score": "would be scored",
    "go on": "would go on where the run of {since} was interrupted",
    "leave": "is up to date",
}


def show(preview: "Preview") -> int:
    """Print what a run would do, and return its exit code as far as it is known now."""
    code = 0
    for each in preview.files:
        if each.error:
            files = {"input": str(each.input), "output": str(each.output)}
            failed = print_error(each.error, "file", **files)
            code = code or failed
        else:
            click.echo(one_line(_line(each)))
    bundle = preview.bundle
    _say("model", f"{bundle.name} {bundle.version}, in {bundle.directory}")
    _say("appends", ", ".join(preview.appended))
    if preview.probe:
        _say_probe(preview.probe)
        _say("time", f"about {_duration(preview.probe.estimate(preview.rows.rows))}")
    _say("files", _fates(preview))
    return code


def _line(file: "FilePreview") -> str:
    fate = _FATES[file.fate].format(since=file.since)
    rows = counted(file.rows.rows, "row", str(file.rows))
    return f"{file.input} -> {file.output}: {rows} of {', '.join(file.columns)}: {fate}"


def _say(topic: str, words: str) -> None:
    click.echo(f"{topic + ':':<9}{words}")


def _say_probe(probe: "Probe") -> None:
    runtime = probe.classifier.runtime
    threads = counted(runtime.threads, "thread")
    _say("runs on", f"{runtime.device} {runtime.precision}, {threads}")
    _say("because", runtime.reason)
    for warning in probe.classifier.warnings:
        _say("warning", warning)
    words = f"{counted(probe.rows, 'row')} took {probe.seconds:.2f} s"
    _say("probe", f"{words}, after {probe.load_seconds:.1f} s for loading the model")


def _fates(preview: "Preview") -> str:
    counts = Counter(each.fate for each in preview.files)
    waiting = counts["score"] + counts["go on"]
    rows = counted(preview.rows.rows, "row", str(preview.rows))
    line = f"{waiting:,} would be scored ({rows})"
    return f"{line}, {counts['leave']:,} up to date, {counts['fail']:,} would fail"


def _duration(seconds: float) -> str:
    """Return seconds in the unit that a person would choose."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
