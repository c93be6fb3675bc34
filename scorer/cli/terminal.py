"""How much fits into a line of a terminal."""

import os

_COLUMNS = 80  # where the terminal does not say how many it has


def columns(stream: int) -> int:
    """Return how many characters fit into a line of the terminal behind a file descriptor.

    A terminal of a container, or one that a program opened, often has no size at all.
    """
    try:
        return os.get_terminal_size(stream).columns or _COLUMNS
    except OSError:  # it is gone, and so is its reader
        return _COLUMNS
