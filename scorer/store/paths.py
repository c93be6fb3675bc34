"""The output of each input, and the paths that derive from an output's name."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from scorer.errors import UsageError
from scorer.formats.foreign import known_format
from scorer.formats.registry import Place, check_output, check_stream, default_name, format_of
from scorer.options import Kind
from scorer.os_errors import exists, is_directory
from scorer.store.inputs import Found, Input, Inputs

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


def plan_outputs(
    inputs: Inputs, output: Path | None = None, kind: Kind | None = None
) -> list[tuple[Path, Path]]:
    """Return each input with its output; nothing needs to exist yet.

    One file that was named, and an `output` that is no directory: that is its name. Otherwise
    `output` is a directory, in which the inputs' paths below their common top are mirrored.

    Args:
        inputs: What is to be scored.
        output: Where to.
        kind: The inputs' format, whatever their extensions say.

    Raises:
        UsageError: two inputs share an output, an output is an input, the formats differ or are
            not known, or `output` is a file and must be a directory.
        InputMissing: an input of unknown format is not there.
    """
    for path in inputs.files:
        check_stream(path)
        known_format(path, kind)
    outputs = outputs_of(inputs, output, kind)
    check_pairs(inputs.files, outputs, kind)
    return list(zip(inputs.files, outputs, strict=True))


def outputs_of(inputs: Found[P], output: Path | None, kind: Kind | None) -> list[P | Path]:
    """Return the output of each input: beside it, or where a file or a directory was named."""
    if output is None:
        return [default_output(each.place, kind) for each in inputs.inputs]
    if not inputs.several and not is_directory(output):
        return [output for _ in inputs.inputs]
    if exists(output) and not is_directory(output):
        raise UsageError(f"{output} is a file", "several inputs need a directory")
    return [output / mirrored(each, kind) for each in inputs.inputs]


def mirrored(source: Input[P], kind: Kind | None) -> PurePosixPath:
    """Return an input's default output as it lies below the top of all inputs."""
    return source.below.with_name(default_output(source.place, kind).name)


def check_pairs(
    inputs: Sequence[Place], outputs: Sequence[Place], kind: Kind | None, more: str = ""
) -> None:
    """Raise UsageError where two inputs share an output, or one is an input or of another format.

    `more` is what else may be done about an output of another format.
    """
    sources = set(map(_identity, inputs))
    source_of: dict[object, Place] = {}
    for place, output in zip(inputs, outputs, strict=True):
        target = _identity(output)
        if source_of.get(target) == place:
            raise UsageError(f"{place} is meant by two INPUTs", "let each file be meant once")
        if target in source_of:
            raise UsageError(
                f"{source_of[target]} and {place} would both be written to {output}",
                "score them one at a time with different outputs",
            )
        if target in sources:
            raise UsageError(f"{output} is an input too", "choose another output")
        check_output(place, output, kind, more)
        source_of[target] = place


def _identity(place: Place) -> object:
    return os.path.realpath(place) if isinstance(place, Path) else place
