"""Which files and objects the INPUTs of a call mean; the rules are those of local files."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath

from scorer.errors import InputMissing, TweetscoreError
from scorer.files.inputs import OURS, find_inputs, nothing_found, why_not
from scorer.remote.faults import unusable
from scorer.remote.store import Stores
from scorer.remote.urls import HUB, STORES, Object, Url, why_unusable
from scorer.run_options import Kind

Place = Path | Url

_MAGIC = re.compile(r"[*?[]")
_PARTITION = re.compile(r"[^=]+=.*")
_ALL = ("**", "*")  # the pattern that a directory stands for
_UNUSABLE = "of unusable name"
_FEW = 3  # names of that kind that are told


@dataclass(frozen=True, slots=True)
class Input:
    """One file or object to score.

    Attributes:
        place: Where it is.
        below: Its path below the nearest directory that holds all that was named with it.
        seen: What its store said of it; None for a file.
    """

    place: Place
    below: PurePosixPath
    seen: Object | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a call's arguments lead to, as `scorer.files.inputs.Inputs` for local files."""

    files: tuple[Input, ...]
    several: bool  # whether more than one could have come of it: then -o is a directory
    ours: tuple[Path, ...] = ()
    unreadable: tuple[tuple[Place, TweetscoreError], ...] = ()
    passed_over: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


def find(arguments: Sequence[Place], stores: Stores, kind: Kind | None = None) -> Found:
    """Return the files and objects that a call means; objects are listed, none is fetched.

    Raises:
        InputMissing: Looking led to nothing, or there is no such bucket or object.
    """
    paths = [each for each in arguments if isinstance(each, Path)]
    local = find_inputs(paths, kind) if paths else None
    search = _Search(stores, kind)
    found = [each for url in arguments if isinstance(url, Url) for each in search.look(url)]
    files = [Input(path, _below(path, local.top)) for path in local.files] if local else []
    top = _common([base for base, _ in found])
    for _, objects in found:
        files += [Input(each.url, _relative(each.url, top), each) for each in objects]
    passed_over = search.passed_over + Counter(dict(local.passed_over if local else ()))
    unreadable: tuple[tuple[Place, TweetscoreError], ...] = tuple(search.unreadable)
    unreadable = (*(local.unreadable if local else ()), *unreadable)
    if not files and (not unreadable or len(arguments) == 1):
        raise _nothing(arguments, unreadable, search.unusable, passed_over)
    return Found(
        tuple(files),
        len(arguments) > 1 or search.several or bool(local and local.several),
        local.ours if local else (),
        unreadable,
        tuple(sorted(passed_over.items())),
        search.warnings(),
    )


def _nothing(
    arguments: Sequence[Place],
    unreadable: Sequence[tuple[Place, TweetscoreError]],
    unusable_names: Sequence[tuple[Url, str]],
    passed_over: Counter[str],
) -> TweetscoreError:
    """Return the error that leads on, where there is nothing to score."""
    if unreadable:
        return unreadable[0][1]
    if unusable_names:
        return unusable(*unusable_names[0])
    return nothing_found(arguments, passed_over)


def _below(path: Path, top: Path) -> PurePosixPath:
    return PurePosixPath(Path(os.path.abspath(path)).relative_to(top))


def _common(bases: Sequence[Url]) -> Url | None:
    """Return the nearest directory of one bucket that holds all, above its partitions."""
    if not bases:
        return None
    if len({(each.scheme, each.host) for each in bases}) > 1:
        return None
    levels = zip(*(each.key.split("/")[:-1] for each in bases), strict=False)
    parts = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    while parts and _PARTITION.fullmatch(parts[-1]):
        parts = parts[:-1]
    return bases[0].with_key("".join(f"{part}/" for part in parts))


def _relative(url: Url, top: Url | None) -> PurePosixPath:
    """Return the path of an object below the top; from several buckets, all of its path."""
    above = url.parent.key.removeprefix(top.key if top else "").lstrip("/")
    return PurePosixPath(above, url.name)


