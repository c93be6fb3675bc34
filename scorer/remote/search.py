"""The stores of a run; which files and objects its INPUTs mean, and which output each has.

The rules are those of local files (`scorer.store.patterns`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import takewhile
from pathlib import Path, PurePosixPath

from scorer.errors import InputMissing, TweetscoreError
from scorer.options import Kind
from scorer.remote.faults import unusable
from scorer.remote.object_tables import LiveObjects, is_below, live_objects, roots_in, table_around
from scorer.remote.stores import Stores
from scorer.remote.urls import HUB, STORES, Object, Url, beside, why_unusable
from scorer.store.directories import Searched, above_partitions, mirror_parts
from scorer.store.found import Found, Input, LakeTable, nothing_found
from scorer.store.inputs import find_inputs
from scorer.store.paths import EarlierPlaces, default_output, report_path
from scorer.store.patterns import (
    ALL,
    OF_TABLES,
    OTHER,
    OURS,
    Patterns,
    is_ours,
    is_within_ours,
    split,
)

Place = Path | Url
Pair = tuple[Input[Place], Place]
Result = tuple[Searched[Url], list[Object], list[LiveObjects]]

_UNUSABLE = "of unusable name"
_FEW = 3  # of them that a warning names


@dataclass(frozen=True, slots=True)
class ListedObject(Input[Url]):
    """An object to score, and what its store said of it."""

    seen: Object


def find(
    arguments: Sequence[Place],
    stores: Stores,
    kind: Kind | None = None,
    is_unfinished: Callable[[Url], bool] = lambda _: False,
) -> Found[Place]:
    """Return the files and objects that a call means; objects are listed, none is fetched.

    Args:
        arguments: As they were named.
        stores: Where objects are.
        kind: The inputs' format, whatever their extensions say.
        is_unfinished: Tells of an output whether a run has begun it and not come to its end.

    Raises:
        InputMissing: Looking led to nothing, or there is no such bucket or object.
    """
    paths = [each for each in arguments if isinstance(each, Path)]
    local = find_inputs(paths, kind) if paths else Found((), several=False)
    search = _Search(stores, kind, is_unfinished)
    found = [each for url in arguments if isinstance(url, Url) for each in search.find(url)]
    top = _common([where.place for where, _, _ in found])
    objects = [
        ListedObject(each.url, _relative(each.url, top), _in_mirror(each.url, where), each)
        for where, some, _ in found
        for each in some
    ]
    inputs: tuple[Input[Place], ...] = (*local.inputs, *objects)
    passed_over = search.passed_over + Counter(dict(local.passed_over))
    unreadable: tuple[tuple[Place, TweetscoreError], ...]
    unreadable = (*local.unreadable, *search.unreadable)
    tables: tuple[LakeTable[Place], ...] = (*local.tables, *_with_places(found, top))
    if not inputs and not tables and (not unreadable or len(arguments) == 1):
        known = [error for _, error in unreadable] + [unusable(*each) for each in search.unusable]
        raise known[0] if known else nothing_found(arguments, passed_over)
    return Found(
        inputs,
        len(arguments) > 1 or search.several or local.several,
        local.ours,
        unreadable,
        tuple(sorted(passed_over.items())),
        (*local.warnings, *search.warnings()),
        (*local.searched, *search.searched),
        tables,
    )


def _with_places(found: Sequence[Result], top: Url | None) -> Iterator[LakeTable[Url]]:
    for where, _, tables in found:
        for each in tables:
            below, mirror = _relative(each.place, top), _in_mirror(each.place, where)
            yield LakeTable(each.place, each.version, each.whole, each.live, below, mirror)


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

    def __init__(
        self, stores: Stores, kind: Kind | None, is_unfinished: Callable[[Url], bool]
    ) -> None:
        self._kind = kind
        self._is_unfinished = is_unfinished
        self.several = False
        self.passed_over: Counter[str] = Counter()
        self.unreadable: list[tuple[Url, TweetscoreError]] = []
        self._stores = stores
        self.unusable: list[tuple[Url, str]] = []  # the first few names, and why
        self.searched: list[Searched[Url]] = []
        self._ours: set[Url] = set()  # with a name of ours

    def find(self, url: Url) -> Iterator[Result]:
        """Yield the directory that was looked into, the objects to score, and the tables there.

        A name that leads nowhere is remembered: the others may be scored.
        """
        try:
            yield self._find(url)
        except InputMissing as error:
            self.unreadable.append((url, error))

    def _find(self, url: Url) -> Result:
        if is_within_ours(url.key.split("/")):
            raise nothing_found([url], {OURS: 1})
        store = self._stores.of(url)
        pattern = _pattern(url)
        if not pattern and not url.is_directory:
            if why := why_unusable(url):
                raise unusable(url, why)
            if there := store.head(url):
                return Searched(url.parent, url.parent), [there], []
            if url.scheme not in STORES | {HUB}:
                raise InputMissing(f"{url} does not exist", "check the name")
        base, patterns = pattern or (url if url.is_directory else url.with_key(f"{url.key}/"), ALL)
        listed = {each.url.key: each for each in store.list(base)}
        before = self.passed_over.total()
        tables, roots = self._tables(base, patterns, listed)
        objects = [
            each
            for key, each in listed.items()
            if not is_below(key, roots) and self._is_wanted(each, base, patterns)
        ]
        nothing = not (objects or roots) and self.passed_over.total() == before
        if not pattern and nothing:
            raise InputMissing(f"{url} does not exist", "check the name")
        self.several = True
        objects += [each for table in tables for each in table.wanted]
        where = self._described(base, objects, tables) if not pattern else Searched(base, base)
        self.searched.append(where)
        return where, sorted(objects, key=lambda each: each.url.key), tables

    def _tables(
        self, base: Url, patterns: Patterns, listed: Mapping[str, Object]
    ) -> tuple[list[LiveObjects], list[str]]:
        """Return the Delta tables below a directory, or around it, and the keys of all tables."""
        around = table_around(base, self._stores)
        tables = {base.with_key(key): kind for key, kind in roots_in(base, listed).items()}
        tables = {around[0]: around[1]} if around else tables
        found = []
        if self._kind not in OF_TABLES:
            self.passed_over.update({OTHER: len(tables)})
            return [], [root.key for root in tables]
        for table in tables.items():
            try:
                live = live_objects(base, table, patterns, listed, self._stores)
            except TweetscoreError as error:
                self.unreadable.append((table[0], error))
                continue
            if live:
                found.append(live)
                self.unreadable += live.unreadable
        return found, [root.key for root in tables]

    def _described(
        self, directory: Url, found: Sequence[Object], tables: Sequence[LiveObjects]
    ) -> Searched[Url]:
        """Return a directory that was searched; what was found decides where its outputs go."""
        parts = mirror_parts([part for part in directory.key.split("/") if part])
        mirror = directory.with_key("/".join((*parts, ""))) if parts else None
        outputs = (default_output(each.url, self._kind) for each in found)
        continued = not tables and any(
            (each in self._ours and self._has_report(each)) or self._is_unfinished(each)
            for each in outputs
        )
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
