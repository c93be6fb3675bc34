"""What `run --dry-run` prints."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from scorer.cli.process import print_error
from scorer.errors import one_line
from scorer.hints import counted

if TYPE_CHECKING:
    from scorer.run.dry_run import FilePreview, Preview, Probe

_ACTIONS = {
    "score": "would be scored",
    "go on": "would go on where the run of {since} was interrupted",
    "leave": "is up to date",
}


def show(preview: "Preview") -> int:
    """Print what a run would do, and return its exit code as far as it is known."""
    code = 0
    for each in preview.files:
        if each.error:
            files = {"input": str(each.input), "output": str(each.output)}
            failed = print_error(each.error, "file", **files)
            code = code or failed
        else:
            click.echo(one_line(_line(each)))
    for gone in preview.departed:
        click.echo(one_line(f"{gone}: would be removed, as {gone.input} is gone"))
    bundle = preview.bundle
    _print("model", f"{bundle.name} {bundle.version}, in {bundle.directory}")
    _print("appends", ", ".join(preview.appended))
    for table in preview.tables:
        live = counted(len(table.live), "live file")
        _print("table", one_line(f"{table.place}, version {table.version} of Delta: {live}"))
    for warning in preview.warnings:
        _print("warning", warning)
    if preview.probe:
        _print_probe(preview.probe)
        _print("time", f"about {_duration(preview.probe.estimate(preview.rows.rows))}")
    _print("files", _totals(preview))
    return code


def _line(file: "FilePreview") -> str:
    action = _ACTIONS[file.action].format(since=file.since)
    rows = counted(file.rows.rows, "row", str(file.rows))
    return f"{file.input} -> {file.output}: {rows} of {', '.join(file.columns)}: {action}"


def _print(topic: str, words: str) -> None:
    click.echo(f"{topic + ':':<9}{words}")


def _print_probe(probe: "Probe") -> None:
    runtime = probe.classifier.runtime
    threads = counted(runtime.threads, "thread")
    _print("runs on", f"{runtime.device} {runtime.precision}, {threads}")
    _print("because", runtime.reason)
    for warning in probe.classifier.warnings:
        _print("warning", warning)
    words = f"{counted(probe.rows, 'row')} took {probe.seconds:.2f} s"
    _print("probe", f"{words}, after {probe.load_seconds:.1f} s for loading the model")


def _totals(preview: "Preview") -> str:
    counts = Counter(each.action for each in preview.files)
    waiting = counts["score"] + counts["go on"]
    rows = counted(preview.rows.rows, "row", str(preview.rows))
    line = f"{waiting:,} would be scored ({rows})"
    line += f", {counts['leave']:,} up to date, {counts['fail']:,} would fail"
    removed = len(preview.departed)
    return line + (f", {removed:,} would be removed" if removed else "")


def _duration(seconds: float) -> str:
    """Return seconds in hours, minutes or seconds."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
