"""The stores of a run; which files and objects its INPUTs mean, and which output each has.

The rules are those of local files (`scorer.store.inputs`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from scorer.errors import InputMissing, OutputRefused, TweetscoreError, UsageError
from scorer.hints import needed
from scorer.options import Kind
from scorer.remote.faults import unusable
from scorer.remote.urls import AROUND_OUTPUT, HUB, STORES, Object, Url, beside, why_unusable
from scorer.store.directories import Searched, above_partitions, mirror_parts
from scorer.store.found import Found, Input, nothing_found
from scorer.store.inputs import (
    ALL,
    OURS,
    Patterns,
    find_inputs,
    is_ours,
    is_within_ours,
    split,
)
from scorer.store.output_plan import check_pairs, mirrored, outputs_of
from scorer.store.paths import EarlierPlaces, default_output, report_path

if TYPE_CHECKING:
    from scorer.remote.hub import HubStore
    from scorer.remote.objects import ObjectStore
    from scorer.remote.web import WebStore

Place = Path | Url
Pair = tuple[Input[Place], Place]

_UNUSABLE = "of unusable name"
_FEW = 3  # of them that a warning names


class Stores:
    """The places of one run: each is opened once."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], ObjectStore | HubStore | WebStore] = {}

    def of(self, url: Url) -> "ObjectStore | HubStore | WebStore":
        """Return the place of an object; each library is loaded where it is needed."""
        place = url.scheme, url.host
        if place not in self._open:
            self._open[place] = _opened(Url(*place, ""))
        return self._open[place]

    def writable(self, url: Url) -> "ObjectStore":
        """Return the place of an output; UsageError if it can only be read."""
        check_writable(url)
        return cast("ObjectStore", self.of(url))


def check_writable(url: Url) -> None:
    """Raise UsageError if an output cannot be there."""
    if url.scheme not in STORES:
        raise UsageError(
            f"{url.scheme}:// is for reading",
            "name an output with -o: a file, or s3://, gs://, az:// or abfs://",
        )


def _opened(place: Url) -> "ObjectStore | HubStore | WebStore":
    with needed("remote", f"{place.scheme}:// needs"):
        if place.scheme in STORES:
            from scorer.remote.objects import ObjectStore

            return ObjectStore(place)
        if place.scheme == HUB:
            from scorer.remote.hub import HubStore

            return HubStore()
    from scorer.remote.web import WebStore

    return WebStore()


@dataclass(frozen=True, slots=True)
class ListedObject(Input[Url]):
    """An object to score, and what its store said of it."""

    seen: Object


def find(arguments: Sequence[Place], stores: Stores, kind: Kind | None = None) -> Found[Place]:
    """Return the files and objects that a call means; objects are listed, none is fetched.

    Raises:
        InputMissing: Looking led to nothing, or there is no such bucket or object.
    """
    paths = [each for each in arguments if isinstance(each, Path)]
    local = find_inputs(paths, kind) if paths else Found((), several=False)
    search = _Search(stores, kind)
    found = [each for url in arguments if isinstance(url, Url) for each in search.find(url)]
    top = _common([where.place for where, _ in found])
    objects = [
        ListedObject(each.url, _relative(each.url, top), _in_mirror(each.url, where), each)
        for where, some in found
        for each in some
    ]
    inputs: tuple[Input[Place], ...] = (*local.inputs, *objects)
    passed_over = search.passed_over + Counter(dict(local.passed_over))
    unreadable: tuple[tuple[Place, TweetscoreError], ...]
    unreadable = (*local.unreadable, *search.unreadable)
    if not inputs and (not unreadable or len(arguments) == 1):
        known = [error for _, error in unreadable] + [unusable(*each) for each in search.unusable]
        raise known[0] if known else nothing_found(arguments, passed_over)
    return Found(
        inputs,
        len(arguments) > 1 or search.several or local.several,
        local.ours,
        unreadable,
        tuple(sorted(passed_over.items())),
        search.warnings(),
        (*local.searched, *search.searched),
    )


def _common(bases: Sequence[Url]) -> Url | None:
    """Return the nearest directory of one bucket that holds all, above its partitions."""
    if len({(each.scheme, each.host) for each in bases}) != 1:
        return None
    levels = zip(*(each.key.split("/")[:-1] for each in bases), strict=False)
    parts = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return bases[0].with_key("".join(f"{part}/" for part in above_partitions(parts)))


def _relative(url: Url, top: Url | None) -> PurePosixPath:
    """Return the path of an object below the top; from several buckets, all of its path."""
    above = url.parent.key.removeprefix(top.key if top else "").lstrip("/")
    return PurePosixPath(above, url.name)


