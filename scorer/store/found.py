"""What a call's arguments lead to: inputs, the directories searched for them, tables in these."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic

from scorer import hints
from scorer.errors import InputMissing, TweetscoreError
from scorer.formats.foreign import found_there
from scorer.formats.registry import SUPPORTED
from scorer.store.directories import P_co, Searched

UNKNOWN = "of unknown extension"  # why something that lies there is no input


@dataclass(frozen=True, slots=True)
class Input(Generic[P_co]):
    """One file or object to score."""

    place: P_co
    # Below the nearest directory that holds all that was named with it: outputs mirror this path.
    below: PurePosixPath
    # Where -o names no place, the output lies beside this: in DIR.scored/, or the input itself.
    mirror: P_co


@dataclass(frozen=True, slots=True)
class LakeTable(Generic[P_co]):
    """A Delta table, or a directory of one, that was searched."""

    place: P_co
    version: int  # the latest when it was found
    whole: bool  # whether all of its live files are inputs
    live: frozenset[str]  # the absolute paths, or the URLs, of those below the place
    below: PurePosixPath  # as for an `Input`
    mirror: P_co  # likewise


@dataclass(frozen=True, slots=True)
class Found(Generic[P_co]):
    """What a call's arguments lead to."""

    inputs: tuple[Input[P_co], ...]  # those of a directory or pattern in the order of their names
    several: bool  # whether more than one could have come of it: then -o is a directory
    ours: tuple[Path, ...] = ()  # named among others, but written by us
    unreadable: tuple[tuple[P_co, TweetscoreError], ...] = ()  # directories, or names of no format
    passed_over: tuple[tuple[str, int], ...] = ()  # why, and how many; what is ours goes without
    warnings: tuple[str, ...] = ()  # said before the first file
    searched: tuple[Searched[P_co], ...] = ()  # each directory, and where each pattern begins
    tables: tuple[LakeTable[P_co], ...] = ()  # in these directories

    @property
    def files(self) -> tuple[P_co, ...]:
        """Where the inputs are."""
        return tuple(each.place for each in self.inputs)


Inputs = Found[Path]


def table_versions(found: Found[P_co]) -> dict[str, int]:
    """Return the version of the Delta table that has a file, for each file in a table."""
    return {path: table.version for table in found.tables for path in table.live}


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
