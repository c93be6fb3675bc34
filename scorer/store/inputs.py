"""What the INPUTs of a call stand for: files, and what lies in directories or matches patterns.

A file that is named is taken as it stands. What is found by looking is taken if it can be an
input: our own products, hidden names and unknown extensions are passed over.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from scorer import hints
from scorer.errors import InputMissing, TweetscoreError
from scorer.formats.foreign import found_there, known_format
from scorer.formats.registry import SUPPORTED, Place
from scorer.options import Kind
from scorer.os_errors import is_directory, reading
from scorer.store.patterns import ALL, OURS, UNKNOWN, Patterns, above_partitions, is_ours, split

_LINK = "behind a link"  # why something is no input, beside what its name says

P_co = TypeVar("P_co", bound=Place, covariant=True)


@dataclass(frozen=True, slots=True)
class Input(Generic[P_co]):
    """One file or object to score."""

    place: P_co
    # Below the nearest directory that holds all that was named with it: outputs mirror this path.
    below: PurePosixPath


@dataclass(frozen=True, slots=True)
class Found(Generic[P_co]):
    """What a call's arguments lead to."""

    inputs: tuple[Input[P_co], ...]  # those of a directory or pattern in the order of their names
    several: bool  # whether more than one could have come of it: then -o is a directory
    ours: tuple[Path, ...] = ()  # named among others, but written by us
    unreadable: tuple[tuple[P_co, TweetscoreError], ...] = ()  # directories, or names of no format
    passed_over: tuple[tuple[str, int], ...] = ()  # why, and how many; what is ours goes without
    warnings: tuple[str, ...] = ()  # said before the first file

    @property
    def files(self) -> tuple[P_co, ...]:
        """Where the inputs are."""
        return tuple(each.place for each in self.inputs)


Inputs = Found[Path]


def find_inputs(arguments: Sequence[Path], kind: Kind | None = None) -> Inputs:
    """Return the files that a call means.

    A directory stands for all that lies below it, a pattern for what it matches: `*`, `?`, `[...]`
    within a name, `**` for any number of directories. Links to directories are not followed,
    unless they are named, so that nothing is found twice and nothing is endless.

    Args:
        arguments: As they were named.
        kind: The files' format, where it was asked for. Then the extensions that say nothing are
            taken too, and those of other formats are passed over, unless a pattern names them.

    Raises:
        InputMissing: Looking led to no file, and to no error either.
    """
    search = _Search(kind)
    several = len(arguments) > 1
    ours: list[Path] = []
    tops: list[Path] = []
    files: list[Path] = []
    for argument in arguments:
        if (looked_up := _pattern(argument)) is not None:
            base, patterns = looked_up
            several = True
            tops.append(base)
            files.extend(search.find(base, patterns))
        elif len(arguments) > 1 and is_ours(argument.name):
            ours.append(argument)
        elif len(arguments) > 1 and (error := _unusable(argument, kind)):
            search.unreadable.append((argument, error))  # which keeps no other from its turn
        else:
            tops.append(argument.parent)
            files.append(argument)
    if not files and not search.unreadable:
        passed_over = search.passed_over + Counter({OURS: len(ours)})
        raise nothing_found(arguments, passed_over, search.unknown)
    common = Path(os.path.commonpath([os.path.abspath(each) for each in tops or arguments]))
    top = Path(*above_partitions(common.parts))
    return Found(
        tuple(Input(path, PurePosixPath(os.path.relpath(path, top))) for path in files),
        several,
        tuple(ours),
        tuple(search.unreadable),
        tuple((why, n) for why, n in sorted(search.passed_over.items()) if why != OURS),
    )


def _pattern(argument: Path) -> tuple[Path, Patterns] | None:
    """Return where to look and for what; None for a file, which a name with a `*` may be too."""
    if is_directory(argument):
        return argument, ALL
    found = split(argument.parts)
    return None if found is None or os.path.lexists(argument) else (Path(*found[0]), found[1])


def _unusable(path: Path, kind: Kind | None) -> TweetscoreError | None:
    """Return why a file that was named has no format."""
    try:
        known_format(path, kind)
    except TweetscoreError as error:
        return error
    return None


class _Search:
    """Looks into directories, and remembers what is no input and why."""

    def __init__(self, kind: Kind | None) -> None:
        self._kind = kind
        self.unknown: list[Path] = []  # of unknown extension
        self.unreadable: list[tuple[Path, TweetscoreError]] = []
        self.passed_over: Counter[str] = Counter()

    def find(self, base: Path, patterns: Patterns) -> list[Path]:
        """Return what patterns mean below a directory; a directory that they mean, in full.

        Without recursion: directories may lie deeper than Python's stack goes.
        """
        found: dict[str, list[Path]] = {"": [], UNKNOWN: []}  # by why they are no input
        unread = [(base, patterns)]
        while unread:
            directory, patterns = unread.pop()
            for entry in self._entries(directory):
                path, name = directory / entry.name, entry.name
                if entry.is_dir(follow_symlinks=False) and (below := patterns.inside(name)).each:
                    unread.append((path, below))
                    continue
                link = _LINK if entry.is_symlink() and is_directory(entry) else ""
                why = patterns.why_not(name, self._kind, link)
                if why is not None:
                    self.passed_over.update([why] if why else [])
                    found.get(why, []).append(path)
        self.unknown += sorted(found[UNKNOWN])
        return sorted(found[""])

    def _entries(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        """Yield what lies in a directory; one that cannot be read fails, but not the others."""
        try:
            with reading(directory), os.scandir(directory) as entries:
                yield from entries
        except TweetscoreError as error:
            if directory not in dict(self.unreadable):
                self.unreadable.append((directory, error))


def nothing_found(
    arguments: Sequence[object],
    passed_over: Mapping[str, int],
    unknown: Sequence[Path] = (),
) -> InputMissing:
    """Return the error for a search that found nothing; it says what is there instead."""
    suffixes = Counter(map(_suffix, unknown))
    named = {UNKNOWN} if unknown else set()  # by their suffixes
    counts = Counter({why: n for why, n in passed_over.items() if why not in named}) + suffixes
    passed = [f"{count:,} {why}" for why, count in sorted(counts.items())]
    where = ", ".join(map(str, arguments[:3])) + (" and others" if len(arguments) > 3 else "")
    problem = f"no file to score in {where}" + (f" ({', '.join(passed)})" if passed else "")
    most = max(suffixes, key=lambda suffix: suffixes[suffix], default="")
    first = next((path for path in unknown if _suffix(path) == most), None)
    found = found_there(first) if first else None
    if found is None:
        return InputMissing(problem, f"check the names; supported are {SUPPORTED}")
    remedy = found.remedy
    if found.options:  # they hold for all that is like the first one
        names = " ".join(hints.path_word(str(argument)) for argument in arguments)
        remedy = f"try: tweetscore run {names} {hints.options(found.options)}"
    return InputMissing(f"{problem}: {found.problem}", remedy)


def _suffix(path: Path) -> str:
    return path.suffix.lower() or "without an extension"
