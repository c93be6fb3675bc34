"""Whether an output is its input's bytes with columns behind them, as `splice` writes it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from scorer.formats.output_columns import OutputColumns
from scorer.formats.parquet.appended import appended_schema
from scorer.formats.parquet.footer import read_footer
from scorer.formats.parquet.merge import MergedFooter, last_columns
from scorer.formats.written import Written
from scorer.os_errors import reading

_OTHER_FOOTER = "the output's footer is not the input's with the appended columns"
_BLOCK = 1 << 20  # bytes that are compared at once


def difference(source: Path, output: Path, output_schema: OutputColumns, written: Written) -> str:
    """Return how an output differs from what was written of its input; nothing where it does not.

    Args:
        source: The input.
        output: The output.
        output_schema: The columns that the run appended.
        written: What the run said of it.

    Raises:
        DataError: One of both is no readable Parquet file.
    """
    before, after = read_footer(source), read_footer(output)
    copied = before.start
    if copied != written.copied_bytes:
        said = f"the report says {written.copied_bytes:,}"
        return f"{copied:,} bytes of the input precede its footer, {said}"
    if (at := _first_difference(source, output, copied)) is not None:
        return f"byte {at + 1:,} of the output is not the input's"
    if len(after.columns) <= len(output_schema.names) or after.rows != before.rows:
        return _OTHER_FOOTER
    added = last_columns(after, len(output_schema.names))
    merged = MergedFooter(before, added, appended_schema(output_schema))
    if not _is_all(after.data, merged.pieces()):
        return _OTHER_FOOTER
    if merged.keys != written.schema_keys:
        return "the report's schema_keys are not those of the output's footer"
    return ""


def _first_difference(source: Path, output: Path, size: int) -> int | None:
    with reading(source), source.open("rb") as theirs, reading(output), output.open("rb") as ours:
        for at in range(0, size, _BLOCK):
            some = min(_BLOCK, size - at)
            a, b = theirs.read(some), ours.read(some)
            if a != b:
                return next(at + i for i in count() if a[i : i + 1] != b[i : i + 1])
    return None


def _is_all(data: bytes, pieces: Iterator[bytes]) -> bool:
    at = 0
    for piece in pieces:
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)
