"""The default output of an input, and the paths that derive from an output's name."""

import os
from pathlib import Path
from typing import TypeVar

from scorer.formats.registry import Place, default_name, format_of
from scorer.options import Kind

P = TypeVar("P", bound=Place)


def resolved(output: Path) -> Path:
    """Return the file that an output's name leads to: a link stays, its target is replaced."""
    is_link = os.path.islink(output)  # noqa: PTH114 - Path.is_symlink raises where a name is too long
    return Path(os.path.realpath(output)) if is_link else output


def default_output(source: P, kind: Kind | None = None) -> P:
    """Return NAME.scored.EXT beside the input: x.csv.gz gives x.scored.csv.gz."""
    return source.with_name(default_name(source.name, format_of(source, kind)))


def report_path(output: Path) -> Path:
    """Return the run report of an output."""
    return output.with_name(f"{output.name}.run.json")


def failed_report_path(output: Path) -> Path:
    """Return the report of a run that failed."""
    return output.with_name(f"{output.name}.run.failed.json")


def rejects_path(output: Path) -> Path:
    """Return the file of an output's rejects."""
    return output.with_name(f"{output.name}.rejects.ndjson")


def state_directory(output: Path) -> Path:
    """Return the directory that holds an unfinished run's results."""
    return output.with_name(f".{output.name}.tweetscore")


def commit_record_path(output: Path) -> Path:
    """Return the report of a run that is about to replace the output."""
    return state_directory(output) / "report.json"


def lock_path(output: Path) -> Path:
    """Return the file that a run locks while it writes an output; it is never deleted."""
    return output.with_name(f".{output.name}.tweetscore.lock")
