"""What fits into a line of a terminal."""

import os
import unicodedata
from bisect import bisect_right
from itertools import accumulate

_COLUMNS = 80  # where the terminal does not say how many it has


def columns(stream: int) -> int:
    """Return how many characters fit into a line of the terminal behind a file descriptor.

    A terminal of a container, or one that a program opened, often has no size at all.
    """
    try:
        return os.get_terminal_size(stream).columns or _COLUMNS
    except OSError:  # it is gone, and so is its reader
        return _COLUMNS


def shortened(text: str, room: int) -> str:
    """Return a text that takes at most that many columns; an end that was cut off is an ellipsis.

    Most emoji and the letters of East Asia take two columns.
    """
    ends = list(accumulate(_width(each) for each in text[: max(0, room) + 1]))
    if not ends or ends[-1] <= room:
        return text
    return f"{text[: bisect_right(ends, room - 1)]}…"


def _width(letter: str) -> int:
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
