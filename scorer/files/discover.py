"""Which files are inputs, and what belongs to each output by its name."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scorer.errors import DataError, InputMissing, UsageError
from scorer.files.formats import SUPPORTED, format_of, is_supported

_OURS = re.compile(
    r"\.scored\.|\.run\.json$|\.run\.failed\.json$|\.rejects\.ndjson$", re.IGNORECASE
)


def default_output(source: Path) -> Path:
    """Return NAME.scored.EXT beside the input: x.csv.gz gives x.scored.csv.gz."""
    suffix = format_of(source).suffix
    return source.with_name(f"{source.name.removesuffix(suffix)}.scored{suffix}")


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


def is_candidate(path: Path) -> bool:
    """Tell whether a file found in a directory is an input: known, not hidden, not our own."""
    return not path.name.startswith(".") and not _OURS.search(path.name) and is_supported(path)


def plan_outputs(inputs: Sequence[Path], output: Path | None = None) -> list[tuple[Path, Path]]:
    """Return each input with its output; a directory among the inputs stands for its files.

    One input file and an `output` that is no directory: that is its name. Otherwise `output` is a
    directory, in which the inputs' paths below their common parent are mirrored.

    Raises:
        UsageError: two inputs share an output, an output is an input, or the formats differ.
        InputMissing: an input does not exist.
        DataError: a directory holds no input.
    """
    if len(inputs) == 1 and not inputs[0].is_dir() and output is not None and not output.is_dir():
        format_of(inputs[0])
        pairs = [(inputs[0], output)]
    else:
        found = list(_found(inputs))
        pairs = [(path, default_output(path)) for path, _ in found]
        if output is not None:
            top = Path(os.path.commonpath([os.path.abspath(root) for _, root in found]))
            pairs = [(path, output / _below(top, renamed)) for path, renamed in pairs]
    _check_pairs(pairs)
    return pairs


def _found(inputs: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield each input file with the directory below which its path is mirrored."""
    for path in inputs:
        if not path.is_dir():
            if not path.exists():
                raise InputMissing(f"{path} does not exist", "check the name")
            yield path, path.parent
            continue
        inside = sorted(_walk(path))
        if not inside:
            raise DataError(f"{path} holds nothing to score", f"supported are {SUPPORTED}")
        yield from ((each, path) for each in inside)


def _walk(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if is_candidate(Path(parent, name)))


def _below(top: Path, path: Path) -> Path:
    return Path(os.path.abspath(path)).relative_to(top)


def _check_pairs(pairs: Sequence[tuple[Path, Path]]) -> None:
    owners = {path.resolve(): path for path, _ in pairs}
    inputs = set(owners)
    outputs: dict[Path, Path] = {}
    for path, output in pairs:
        target = output.resolve()
        if target in outputs:
            raise UsageError(
                f"{outputs[target]} and {path} would both be written to {output}",
                "score them one at a time with different outputs",
            )
        if target in inputs:
            raise UsageError(f"{output} is an input too", "choose another output")
        _check_format(path, output)
        outputs[target] = path


def _check_format(path: Path, output: Path) -> None:
    wanted, got = format_of(path), format_of(output)
    if (wanted.kind, wanted.compression) != (got.kind, got.compression):
        raise UsageError(
            f"{output} is not of the format of {path}", f"give it the extension {wanted.suffix}"
        )
