"""Tells which regular expressions of a tokenizer cannot take more than linear time.

Tokenizers search with Oniguruma, which backtracks: `(a+)+$` takes exponential time, `\\s+$`
quadratic. So an expression is read only if it is on a list, or if each of its alternatives can
fail in its bounded part alone:

1. it is a sequence of characters, classes and groups of literals, each with a greedy quantifier or
   none: no anchors, no looking around, no references;
2. once it has passed its first unbounded run, it can no longer fail: all that follows may be left
   out, so nothing is ever given back;
3. before that, there are few ways to match (`MAX_WAYS`) and short ones (`_MAX_COUNT`);
4. it matches one character at least.

Of alternatives with these properties each costs a constant, or what it consumes. The tails for
white space that GPT-2 and Llama 3 have are the exception: they give back, but their last
alternative consumes what was given back.
"""

import re
from itertools import takewhile
from typing import NamedTuple

_MAX_PATTERN = 1_024  # letters
_MAX_COUNT = 16  # in braces
_MAX_WAYS = 64
_UNBOUNDED = -1
_TAILS = (r"|\s*[\r\n]+|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s+")

_MARKED = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# Looked at one by one. GPT-4o's first alternative may give back a whole run of capitals, which its
# second one then consumes. BLOOM's is an optional blank and a run, but with a class in a class.
_REVIEWED = frozenset(
    {
        rf"{_MARKED}{_UPPER}*{_LOWER}+{suffix}|{_MARKED}{_UPPER}+{_LOWER}*{suffix}"
        rf"|\p{{N}}{count}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_TAILS[0]}"
        for suffix, count in ((_SUFFIX, "{1,3}"), ("", ""))
    }
    | {r" ?[^(\s|[.,!?…。，、।۔،])]+"}  # noqa: RUF001 - the stops of many scripts
)

_ESCAPE = r"\\(?:[sSdDwWrnt]|[pP]\{\^?[A-Za-z_]{1,32}\}|[-.^$|?*+()\[\]{}\\/])"
_CLASS = rf"\[\^?(?:{_ESCAPE}|(?!&&)[^\\\[\]])+\]"
_LITERALS = r"[^\\^$.|?*+()\[\]{}]{1,32}"
_GROUP = rf"\((?:\?i?:)?{_LITERALS}(?:\|{_LITERALS}){{0,31}}\)"
_ATOM = rf"(?P<group>{_GROUP})|{_CLASS}|{_ESCAPE}|\.|[^\\^$.|?*+()\[\]{{}}]"
_COUNT = r"(?P<sign>[?*+])|\{(?P<least>\d{1,2})(?P<comma>,(?P<most>\d{1,2})?)?\}"
# A second quantifier would be lazy, possessive or nested.
_ELEMENT = re.compile(rf"(?:{_ATOM})(?:{_COUNT})?(?![?*+{{])")


class _Element(NamedTuple):
    """How often a part of an alternative matches."""

    least: int
    most: int  # or _UNBOUNDED


def is_bounded(pattern: str) -> bool:
    """Tell whether searching for a regular expression takes linear time, whatever the text."""
    pattern = pattern.replace("\r", r"\r").replace("\n", r"\n")  # as most files write them
    if pattern in _REVIEWED:
        return True
    if len(pattern) > _MAX_PATTERN:
        return False
    tail = next((tail for tail in _TAILS if pattern.endswith(tail)), "")
    alternatives = _alternatives(pattern.removesuffix(tail))
    return alternatives is not None and all(_fails_early(parts) for parts in alternatives)


def _alternatives(pattern: str) -> list[list[_Element]] | None:
    """Parse a pattern; None where something in it is not of the kinds above."""
    result: list[list[_Element]] = [[]]
    place = 0
    while place < len(pattern):
        if pattern[place] == "|":
            result.append([])
            place += 1
            continue
        found = _ELEMENT.match(pattern, place)
        if found is None or (found["group"] and (found["least"] or found["sign"] in ("*", "+"))):
            return None
        result[-1].append(_counted(found))
        place = found.end()
    return result


def _counted(found: re.Match[str]) -> _Element:
    if found["sign"]:
        least, most = {"?": (0, 1), "*": (0, _UNBOUNDED), "+": (1, _UNBOUNDED)}[found["sign"]]
        return _Element(least, most)
    least = int(found["least"] or 1)
    if found["comma"] and not found["most"]:
        return _Element(least, _UNBOUNDED)
    return _Element(least, int(found["most"] or least))


def _fails_early(parts: list[_Element]) -> bool:
    """Tell whether an alternative can fail in a bounded part alone, and matches something."""
    if any(max(part.least, part.most) > _MAX_COUNT for part in parts):
        return False
    bounded = list(takewhile(lambda part: part.most != _UNBOUNDED, parts))
    run, behind = parts[len(bounded) : len(bounded) + 1], parts[len(bounded) + 1 :]
    must = [place for place, part in enumerate([*bounded, *run]) if part.least]
    if not must or any(part.least for part in behind):
        return False
    ways = 1
    for part in bounded[: must[-1]]:
        ways *= part.most - part.least + 1
    return ways <= _MAX_WAYS
