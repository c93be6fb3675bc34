"""Blank lines at the end of a file: no records, and passed on as they are."""

from collections.abc import Iterable, Iterator

from scorer.files.csv.dialect import CR

_MOST = 1 << 20  # bytes of blank lines that are still an end, so that memory stays flat


class TrailingBlanks:
    """Takes blank lines at the end out of a stream of blocks, wherever it is cut."""

    def __init__(self, blocks: Iterable[bytes], ending: int, *, kept: bool = False) -> None:
        """Take a stream.

        Args:
            blocks: Records, from the first byte of one on.
            ending: LF or CR, with which their lines end.
            kept: Blank lines are records: nothing is taken out.
        """
        self.tail = b""  # what was taken out, when all has been read
        self._blocks = blocks
        self._ending = bytes([ending])
        self._kept = kept
        self._signs = b"\r" if ending == CR else b"\r\n"

    def __iter__(self) -> Iterator[bytes]:
        """Yield the rest; a line ending belongs to the record before it."""
        return iter(self._blocks) if self._kept else self._records()

    def _records(self) -> Iterator[bytes]:
        held = b""  # line endings that may be the end
        begun = flooded = False  # whether there are records; whether there are too many blank lines
        for block in self._blocks:
            content = block.rstrip(self._signs)
            if content:
                yield held + block[: len(content)]
                held, begun, flooded = b"", True, False
            held += block[len(content) :]
            if flooded or len(held) > _MOST:
                yield held
                held, begun, flooded = b"", True, True
        if flooded:
            return
        own = held.find(self._ending) + 1 if begun else 0
        last = held.rfind(b"\r\r", own) if self._ending == b"\n" else -1
        if begun and not own:
            own = len(held)
        if last >= 0:  # a line that is a lone CR and more is a record
            own = held.find(b"\n", last) + 1
        if held.endswith(b"\r") and self._ending == b"\n":
            own = len(held)
        self.tail = held[own:]
        yield held[:own]
