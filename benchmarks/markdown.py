"""Markdown tables."""

from collections.abc import Iterator


def table(head: str, *rows: str) -> Iterator[str]:
    """Yield the lines of a table."""
    yield head
    yield "|" + "---|" * (head.count("|") - 1)
    yield from rows
