"""The error for more rejects than are allowed, with a remedy found in the file."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.errors import DataError, TweetscoreError
from scorer.formats.base import Source
from scorer.formats.registry import compression_of
from scorer.formats.text.compression import read_blocks
from scorer.formats.text.likely_encoding import conversion, is_taken, seen_in
from scorer.hints import options as as_typed
from scorer.records import Reject
from scorer.store.paths import rejects_path

if TYPE_CHECKING:
    from scorer.formats.csv import CsvSource

_OF_TEXT = {"csv", "tsv", "ndjson"}
_OF_CSV = {"csv", "tsv"}
_OF_QUOTES = {"open-quote", "text-after-quote"}
_WINDOW, _TRIED = 16_384, 32  # rows, and how many times so many another dialect is tried on


def too_many_rejects(
    source: Source, rejects: Sequence[Reject], count: int, output: Path, *, foreseen: bool = False
) -> DataError:
    """Return the error.

    Args:
        source: The input.
        rejects: The first of them, and others that were met near it.
        count: How many there are so far.
        output: The output that there would be.
        foreseen: A run would stop there, and has not.
    """
    first, log = rejects[0], rejects_path(output)
    so_far = "" if foreseen else " so far"
    records = f"1 record{so_far} is" if count == 1 else f"{count:,} records{so_far} are"
    problem = f"{records} no row of {source.path}, the first on line {first.line}: {first.reason}"
    mend = f"mend what {log} lists, or allow for it with --max-rejects"
    remedy = f"reading stopped there: {mend}"
    if foreseen:
        remedy = f"a run stops there, and lists what is to be mended in {log}"
    return (
        _about_encoding(source, rejects, problem, mend)
        or _about_quotes(source, rejects, problem)
        or _about_one_column(source, rejects, problem)
        or DataError(problem, remedy)
    )


def _about_quotes(source: Source, rejects: Sequence[Reject], problem: str) -> DataError | None:
    """Return the error for a file whose quotes mean something else; none if it would not help."""
    if source.format not in _OF_CSV or not any(each.kind in _OF_QUOTES for each in rejects):
        return None
    from scorer.formats.csv import CsvSource

    if not isinstance(source, CsvSource) or not source.dialect.quoting or source.dialect.escape:
        return None
    choices = [("quote", "none", "if quotes are data")]
    if any(b'\\"' in each.raw for each in rejects):
        choices.insert(0, ("escape", "backslash", "if a backslash makes a quote data"))
    for name, value, words in choices:
        if _is_sound(source, {name: value}):
            hint = {f"--{name}": value}
            problem = f"{problem}; {words}, all records are rows"
            return DataError(problem, f"did you mean {as_typed(hint)}?", hint)
    return None


def _about_one_column(source: Source, rejects: Sequence[Reject], problem: str) -> DataError | None:
    """Return the error for a list of texts whose commas are data; none if it would not help."""
    from scorer.formats.csv import CsvSource
    from scorer.formats.text.dialects import typed

    if not isinstance(source, CsvSource) or len(source.columns) > 1:
        return None
    if rejects[0].kind != "field-count":
        return None
    sign = chr(source.dialect.delimiter)
    for other in ("tab", "\\x1f"):
        if sign.encode() in rejects[0].raw and _is_sound(source, {"delimiter": other}):
            hint = {"--delimiter": other}
            words = f"if {typed(sign)} is part of the texts, all records are rows"
            return DataError(f"{problem}; {words}", f"did you mean {as_typed(hint)}?", hint)
    return None


def _is_sound(source: "CsvSource", changes: dict[str, str]) -> bool:
    """Tell whether another dialect makes rows of all records that are tried."""
    try:
        windows = source.read_with(**changes).windows(_WINDOW)
        return not any(window.rejects for window in islice(windows, _TRIED))
    except TweetscoreError:
        return False


def _about_encoding(
    source: Source, rejects: Sequence[Reject], problem: str, mend: str
) -> DataError | None:
    if source.format not in _OF_TEXT or source.encoding != "utf-8":
        return None
    lost = [reject.raw for reject in rejects if reject.kind == "encoding"]
    blocks = read_blocks(source.path, compression_of(source.path))
    seen = seen_in(blocks, lost) if lost else None
    if seen is None:
        return None
    if seen.mixed:
        return DataError(f"{problem}, though other lines are UTF-8", mend)
    if seen.codec is None:
        remedy = "find out how the file is encoded, and give that with --encoding"
        return DataError(f"{problem} and no encoding that is known here", remedy)
    problem = f"{problem} (it looks like {seen.codec}, not UTF-8)"
    if source.format not in _OF_CSV or not is_taken(seen.codec):
        return DataError(problem, f"convert it: {conversion(source.path, seen.codec)}")
    hint = {"--encoding": seen.codec}
    return DataError(problem, f"did you mean {as_typed(hint)}?", hint)
