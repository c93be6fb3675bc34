"""Pages about outputs of a stub of the model, and what stands on them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from scorer.report import Made, ReportOptions, make_page


class Page(HTMLParser):
    """The words of a page in order, its elements, and its tables' rows."""

    def __init__(self, path: Path, made: Made) -> None:
        super().__init__()
        self.made = made
        self.source = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._pieces: list[str] = []
        self._in_cell = False
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        """Leave a cell."""
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        """Note text, also that of the cell it stands in."""
        self._pieces.append(data)
        if self._in_cell:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self._pieces).split())

    def headings(self) -> list[str]:
        """The titles of the page's parts."""
        found = re.findall(r"<h2>(.*?)</h2>", self.source, re.DOTALL)
        return [" ".join(each.split()) for each in found]

    def row(self, first: str) -> list[str]:
        """Return the first table row that begins with a word."""
        return next(row for row in self.rows if row and row[0] == first)


def page_of(*outputs: Path, name: str = "page.html", **options: Any) -> Page:
    """Make a page beside the first output and read it."""
    path = outputs[0].with_name(name)
    return Page(path, make_page(ReportOptions(outputs, path, **options)))
