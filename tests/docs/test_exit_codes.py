"""docs/exit-codes.md has every exit code, each with its classes and its section."""

import re
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import OUTSIDE_BOUND, Terminated, TweetscoreError, exit_code

PAGE = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text("utf-8")
ROW = re.compile(r"^\| \[(\d+)\]\((#[^)]+)\) \| [^|]+ \| ([^|]*)\|", re.MULTILINE)
SHELLS_OWN = {137, 141}  # SIGKILL, as a shell reports it, and a closed pipe


def classes(parent: type[TweetscoreError]) -> Iterator[type[TweetscoreError]]:
    for child in parent.__subclasses__():
        yield child
        yield from classes(child)


def known_codes() -> set[int]:
    """Return the codes of the error tree, and those of other ends."""
    known = {error.exit_code for error in classes(TweetscoreError)}
    ends = (Exception(), KeyboardInterrupt(), Terminated(), MemoryError(), OSError())
    return known | {0, OUTSIDE_BOUND} | {exit_code(error) for error in ends} | SHELLS_OWN


def test_every_exit_code_has_a_row() -> None:
    """The table has all of them, and no others."""
    assert sorted(int(code) for code, _, _ in ROW.findall(PAGE)) == sorted(known_codes())


def test_every_class_is_in_the_row_of_its_code() -> None:
    rows = {int(code): set(re.findall(r"`(\w+)`", names)) for code, _, names in ROW.findall(PAGE)}
    tree: dict[int, set[str]] = {}
    for error in classes(TweetscoreError):
        tree.setdefault(error.exit_code, set()).add(error.__name__)
    assert {code: names for code, names in rows.items() if names} == tree


def test_every_row_leads_to_a_section_that_says_what_to_do() -> None:
    """A section says what happened; one of an error says what to do, too."""
    sections = dict(re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)*)", PAGE, re.MULTILINE))
    text_at = {
        "#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"): text
        for title, text in sections.items()
    }
    for code, anchor, _ in ROW.findall(PAGE):
        assert "**What happened.**" in text_at[anchor], code
        assert code == "0" or "**What to do.**" in text_at[anchor], code
