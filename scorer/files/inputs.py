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

from scorer import hints
from scorer.errors import InputMissing, TweetscoreError, UsageError
from scorer.files.foreign import FOREIGN, found_there, known_format
from scorer.files.formats import SUPPORTED, format_of
from scorer.files.storage import is_directory, reading
from scorer.run_options import Kind

OURS = re.compile(
    r"\.scored(\.|$)|\.run\.json$|\.run\.failed\.json$|\.rejects\.ndjson$|\.tweetscore(\.lock|\.tmp)?$",
    re.IGNORECASE,
)
_MAGIC = re.compile(r"[*?[]")
_PARTITION = re.compile(r"([^=]+)=.*")
_ALL = ("**", "*")  # the pattern that a directory stands for

# Why something that lies there is no input, as the summary counts it.
_UNKNOWN = "of unknown extension"
_OTHER = "of another format"  # than the one that was asked for
_HIDDEN = "hidden"
_LINK = "behind a link"
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
            base, segments = looked_up
            several = True
            tops.append(base)
            files.extend(search.find(base, segments))
        elif len(arguments) > 1 and OURS.search(argument.name):
            ours.append(argument)
        elif len(arguments) > 1 and (error := _unusable(argument, kind)):
            search.unreadable.append((argument, error))  # which keeps no other from its turn
        else:
            tops.append(argument.parent)
            files.append(argument)
    if not files and not search.unreadable:
        passed_over = search.passed_over + Counter({_OURS: len(ours)})
        raise nothing_found(arguments, passed_over, search.unknown)
    top = os.path.commonpath([os.path.abspath(each) for each in tops or arguments])
    return Inputs(
        tuple(files),
        _above_partitions(Path(top)),
        several,
        tuple(ours),
        tuple(search.unreadable),
        tuple((why, n) for why, n in sorted(search.passed_over.items()) if why != _OURS),
    )


def _unusable(path: Path, kind: Kind | None) -> TweetscoreError | None:
    """Return why a file that was named has no format."""
    try:
        known_format(path, kind)
    except TweetscoreError as error:
        return error
    return None


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
    if is_directory(argument):
        return argument, _ALL
    parts = argument.parts
    first = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), None)
    if first is None or os.path.lexists(argument):
        return None
    segments = parts[first:]
    return Path(*parts[:first]), (*segments, "*") if segments[-1] == "**" else segments


def _why_not(entry: os.DirEntry[str], asked: str, kind: Kind | None) -> str:
    """Return why what lies in a directory is no input; nothing if it is one, or may hold some."""
    name, is_real_directory = entry.name, entry.is_dir(follow_symlinks=False)
    # As Hive, Spark and Arrow have it, `_temporary` and `_SUCCESS` are no data, `_day=3` is.
    hidden = name[0] == "." or (name[0] == "_" and "=" not in name)
    if OURS.search(name) and (hidden or not is_real_directory):
        return _OURS
    if hidden and asked[0] != name[0]:
        return _HIDDEN
    if is_real_directory:
        return ""
    if is_directory(entry):
        return _LINK
    return why_not(name, asked, kind)


def why_not(name: str, asked: str, kind: Kind | None) -> str:
    """Return why a file's extension makes it no input; nothing where it does not.

    Args:
        name: The file's.
        asked: The pattern that it matches.
        kind: The format that was asked for; then an extension that says nothing is no reason.
    """
    try:
        found = format_of(Path(name))
    except UsageError:
        if kind is None:
            return _UNKNOWN
        says_other = Path(name).suffix.lower() in FOREIGN
    else:
        says_other = kind not in {None, found.kind}
    return _OTHER if says_other and asked.endswith("*") else ""


def nothing_found(
    arguments: Sequence[object],
    passed_over: Mapping[str, int],
    unknown: Sequence[Path] = (),
) -> InputMissing:
    """Return the error for a search that found nothing; it says what is there instead."""
    suffixes = Counter(map(_suffix, unknown))
    named = {_UNKNOWN} if unknown else set()  # by their suffixes
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


class _Search:
    """Looks into directories, and remembers what is no input and why."""

    def __init__(self, kind: Kind | None) -> None:
        self._kind = kind
        self.unknown: list[Path] = []  # of unknown extension
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
                path, why = directory / entry.name, _why_not(entry, head, self._kind)
                below = entry.is_dir(follow_symlinks=False)
                if head == "**":
                    steps += [(path, (head, *rest))] if below and not why else []
                elif not fnmatchcase(entry.name, head):
                    continue
                elif below and not why:
                    steps.append((path, tuple(rest) or _ALL))
                elif not rest:
                    found[path] = why
            asked += (step for step in steps if step not in seen)
            seen.update(steps)
        self.passed_over.update(why for why in found.values() if why)
        self.unknown += sorted(path for path, why in found.items() if why == _UNKNOWN)
        return sorted(path for path, why in found.items() if not why)

    def _entries(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        """Yield what lies in a directory; one that cannot be read fails, but not the others."""
        try:
            with reading(directory), os.scandir(directory) as entries:
                yield from entries
        except TweetscoreError as error:
            if directory not in dict(self.unreadable):
                self.unreadable.append((directory, error))
