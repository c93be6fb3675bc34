"""The file of rejects beside the records of the input that are no rows."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from scorer.files.compare import Finding
from scorer.files.own import open_own
from scorer.files.rejects import to_line
from scorer.files.source import Source
from scorer.files.storage import reading

_ROWS = 16_384  # of a window that is read for its rejects
_LONGEST = 1 << 23  # bytes of a line that is read: a record of 1 MiB is at most six times as long


def differences(path: Path, source: Source | None, reported: int) -> Iterator[Finding]:
    """Yield where a file of rejects is not what the report and the input say.

    Args:
        path: The file, which is there when there are any.
        source: The input; it is read for its rejects where there are some. None: only counted.
        reported: How many the report counts.
    """
    wanted = _wanted(source) if source and (reported or path.exists()) else iter(())
    count = different = 0
    for line in _lines(path):
        count += 1
        expected = next(wanted, None)
        if source and expected != line and not different:
            different = count
    if count != reported:
        text = f"{count:,} lines in {path}, the report says {reported:,} rejected"
        yield Finding("rejects", text)
    elif different:
        text = f"line {different:,} of {path} is not what the input holds"
        yield Finding("rejects", text)


def _wanted(source: Source) -> Iterator[bytes]:
    rejects = chain.from_iterable(window.rejects for window in source.windows(_ROWS))
    return (to_line(reject, source.encoding) for reject in rejects)


def _lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with reading(path), open_own(path) as file:
        yield from iter(lambda: file.readline(_LONGEST), b"")