def _in_mirror(url: Url, searched: Searched[Url]) -> Url:
    """Return where an object that was found would lie in the directory of the outputs."""
    if searched.outputs is None:
        return url
    return url.with_key(searched.outputs.key + url.key.removeprefix(searched.place.key))


class _Search:
    """Looks into buckets, and remembers what is no input and why."""

    def __init__(self, stores: Stores, kind: Kind | None) -> None:
        self._kind = kind
        self.several = False
        self.passed_over: Counter[str] = Counter()
        self.unreadable: list[tuple[Url, TweetscoreError]] = []
        self._stores = stores
        self.unusable: list[tuple[Url, str]] = []  # the first few names, and why
        self.searched: list[Searched[Url]] = []
        self._ours: set[Url] = set()  # with a name of ours

    def find(self, url: Url) -> Iterator[tuple[Searched[Url], list[Object]]]:
        """Yield the directory that was looked into, and the objects to score.

        A name that leads nowhere is remembered: the others may be scored.
        """
        try:
            yield self._find(url)
        except InputMissing as error:
            self.unreadable.append((url, error))

    def _find(self, url: Url) -> tuple[Searched[Url], list[Object]]:
        if is_within_ours(url.key.split("/")):
            raise nothing_found([url], {OURS: 1})
        store = self._stores.of(url)
        pattern = _pattern(url)
        if not pattern and not url.is_directory:
            if why := why_unusable(url):
                raise unusable(url, why)
            if there := store.head(url):
                return Searched(url.parent, url.parent), [there]
            if url.scheme not in STORES | {HUB}:
                raise InputMissing(f"{url} does not exist", "check the name")
        base, patterns = pattern or (url if url.is_directory else url.with_key(f"{url.key}/"), ALL)
        before = self.passed_over.total()
        objects = [each for each in store.list(base) if self._is_wanted(each, base, patterns)]
        if not pattern and not objects and self.passed_over.total() == before:
            raise InputMissing(f"{url} does not exist", "check the name")
        self.several = True
        where = Searched(base, base) if pattern else self._described(base, objects)
        self.searched.append(where)
        return where, sorted(objects, key=lambda each: each.url.key)

    def _described(self, directory: Url, found: Sequence[Object]) -> Searched[Url]:
        """Return a directory that was searched; what was found decides where its outputs go."""
        parts = mirror_parts([part for part in directory.key.split("/") if part])
        mirror = directory.with_key("/".join((*parts, ""))) if parts else None
        outputs = (default_output(each.url, self._kind) for each in found)
        continued = any(each in self._ours and self._has_report(each) for each in outputs)
        if continued and mirror is not None:
            continued = next(self._stores.of(mirror).list(mirror), None) is None
        return Searched(directory, mirror, continued)

    def _has_report(self, output: Url) -> bool:
        places = report_path, lambda path: EarlierPlaces.of(path).report
        return any(beside(output, place) in self._ours for place in places)

    def _is_wanted(self, there: Object, base: Url, patterns: Patterns) -> bool:
        key = there.url.key
        if key.endswith("/") and not there.size:
            return False  # what a console writes in the place of a directory
        # With a letter in the place of what is no part of a path, a pattern finds its like.
        parts = key.removeprefix(base.key).rstrip("/").split("/")
        *above, name = ["x" if part in {"", ".", ".."} else part for part in parts]
        why = reduce(Patterns.inside, above, patterns).why_not(name, self._kind)
        if is_ours(name):
            self._ours.add(there.url)
        if why is None or why == OURS:
            return False
        if not why and (fault := why_unusable(there.url)):
            why = _UNUSABLE
            self.unusable += [(there.url, fault)] if self.passed_over[why] < _FEW else []
        self.passed_over.update([why] if why else [])
        return not why

    def warnings(self) -> tuple[str, ...]:
        """Return the line that names what was passed over because of its name."""
        if not self.unusable:
            return ()
        more = self.passed_over[_UNUSABLE] - len(self.unusable)
        names = [f"{url} ({fault})" for url, fault in self.unusable]
        return (
            f"skipped, as the name cannot be used: {', '.join(names)}"
            + (f" and {more:,} more" if more else "")
            + "; copy it to another name to have it scored",
        )


def _pattern(url: Url) -> tuple[Url, Patterns] | None:
    """Return where to look and for what; None where no part of the path is a pattern."""
    found = split(url.key.rstrip("/").split("/")) if url.scheme in STORES | {HUB} else None
    return found and (url.with_key("".join(f"{part}/" for part in found[0])), found[1])


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
