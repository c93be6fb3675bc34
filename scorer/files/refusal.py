"""More records than are allowed are no rows: the error says what to do about it."""

from collections.abc import Sequence
from pathlib import Path

from scorer.errors import DataError
from scorer.files.compression import read_blocks
from scorer.files.encoding_hint import conversion, is_taken, seen_in
from scorer.files.formats import format_of
from scorer.files.source import Source
from scorer.hints import options as as_typed
from scorer.records import Reject

_OF_TEXT = {"csv", "tsv", "ndjson"}
_OF_CSV = {"csv", "tsv"}


def too_many_rejects(
    source: Source, rejects: Sequence[Reject], count: int, log: Path, *, foreseen: bool = False
) -> DataError:
    """Return the error.

    Args:
        source: The input.
        rejects: The first of them, and others that were met near it.
        count: How many there are so far.
        log: The file that lists them.
        foreseen: A run would stop there, and has not.
    """
    first = rejects[0]
    so_far = "" if foreseen else " so far"
    records = f"1 record{so_far} is" if count == 1 else f"{count:,} records{so_far} are"
    problem = f"{records} no row of {source.path}, the first on line {first.line}: {first.reason}"
    mend = f"mend what {log} lists, or allow for it with --max-rejects"
    remedy = f"reading stopped there: {mend}"
    if foreseen:
        remedy = f"a run stops there, and lists what is to be mended in {log}"
    return _about_encoding(source, rejects, problem, mend) or DataError(problem, remedy)


def _about_encoding(
    source: Source, rejects: Sequence[Reject], problem: str, mend: str
) -> DataError | None:
    lost = [reject.raw for reject in rejects if reject.kind == "encoding"]
    if not lost or source.format not in _OF_TEXT or source.encoding != "utf-8":
        return None
    seen = seen_in(read_blocks(source.path, format_of(source.path).compression), lost)
    if seen is None:
        return None
    if seen.mixed:
        return DataError(f"{problem}, though other lines are UTF-8", mend)
    if seen.codec is None:
        remedy = "find out how the file is encoded, and give that with --encoding"
        return DataError(f"{problem} and no encoding that is known here", remedy)
    problem = f"{problem}: not UTF-8, it looks like {seen.codec}"
    if source.format not in _OF_CSV or not is_taken(seen.codec):
        return DataError(problem, f"convert it: {conversion(source.path, seen.codec)}")
    hint = {"--encoding": seen.codec}
    return DataError(problem, f"did you mean {as_typed(hint)}?", hint)
