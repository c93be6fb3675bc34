"""Where the outputs go when one end is a URL, and what lies there already."""

from collections.abc import Sequence
from pathlib import Path

from scorer.errors import OutputRefused, UsageError
from scorer.options import Kind
from scorer.remote.search import Pair, Place
from scorer.remote.stores import Stores, check_writable
from scorer.remote.urls import AROUND_OUTPUT, Object, Url, why_unusable
from scorer.store.found import Found
from scorer.store.output_plan import check_pairs, mirrored, outputs_of


def plan(found: Found[Place], output: Place | None, kind: Kind | None = None) -> list[Pair]:
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
    outputs: Sequence[Place]
    if not isinstance(output, Url):
        for place in found.files if output is None else ():
            if isinstance(place, Url):
                check_writable(place)
        outputs = outputs_of(found, output, kind)
    elif found.several or output.is_directory:
        above = output.key.rstrip("/") + "/" if output.key else ""
        outputs = [output.with_key(f"{above}{mirrored(each, kind)}") for each in found.inputs]
    else:
        outputs = [output for _ in found.inputs]
    for each in outputs:
        if isinstance(each, Url):
            _check(each, kind)
    check_pairs(found.files, outputs, kind, ", or end it with / for a directory")
    return list(zip(found.inputs, outputs, strict=True))


def _check(output: Url, kind: Kind | None) -> None:
    check_writable(output)
    if why := why_unusable(output, AROUND_OUTPUT):
        raise OutputRefused(
            f"{output} cannot be written, as its name has {why}", "choose another output"
        )
    if not Path(output.name).suffix and kind is None:
        raise UsageError(f"{output} has no extension", "end it with / for a directory")


def list_outputs(pairs: Sequence[Pair], output: Place | None, stores: Stores) -> dict[Url, Object]:
    """Return what lies where the outputs will be, by one listing instead of a question for each."""
    seen: dict[Url, Object] = {}
    # Only what was named as the outputs' place may be listed as a whole: it holds them alone.
    urls = [url for _, url in pairs if isinstance(url, Url)]
    for directory in [output] if isinstance(output, Url) else _tops(urls):
        seen |= {each.url: each for each in stores.of(directory).list(directory)}
    return seen


def _tops(urls: list[Url]) -> list[Url]:
    """Return the directories that hold all outputs, none of which lies in another."""
    parents = sorted({url.parent for url in urls}, key=lambda url: (url.host, url.key))
    tops: list[Url] = []
    for parent in parents:
        last = tops[-1] if tops else None
        if not (last and parent.host == last.host and parent.key.startswith(last.key)):
            tops.append(parent)
    return tops
