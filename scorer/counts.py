"""Counts as people read them: `1 row`, `2 rows`, `1,234 rows`."""


def counted(count: int, noun: str, shown: str = "") -> str:
    """Return a number with its noun, which gets an s unless there is exactly one.

    Args:
        count: How many.
        noun: For one of them.
        shown: The number as it is to be read, where it is an estimate, say.
    """
    return f"{shown or f'{count:,}'} {noun if count == 1 else f'{noun}s'}"
