"""Which files the INPUTs of a call mean: names, patterns, and what is found in directories.

A file that is named is taken as it stands. What is found by a search is taken if it can be an
input (`scorer.store.patterns`).
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scorer.errors import TweetscoreError
from scorer.formats.foreign import known_format
from scorer.lake.tables import Kind as TableKind
from scorer.options import Kind
from scorer.os_errors import exists, is_directory, reading
from scorer.store.commit import report_on
from scorer.store.directories import Searched, above_partitions, in_mirror, mirror_of, path_below
from scorer.store.found import UNKNOWN, Found, Input, Inputs, LakeTable, nothing_found
from scorer.store.local_tables import (
    LiveFiles,
    check_readable,
    kind_at,
    live_files,
    table_around,
    warnings_about,
)
from scorer.store.paths import default_output, earlier_state, state_directory
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

_LINK = "behind a link"  # why something is no input, as the summary counts it


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
    named_in: dict[str, None] = {}  # directories of files that are named, in their order
    tops: list[Path] = []
    for argument in arguments:
        if is_within_ours(argument.parts):
            ours.append(argument)
        elif (looked_up := _pattern(argument)) is not None:
            several = True
            tops.append(looked_up[0])
            search.search(*looked_up)
        elif len(arguments) > 1 and is_ours(argument.name):
            ours.append(argument)
        elif len(arguments) > 1 and (error := _unusable(argument, kind)):
            search.unreadable.append((argument, error))  # which keeps no other from its turn
        else:
            tops.append(argument.parent)
            search.files.append((argument, argument))
            named_in[os.path.abspath(argument.parent)] = None
    if not search.files and not search.unreadable and not search.tables:
        passed_over = search.passed_over + Counter({OURS: len(ours)})
        raise nothing_found(arguments, passed_over, search.unknown)
    common = Path(os.path.commonpath([os.path.abspath(each) for each in tops or arguments]))
    top = Path(*above_partitions(common.parts))
    return Found(
        tuple(Input(path, path_below(path, top), mirror) for path, mirror in search.files),
        several,
        tuple(ours),
        tuple(search.unreadable),
        tuple((why, n) for why, n in sorted(search.passed_over.items()) if why != OURS),
        tuple(warnings_about(named_in)),
        tuple(search.searched),
        tuple(
            LakeTable(at, live.version, live.whole, live.absolute, path_below(at, top), mirror)
            for at, live, mirror in search.tables
        ),
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
        self.searched: list[Searched[Path]] = []
        self.files: list[tuple[Path, Path]] = []  # each with its mirror
        self.tables: list[tuple[Path, LiveFiles, Path]] = []  # likewise
        self._tables: dict[Path, LiveFiles] = {}  # of the directory that is searched

    def search(self, base: Path, patterns: Patterns) -> None:
        """Look for what patterns mean below a directory."""
        self._tables = {}
        found = self._find(base, patterns)
        where = self._described(base, found) if patterns is ALL else Searched(base, base)
        self.searched.append(where)
        self.files += [(path, in_mirror(path, where)) for path in found]
        self.tables += [(at, live, in_mirror(at, where)) for at, live in self._tables.items()]

    def _described(self, directory: Path, found: Sequence[Path]) -> Searched[Path]:
        """Return a directory that was searched; what was found decides where its outputs go."""
        mirror = mirror_of(directory)
        outputs = (default_output(path, self._kind) for path in found)
        continued = (
            self.passed_over[OURS] > 0  # or it would be in vain to ask for each output
            and not self._tables  # a table's engine removes files of which its log knows nothing
            and not (mirror and exists(mirror))
            and any(
                report_on(each) or exists(state_directory(each)) or exists(earlier_state(each))
                for each in outputs
            )
        )
        return Searched(directory, mirror, continued)

    def _find(self, base: Path, patterns: Patterns) -> list[Path]:
        """Return what patterns mean below a directory; a directory that they mean, in full.

        Without recursion: directories may lie deeper than Python's stack goes.
        """
        found: dict[str, list[Path]] = {"": [], UNKNOWN: []}  # by why they are no input
        unread = [(base, patterns)]
        around = table_around(base)
        while unread:
            directory, patterns = unread.pop()
            kind = kind_at(directory)
            if table := (directory, kind) if kind else around:
                found[""] += self._live(directory, patterns, *table)
                continue
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

    def _live(self, directory: Path, patterns: Patterns, root: Path, kind: TableKind) -> list[Path]:
        """Return the live files of a table that patterns mean below a directory of it."""
        if self._kind not in OF_TABLES:
            self.passed_over[OTHER] += 1
            return []
        try:
            check_readable(root, kind)
            live = live_files(directory, root)
        except TweetscoreError as error:
            self.unreadable.append((directory, error))
            return []
        self.unreadable += live.missing
        lost = {path for path, _ in live.missing}
        self._tables[directory] = replace(live, whole=live.whole and patterns.mean_all)
        return [
            path
            for path in live.paths
            if path not in lost and patterns.mean_file(path.relative_to(directory))
        ]

    def _entries(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        """Yield what lies in a directory; one that cannot be read fails, but not the others."""
        try:
            with reading(directory), os.scandir(directory) as entries:
                yield from entries
        except TweetscoreError as error:
            if directory not in dict(self.unreadable):
                self.unreadable.append((directory, error))
