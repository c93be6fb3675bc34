"""Which files and objects the INPUTs of a call mean; the rules are those of local files."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath

from scorer.errors import InputMissing, TweetscoreError, UsageError
from scorer.files.formats import SUPPORTED, format_of
from scorer.files.inputs import OURS, find_inputs
from scorer.remote.store import Object, Stores
from scorer.remote.urls import HUB, STORES, Url

Place = Path | Url

_MAGIC = re.compile(r"[*?[]")
_PARTITION = re.compile(r"[^=]+=.*")
_ALL = ("**", "*")  # the pattern that a directory stands for


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
    unreadable: tuple[tuple[Path, TweetscoreError], ...] = ()
    passed_over: tuple[tuple[str, int], ...] = ()


def find(arguments: Sequence[Place], stores: Stores) -> Found:
    """Return the files and objects that a call means; objects are listed, none is fetched.

    Raises:
        InputMissing: Looking led to nothing, or there is no such bucket or object.
    """
    paths = [each for each in arguments if isinstance(each, Path)]
    local = find_inputs(paths) if paths else None
    search = _Search(stores)
    found = [search.look(each) for each in arguments if isinstance(each, Url)]
    files = [Input(path, _below(path, local.top)) for path in local.files] if local else []
    top = _common([base for base, _ in found])
    for _, objects in found:
        files += [Input(each.url, _relative(each.url, top), each) for each in objects]
    passed_over = search.passed_over + Counter(dict(local.passed_over if local else ()))
    if not files and not (local and local.unreadable):
        raise InputMissing(
            f"no file to score in {', '.join(map(str, arguments[:3]))}",
            f"check the names; supported are {SUPPORTED}",
        )
    return Found(
        tuple(files),
        len(arguments) > 1 or search.several or bool(local and local.several),
        local.ours if local else (),
        local.unreadable if local else (),
        tuple(sorted(passed_over.items())),
    )


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
    above = url.parent.key.removeprefix(top.key if top else "")
    return PurePosixPath(above, url.name)


class _Search:
    """Looks into buckets, and remembers what is no input and why."""

    def __init__(self, stores: Stores) -> None:
        self.several = False
        self.passed_over: Counter[str] = Counter()
        self._stores = stores

    def look(self, url: Url) -> tuple[Url, list[Object]]:
        """Return the directory that was looked into, and the objects to score."""
        store = self._stores.of(url)
        pattern = _pattern(url)
        if not pattern and not url.is_directory and (there := store.head(url)):
            return url.parent, [there]
        if url.scheme not in STORES | {HUB} and not url.is_directory:
            raise InputMissing(f"{url} does not exist", "check the name")
        base, segments = pattern or (_directory(url), _ALL)
        objects = [each for each in store.list(base) if self._is_asked(each, base, segments)]
        if not pattern and not objects and not self.passed_over:
            raise InputMissing(f"{url} does not exist", "check the name")
        self.several = True
        return base, sorted(objects, key=lambda each: each.url.key)

    def _is_asked(self, there: Object, base: Url, segments: tuple[str, ...]) -> bool:
        parts = there.url.key.removeprefix(base.key).split("/")
        if not _matches(parts, segments) or OURS.search(parts[-1]):
            return False
        if why := _why_not(parts, segments):
            self.passed_over[why] += 1
        return not why


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


def _why_not(parts: Sequence[str], pattern: Sequence[str]) -> str:
    """Return why an object is no input, as the summary counts it; nothing if it is one."""
    if not {"", ".", ".."}.isdisjoint(parts):
        return "of unusable name"  # it would be mirrored outside of the output's directory
    if not _is_visible(parts[-1], pattern[-1]):
        return "hidden"
    try:
        format_of(Path(parts[-1]))
    except UsageError:
        return "of unknown extension"
    return ""
