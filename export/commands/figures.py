"""What `model export` and `model check` share: texts to measure on, and figures to show."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.errors import DataError

if TYPE_CHECKING:
    from export.parity import ParityReport


def parity_texts(path: Path | None, column: str) -> tuple[str, ...]:
    """Return the texts of a table's column, without nulls."""
    from export.dataset import read_table

    if path is None:
        return ()
    frame = read_table(str(path), "test").frame
    if column not in frame.columns:
        raise DataError(
            f"{path} has no column {column!r}, only {', '.join(frame.columns)}",
            "name one with --text-column",
        )
    return tuple(frame[column].cast(str).drop_nulls())


def figures(report: "ParityReport") -> Iterator[str]:
    """Yield one line per session."""
    for entry in report.measured:
        where = f"{entry.runtime.provider} {entry.runtime.precision}"
        yield f"{where} on {entry.runtime.instruction_set}: {entry.figures}"
    if report.graph_check:
        yield f"fp16 graph, run on the CPU and not measured on a GPU: {report.graph_check.figures}"
    for reason in report.passed_over:
        yield f"not measured: {reason}"
