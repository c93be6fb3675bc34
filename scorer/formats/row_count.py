"""Counts or estimates the rows of an input before they are read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from scorer.formats.base import Source
from scorer.formats.registry import compression_of
from scorer.os_errors import reading

_WHOLE = 8 << 20  # bytes of a text file that is read to its end
_PLACES = 32  # samples of a larger one, evenly spread, as its tweets may change
_PLACE = 256 << 10  # bytes of each
_WINDOW = 16_384  # rows


@dataclass(frozen=True, slots=True)
class RowCount:
    """A number of rows, and whether it was counted or estimated."""

    rows: int
    exact: bool
    rejects: int = 0  # broken records among those that were read

    def __str__(self) -> str:
        """Return it with as many digits as are known: 1,234 or ~1,200,000."""
        if self.exact:
            return f"{self.rows:,}"
        unit = 10 ** max(0, len(str(self.rows)) - 2)
        return f"~{round(self.rows / unit) * unit:,}"


NO_ROWS = RowCount(0, exact=True)


def sum_rows(counts: Iterable[RowCount]) -> RowCount:
    """Return the sum, which is exact if all are."""
    counts = tuple(counts)
    return RowCount(
        sum(each.rows for each in counts),
        all(each.exact for each in counts),
        sum(each.rejects for each in counts),
    )


def count_rows(source: Source, *, limit: int | None = None) -> RowCount:
    """Return how many rows `source.windows` will yield.

    Parquet and Arrow say it themselves; small text files are read; of large ones the line ends are
    counted in places, and of large compressed ones in the beginning.

    Args:
        source: An input; memory is one window.
        limit: The limit that it was opened with.
    """
    with reading(source.path):
        size = source.path.stat().st_size
        if (declared := _DECLARED.get(source.format)) is not None:
            count = RowCount(declared(source.path), exact=True)
        elif size <= _WHOLE:
            return _counted(source)
        else:
            count = RowCount(_estimated(source, size), exact=False)
    if limit is not None and count.rows > limit:
        return RowCount(limit, exact=True)
    return count


def _rows_of_parquet(path: Path) -> int:
    from scorer.formats.parquet.footer import read_footer

    return sum(read_footer(path).rows)


def _rows_of_arrow(path: Path) -> int:
    from scorer.formats.guards.arrow_messages import batches_of

    return sum(batch.rows for batch in batches_of(path))


_DECLARED: dict[str, Callable[[Path], int]] = {
    "parquet": _rows_of_parquet,
    "arrow": _rows_of_arrow,
}


def _counted(source: Source) -> RowCount:
    rows = rejects = 0
    for window in source.windows(_WINDOW):
        rows += len(window.texts)
        rejects += len(window.rejects)
    return RowCount(rows, exact=True, rejects=rejects)


def _estimated(source: Source, size: int) -> int:
    """Return line ends per byte times the size, less those inside of texts."""
    window = next(source.windows(_WINDOW), None)
    if window is None:
        return 0
    ends, looked_at = _sample(source.path, size)
    lines = ends * size / looked_at
    if source.format == "ndjson":  # there a line is a row
        return round(lines)
    rows = len(window.texts)
    inside = int(window.texts.str.count_matches("\n", literal=True).sum())
    return round(lines * rows / max(1, rows + inside))


def _sample(path: Path, size: int) -> tuple[int, int]:
    """Return how many line ends were seen, and in how many bytes of the file as it is stored."""
    compression = compression_of(path)
    if compression != "none":
        from scorer.formats.text.compression import read_beginning

        content, stored = read_beginning(path, compression, _WHOLE)
        return _line_ends(content), stored
    ends = 0
    with path.open("rb") as file:
        for place in range(_PLACES):
            file.seek((size - _PLACE) * place // (_PLACES - 1))
            ends += _line_ends(file.read(_PLACE))
    return ends, _PLACES * _PLACE


def _line_ends(content: bytes) -> int:
    return content.count(b"\n") or content.count(b"\r")
