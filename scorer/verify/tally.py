"""Findings of one kind become one line: a file that differs everywhere makes no endless list."""

from collections.abc import Iterable

from scorer.files.compare import Finding

MOST_LINES = 10


class Tally:
    """What was found so far."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, int]] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings; of each kind the first one's words stay."""
        for found in findings:
            text, count = self._kinds.get(found.kind, (found.text, 0))
            self._kinds[found.kind] = text, count + found.count

    def say(self, *texts: str) -> None:
        """Add findings that are each of a kind of their own."""
        self.add(Finding(text, text) for text in texts)

    def __len__(self) -> int:
        """Return how many findings there are."""
        return sum(count for _, count in self._kinds.values())

    def lines(self) -> list[str]:
        """Return a line for each kind, and at the end how many are not shown."""
        lines = [
            f"{text} (and {count - 1:,} more)" if count > 1 else text
            for text, count in self._kinds.values()
        ]
        hidden = len(lines) - MOST_LINES
        return [*lines[:MOST_LINES], f"and {hidden:,} other kinds"] if hidden > 0 else lines
