"""What the INPUTs of a call stand for: files, and what lies in directories or matches patterns.

A file that is named is taken as it stands. What is found by looking is taken if it can be an
input: our own products, hidden names and unknown extensions are passed over.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from scorer.errors import InputMissing, TweetscoreError, UsageError
from scorer.files.formats import SUPPORTED, format_of
from scorer.files.storage import reading

OURS = re.compile(
    r"\.scored\.|\.run\.json$|\.run\.failed\.json$|\.rejects\.ndjson$|\.tweetscore(\.lock|\.tmp)?$",
    re.IGNORECASE,
)
_MAGIC = re.compile(r"[*?[]")
_PARTITION = re.compile(r"([^=]+)=.*")
_ALL = ("**", "*")  # the pattern that a directory stands for

# Why something that lies there is no input, as the summary counts it.
_UNKNOWN = "of unknown extension"
_HIDDEN = "hidden"
_LINK = "linked directories"
_OURS = "written by tweetscore"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a call's arguments lead to."""

    files: tuple[Path, ...]  # those of a directory or pattern in the order of their names
    top: Path  # absolute: outputs that go elsewhere mirror the paths below it
    several: bool  # whether more than one file could have come of it: then -o is a directory
    ours: tuple[Path, ...] = ()  # named among others, but written by us
    unreadable: tuple[tuple[Path, TweetscoreError], ...] = ()  # directories
    passed_over: tuple[tuple[str, int], ...] = ()  # why, and how many; what is ours goes without
    warnings: tuple[str, ...] = ()  # said before the first file


def find_inputs(arguments: Sequence[Path]) -> Inputs:
    """Return the files that a call means.

    A directory stands for all that lies below it, a pattern for what it matches: `*`, `?`, `[...]`
    within a name, `**` for any number of directories. Links to directories are not followed,
    unless they are named, so that nothing is found twice and nothing is endless.

    Raises:
        InputMissing: Looking led to no file, and to no error either.
    """
    search = _Search()
    several = len(arguments) > 1
    ours: list[Path] = []
    tops: list[Path] = []
    files: list[Path] = []
    for argument in arguments:
        if (looked_up := _pattern(argument)) is not None:
            base, segments = looked_up
            several = True
            tops.append(base)
            files.extend(search.find(base, segments))
        elif len(arguments) > 1 and OURS.search(argument.name):
            ours.append(argument)
        else:
            tops.append(argument.parent)
            files.append(argument)
    if not files and not search.unreadable:
        raise nothing_found(arguments, search.passed_over + Counter({_OURS: len(ours)}))
    top = os.path.commonpath([os.path.abspath(each) for each in tops])
    return Inputs(
        tuple(files),
        _above_partitions(Path(top)),
        several,
        tuple(ours),
        tuple(search.unreadable),
        tuple((why, n) for why, n in sorted(search.passed_over.items()) if why != _OURS),
    )


def partition_keys(path: Path) -> tuple[str, ...]:
    """Return the columns that a file's directories are named after: year=2026/month=11."""
    keys: list[str] = []
    directory = path.absolute().parent
    while match := _PARTITION.fullmatch(directory.name):
        keys.append(match[1])
        directory = directory.parent
    return tuple(reversed(keys))


def _above_partitions(top: Path) -> Path:
    """Return the root of a partitioned table: a reader finds the columns of paths below it."""
    while _PARTITION.fullmatch(top.name):
        top = top.parent
    return top


def _pattern(argument: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Return where to look and for what; None for a file, which a name with a `*` may be too."""
    if _is_directory(argument):
        return argument, _ALL
    parts = argument.parts
    first = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), None)
    if first is None or os.path.lexists(argument):
        return None
    segments = parts[first:]
    return Path(*parts[:first]), (*segments, "*") if segments[-1] == "**" else segments


def _is_directory(path: os.PathLike[str]) -> bool:
    """Tell whether a path leads to a directory; no, where that cannot be seen."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises below a closed directory


def _why_not(entry: os.DirEntry[str], asked: str) -> str:
    """Return why what lies in a directory is no input; nothing if it is one, or may hold some."""
    name, is_directory = entry.name, entry.is_dir(follow_symlinks=False)
    # As Hive, Spark and Arrow have it, `_temporary` and `_SUCCESS` are no data, `_day=3` is.
    hidden = name[0] == "." or (name[0] == "_" and "=" not in name)
    if OURS.search(name) and (hidden or not is_directory):
        return _OURS
    if hidden and asked[0] != name[0]:
        return _HIDDEN
    if is_directory:
        return ""
    if _is_directory(entry):
        return _LINK
    try:
        format_of(Path(name))
    except UsageError:
        return _UNKNOWN
    return ""


def nothing_found(arguments: Sequence[object], passed_over: Mapping[str, int]) -> InputMissing:
    """Return the error for arguments that lead to nothing, with what was passed over."""
    passed = [f"{count:,} {why}" for why, count in sorted(passed_over.items()) if count]
    where = ", ".join(map(str, arguments[:3])) + (" and others" if len(arguments) > 3 else "")
    return InputMissing(
        f"no file to score in {where}" + (f" ({', '.join(passed)})" if passed else ""),
        f"check the names; supported are {SUPPORTED}",
    )


class _Search:
    """Looks into directories, and remembers what is no input and why."""

    def __init__(self) -> None:
        self.unreadable: list[tuple[Path, TweetscoreError]] = []
        self.passed_over: Counter[str] = Counter()

    def find(self, base: Path, segments: tuple[str, ...]) -> list[Path]:
        """Return what a pattern matches below a directory; a directory that it matches, in full.

        Without recursion: directories may lie deeper than Python's stack goes.
        """
        found: dict[Path, str] = {}  # and why it is no input, if it is none
        asked = [(base, segments)]
        seen = set(asked)
        while asked:
            directory, (head, *rest) = asked.pop()
            steps = [(directory, tuple(rest))] if head == "**" else []
            for entry in self._entries(directory):
                path, why = directory / entry.name, _why_not(entry, head)
                is_directory = entry.is_dir(follow_symlinks=False)
                if head == "**":
                    steps += [(path, (head, *rest))] if is_directory and not why else []
                elif not fnmatchcase(entry.name, head):
                    continue
                elif is_directory and not why:
                    steps.append((path, tuple(rest) or _ALL))
                elif not rest:
                    found[path] = why
            asked += (step for step in steps if step not in seen)
            seen.update(steps)
        self.passed_over.update(why for why in found.values() if why)
        return sorted(path for path, why in found.items() if not why)

    def _entries(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        """Yield what lies in a directory; one that cannot be read fails, but not the others."""
        try:
            with reading(directory), os.scandir(directory) as entries:
                yield from entries
        except TweetscoreError as error:
            if directory not in dict(self.unreadable):
                self.unreadable.append((directory, error))
