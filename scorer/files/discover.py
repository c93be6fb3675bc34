"""The output of each input, and the paths that derive from an output's name."""

import os
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import UsageError
from scorer.files.foreign import known_format
from scorer.files.formats import check_output, check_stream, default_name, format_of
from scorer.files.inputs import Inputs
from scorer.files.storage import exists, is_directory
from scorer.run_options import Kind


def resolved(output: Path) -> Path:
    """Return the file that an output's name leads to: a link stays, its target is replaced."""
    is_link = os.path.islink(output)  # noqa: PTH114 - Path.is_symlink raises where a name is too long
    return Path(os.path.realpath(output)) if is_link else output


def default_output(source: Path, kind: Kind | None = None) -> Path:
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
    if output is None:
        pairs = [(path, default_output(path, kind)) for path in inputs.files]
    elif not inputs.several and not is_directory(output):
        pairs = [(path, output) for path in inputs.files]
    elif exists(output) and not is_directory(output):
        raise UsageError(f"{output} is a file", "several inputs need a directory")
    else:
        pairs = [(path, output / _below(inputs.top, path, kind)) for path in inputs.files]
    _check_pairs(pairs, kind)
    return pairs


def _below(top: Path, path: Path, kind: Kind | None) -> Path:
    """Return an input's default output as it lies below the top of all inputs."""
    return Path(os.path.abspath(default_output(path, kind))).relative_to(top)


def _check_pairs(pairs: Sequence[tuple[Path, Path]], kind: Kind | None) -> None:
    inputs = {os.path.realpath(path) for path, _ in pairs}
    outputs: dict[str, Path] = {}
    for path, output in pairs:
        target = os.path.realpath(output)
        if outputs.get(target) == path:
            raise UsageError(f"{path} is meant by two INPUTs", "let each file be meant once")
        if target in outputs:
            raise UsageError(
                f"{outputs[target]} and {path} would both be written to {output}",
                "score them one at a time with different outputs",
            )
        if target in inputs:
            raise UsageError(f"{output} is an input too", "choose another output")
        check_output(path, output, kind)
        outputs[target] = path