class _Search:
    """Looks into buckets, and remembers what is no input and why."""

    def __init__(self, stores: Stores, kind: Kind | None) -> None:
        self._kind = kind
        self.several = False
        self.passed_over: Counter[str] = Counter()
        self.unreadable: list[tuple[Url, TweetscoreError]] = []
        self._stores = stores
        self.unusable: list[tuple[Url, str]] = []  # the first few names, and why

    def look(self, url: Url) -> Iterator[tuple[Url, list[Object]]]:
        """Yield the directory that was looked into, and the objects to score.

        A name that leads nowhere is remembered: the others may be scored.
        """
        try:
            yield self._look(url)
        except InputMissing as error:
            self.unreadable.append((url, error))

    def _look(self, url: Url) -> tuple[Url, list[Object]]:
        store = self._stores.of(url)
        pattern = _pattern(url)
        if not pattern and not url.is_directory:
            if why := why_unusable(url):
                raise unusable(url, why)
            if there := store.head(url):
                return url.parent, [there]
            if url.scheme not in STORES | {HUB}:
                raise InputMissing(f"{url} does not exist", "check the name")
        base, segments = pattern or (_directory(url), _ALL)
        before = self.passed_over.total()
        objects = [each for each in store.list(base) if self._is_asked(each, base, segments)]
        if not pattern and not objects and self.passed_over.total() == before:
            raise InputMissing(f"{url} does not exist", "check the name")
        self.several = True
        return base, sorted(objects, key=lambda each: each.url.key)

    def _is_asked(self, there: Object, base: Url, segments: tuple[str, ...]) -> bool:
        key = there.url.key
        if key.endswith("/") and not there.size:
            return False  # what a console writes in the place of a directory
        # With a letter in the place of what is no part of a path, a pattern finds its like.
        parts = ["x" if part in {"", ".", ".."} else part for part in _below_base(key, base)]
        if not _matches(parts, segments) or OURS.search(parts[-1]):
            return False
        why = _why_not(parts, segments, self._kind)
        if not why and (fault := why_unusable(there.url)):
            why = _UNUSABLE
            self.unusable += [(there.url, fault)] if self.passed_over[why] < _FEW else []
        if why:
            self.passed_over[why] += 1
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


def _below_base(key: str, base: Url) -> list[str]:
    return key.removeprefix(base.key).rstrip("/").split("/")


def _directory(url: Url) -> Url:
    return url if url.is_directory else url.with_key(f"{url.key}/")


def _pattern(url: Url) -> tuple[Url, tuple[str, ...]] | None:
    """Return where to look and for what; None where no part of the path is a pattern."""
    if url.scheme not in STORES | {HUB} or not _MAGIC.search(url.key):
        return None
    parts = url.key.rstrip("/").split("/")
    first = next(n for n, part in enumerate(parts) if _MAGIC.search(part))
    base = url.with_key("".join(f"{part}/" for part in parts[:first]))
    segments = tuple(parts[first:])
    return base, (*segments, "*") if segments[-1] == "**" else segments


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a pattern means an object, or a directory that it lies in."""
    head, *rest = pattern
    if head == "**":
        deeper = len(parts) > 1 and _is_visible(parts[0], "*") and _matches(parts[1:], pattern)
        return deeper or _matches(parts, rest)
    if not fnmatchcase(parts[0], head):
        return False
    if len(parts) == 1:
        return not rest
    return _is_visible(parts[0], head) and _matches(parts[1:], rest or _ALL)


def _is_visible(name: str, asked: str) -> bool:
    hidden = name[:1] == "." or (name[:1] == "_" and "=" not in name)
    return not hidden or asked[0] == name[0]


def _why_not(parts: Sequence[str], pattern: Sequence[str], kind: Kind | None = None) -> str:
    """Return why an object is no input, as the summary counts it; nothing if it is one."""
    if not _is_visible(parts[-1], pattern[-1]):
        return "hidden"
    return why_not(parts[-1], pattern[-1], kind)
