"""Which names are inputs, and which patterns mean them. Pure.

The rules are the same for the files of a directory and the objects of a bucket: our own products,
hidden names and unknown extensions are skipped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, reduce
from pathlib import Path, PurePath
from typing import Self

from scorer.errors import UsageError
from scorer.formats.foreign import FOREIGN
from scorer.formats.registry import format_of
from scorer.options import Kind
from scorer.store.found import UNKNOWN

_OURS = re.compile(
    r"\.scored(\.|$)|\.run\.json$|\.run\.failed\.json$|\.rejects\.ndjson$|\.tweetscore(\.lock|\.tmp)?$",
    re.IGNORECASE,
)
_WILDCARD = re.compile(r"[*?[]")

# Why something that lies there is no input, as the summary counts it.
OURS = "written by tweetscore"
OTHER = "of another format"  # than the one that was asked for
OF_TABLES = {None, "parquet"}  # what is asked for where the files of a table are
_HIDDEN = "hidden"

_Pattern = tuple[str, ...]  # a segment for each level; `**` stands for any number of them


@dataclass(frozen=True, slots=True)
class Patterns:
    """What is asked for in one directory."""

    each: frozenset[_Pattern]

    @classmethod
    def of(cls, *patterns: _Pattern) -> Self:
        """Return these, and what follows a `**`, which stands for no level too."""
        later = [pattern[1:] for pattern in patterns if pattern[0] == "**"]
        return cls(frozenset(patterns) | (cls.of(*later).each if later else frozenset()))

    @lru_cache(maxsize=1 << 12)  # noqa: B019 - a pattern is a small value, and names come again
    def inside(self, name: str) -> "Patterns":
        """Return what is asked for in a directory below; nothing where no pattern means it."""
        meant = [
            (head, *rest) if head == "**" else tuple(rest) or ("**", "*")
            for head, *rest in self.each
            if fnmatchcase(name, head) and not _unwanted(name, head, directory=True)
        ]
        return Patterns.of(*meant)

    def why_not(self, name: str, kind: Kind | None, other: str = "") -> str | None:
        """Return why an entry is no input: nothing if it is one, None if no pattern means it.

        Args:
            name: The entry's.
            kind: The format that was asked for; then an extension that says nothing is no reason.
            other: A reason that weighs more than the extension.
        """
        meant = [head for head, *rest in self.each if not rest and fnmatchcase(name, head)]
        whys = (_unwanted(name, head) or other or _wrong_format(name, head, kind) for head in meant)
        return min(whys, default=None)  # one pattern that finds nothing wrong is enough

    @property
    def mean_all(self) -> bool:
        """Whether all that lies in the directory is asked for."""
        return _ALL in self.each

    def mean_file(self, path: PurePath) -> bool:
        """Tell whether a file that a table names is asked for, by its path in the directory.

        Where all is, its name does not matter.
        """
        below = reduce(Patterns.inside, path.parent.parts, self)
        return self.mean_all or below.why_not(path.name, None) == ""


_ALL = ("**", "*")
ALL = Patterns.of(_ALL)  # what a directory stands for


def split(parts: Sequence[str]) -> tuple[Sequence[str], Patterns] | None:
    """Return the parts of a path before its first wildcard, and what is asked for there, if any."""
    first = next((n for n, part in enumerate(parts) if _WILDCARD.search(part)), None)
    if first is None:
        return None
    pattern = tuple(parts[first:])
    return parts[:first], Patterns.of((*pattern, "*") if pattern[-1] == "**" else pattern)


def _unwanted(name: str, asked: str, *, directory: bool = False) -> str:
    # As Hive, Spark and Arrow have it, `_temporary` and `_SUCCESS` are no data, `_day=3` is.
    hidden = name[0] == "." or (name[0] == "_" and "=" not in name)
    if is_ours(name) and (hidden or not directory):
        return OURS
    return _HIDDEN if hidden and asked[0] != name[0] else ""


def _wrong_format(name: str, asked: str, kind: Kind | None) -> str:
    try:
        found = format_of(Path(name))
    except UsageError:
        if kind is None:
            return UNKNOWN
        says_other = Path(name).suffix.lower() in FOREIGN
    else:
        says_other = kind not in {None, found.kind}
    return OTHER if says_other and asked.endswith("*") else ""


def is_ours(name: str) -> bool:
    """Tell whether a name is one that we give to what we write."""
    return bool(_OURS.search(name))


def is_within_ours(parts: Sequence[str]) -> bool:
    """Tell whether a path leads into a directory that we keep beside outputs."""
    return any(_unwanted(part, part, directory=True) == OURS for part in parts if part)
