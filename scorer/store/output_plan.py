"""The output of each input: where -o says, beside the input, or in DIR.scored/."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from scorer.errors import UsageError
from scorer.formats.foreign import known_format
from scorer.formats.registry import Place, check_output, check_stream
from scorer.hints import path_word
from scorer.options import Kind
from scorer.os_errors import exists, is_directory
from scorer.store.directories import Searched, above_partitions
from scorer.store.found import Found, Input, Inputs
from scorer.store.paths import OWN, default_output

P = TypeVar("P", bound=Place)


def plan_outputs(
    inputs: Inputs, output: Path | None = None, kind: Kind | None = None
) -> list[tuple[Path, Path]]:
    """Return each input with its output; nothing needs to exist yet.

    Without an `output` that of a file lies beside it, and those of a directory DIR are mirrored in
    DIR.scored. One file that was named, and an `output` that is no directory: that is its name.
    Otherwise `output` is a directory, in which the inputs' paths below their common top are
    mirrored.

    Args:
        inputs: What is to be scored.
        output: Where to.
        kind: The inputs' format, whatever their extensions say.

    Raises:
        UsageError: two inputs share an output, an output is an input, the formats differ or are
            not known, what must be a directory is a file, or there is none and `output` must be.
        InputMissing: an input of unknown format is not there.
    """
    for path in inputs.files:
        check_stream(path)
        known_format(path, kind)
    outputs = outputs_of(inputs, output, kind)
    check_pairs(inputs.files, outputs, kind)
    return list(zip(inputs.files, outputs, strict=True))


def outputs_of(inputs: Found[P], output: Path | None, kind: Kind | None) -> list[P | Path]:
    """Return the output of each input: in its mirror, or where a file or a directory was named."""
    if output is None:
        for directory in inputs.searched:
            _check_directory(directory)
        return [default_output(each.mirror, kind) for each in inputs.inputs]
    if not inputs.several and not is_directory(output):
        return [output for _ in inputs.inputs]
    if exists(output) and not is_directory(output):
        raise UsageError(f"{output} is a file", "several inputs need a directory")
    return [output / mirrored(each, kind) for each in inputs.inputs]


def _check_directory(searched: Searched[P]) -> None:
    outputs = searched.outputs
    if outputs is None:
        problem = f"{searched.place} has no name, which that of its outputs could be made of"
        raise UsageError(problem, "name a directory for them with -o")
    if isinstance(outputs, Path) and exists(outputs) and not is_directory(outputs):
        problem = f"{outputs} is a file, and would be the directory of the outputs"
        raise UsageError(problem, "name another one with -o")


def with_warnings(found: Found[P]) -> Found[P]:
    """Return what was found, with a warning for each directory whose outputs stay in it."""
    warnings = (_continued(each) for each in found.searched if each.continued)
    return replace(found, warnings=(*found.warnings, *warnings))


def _continued(searched: Searched[P]) -> str:
    place, mirror = searched.place, searched.mirror
    output = "DIR" if mirror is None else path_word(_named_with_o(str(mirror)))
    return (
        f"the outputs of {place} stay beside its files, where earlier outputs lie, for this "
        f"version only; try: tweetscore run {path_word(str(place))} -o {output}"
    )


def _named_with_o(mirror: str) -> str:
    """Return the directory in which -o repeats the partitions of a mirror."""
    directory = mirror.rstrip("/")
    return "/".join(above_partitions(directory.split("/"))) + mirror[len(directory) :]


def mirrored(source: Input[P], kind: Kind | None) -> PurePosixPath:
    """Return an input's default output as it lies below the top of all inputs."""
    return source.below.with_name(default_output(source.place, kind).name)


def check_pairs(
    inputs: Sequence[Place], outputs: Sequence[Place], kind: Kind | None, more: str = ""
) -> None:
    """Raise UsageError where an output is another's too, an input, ours, or of another format.

    `more` is what else may be done about an output of another format.
    """
    _check_once(inputs)
    sources = set(map(_identity, inputs))
    source_of: dict[object, Place] = {}
    for place, output in zip(inputs, outputs, strict=True):
        target = _identity(output)
        if target in source_of:
            raise UsageError(
                f"{source_of[target]} and {place} would both be written to {output}",
                "score them one at a time with different outputs",
            )
        if target in sources:
            raise UsageError(f"{output} is an input too", "choose another output")
        if OWN in str(output).split("/"):
            problem = f"{output} lies in {OWN}/, which holds what belongs to outputs"
            raise UsageError(problem, "choose another output")
        check_output(place, output, kind, more)
        source_of[target] = place


def _check_once(inputs: Sequence[Place]) -> None:
    """Raise UsageError for a file that two INPUTs mean; two links to it are two names."""
    seen: set[object] = set()
    for place in inputs:
        name = os.path.abspath(place) if isinstance(place, Path) else place
        if name in seen:
            raise UsageError(f"{place} is meant by two INPUTs", "let each file be meant once")
        seen.add(name)


def _identity(place: Place) -> object:
    return os.path.realpath(place) if isinstance(place, Path) else place
