"""Which output each input has; the rules are those of local files."""

from pathlib import Path

from scorer.errors import OutputRefused, UsageError
from scorer.files.discover import default_output
from scorer.files.formats import check_output
from scorer.files.storage import exists, is_directory
from scorer.remote.search import Found, Input, Place
from scorer.remote.store import check_writable
from scorer.remote.urls import AROUND_OUTPUT, Url, why_unusable
from scorer.run_options import Kind

Pair = tuple[Input, Place]


def plan(found: Found, output: Place | None, kind: Kind | None = None) -> list[Pair]:
    """Return each input with its output; nothing needs to exist yet.

    Args:
        found: What is to be scored.
        output: Where to.
        kind: The inputs' format, whatever their extensions say.

    Raises:
        UsageError: Two inputs share an output, an output is an input, the formats differ, or
            an output is where nothing can be written.
        OutputRefused: An output's name is none that a store's client takes.
    """
    pairs = [(each, _output(each, output, kind, several=found.several)) for each in found.files]
    _check(pairs, kind)
    return pairs


def _output(source: Input, output: Place | None, kind: Kind | None, *, several: bool) -> Place:
    if output is None:
        return _beside(source.place, kind)
    if isinstance(output, Url):
        if several or output.is_directory:
            name = default_output(Path(source.below.name), kind).name
            above = output.key.rstrip("/") + "/" if output.key else ""
            return output.with_key(f"{above}{source.below.with_name(name)}")
        return output
    if several and exists(output) and not is_directory(output):
        raise UsageError(f"{output} is a file", "several inputs need a directory")
    if several or is_directory(output):
        return output / default_output(Path(source.below), kind)
    return output


def _beside(place: Place, kind: Kind | None) -> Place:
    if isinstance(place, Path):
        return default_output(place, kind)
    check_writable(place)
    return place.with_name(default_output(Path(place.name), kind).name)


def _check(pairs: list[Pair], kind: Kind | None) -> None:
    inputs = {_identity(source.place) for source, _ in pairs}
    outputs: dict[object, Place] = {}
    for source, output in pairs:
        if isinstance(output, Url):
            check_writable(output)
            if why := why_unusable(output, AROUND_OUTPUT):
                raise OutputRefused(
                    f"{output} cannot be written, as its name has {why}", "choose another output"
                )
        if (same := _identity(output)) in outputs:
            raise UsageError(
                f"{outputs[same]} and {source.place} would both be written to {output}",
                "score them one at a time with different outputs",
            )
        if same in inputs:
            raise UsageError(f"{output} is an input too", "choose another output")
        if isinstance(output, Url) and not Path(output.name).suffix and kind is None:
            raise UsageError(f"{output} has no extension", "end it with / for a directory")
        check_output(source.place, output, kind, ", or end it with / for a directory")
        outputs[same] = source.place


def _identity(place: Place) -> object:
    return place if isinstance(place, Url) else place.resolve()
