"""The documentation site: built strictly, complete in itself, its links lead somewhere."""

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.chromium import PHONE, SCREEN, open_page, requests, started

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.ci


class Page(HTMLParser):
    """What a page of the site loads, where it leads, and which places of it have a name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names, loads or leads to."""
        values = {name: value for name, value in attrs if value}
        self.names |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.leads.append(values["href"])
        elif address := values.get("href") or values.get("src"):
            self.loads.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make site` does; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *strict, "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_in_the_site(pages: dict[Path, Page]) -> None:
    built = {path.stem for path in pages}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= built


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    """Scripts, styles, fonts and pictures are files of the site: it can be read offline."""
    loaded = {address for page in pages.values() for address in page.loads}
    assert [address for address in loaded if urlsplit(address).netloc] == []
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert [text for text in styles if "//" in text.replace("http://www.w3.org/2000/svg", "")] == []


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    """Each page, file and heading that a link names is there."""
    broken = []
    for path, page in pages.items():
        for address in {*page.leads, *page.loads}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            names = pages[target].names if target in pages else {""}
            if not target.is_file() or unquote(parts.fragment) not in {"", *names}:
                broken.append(f"{path.name}: {address}")
    assert broken == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Chrome"]:
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_every_page_is_as_wide_as_the_window(
    browser: "Chrome", pages: dict[Path, Page], width: int
) -> None:
    """Nobody scrolls sideways: wide tables and long commands do so by themselves."""
    wide = []
    for path in pages:
        open_page(browser, path.as_uri(), width)
        if browser.execute_script("return document.documentElement.scrollWidth") > width:
            wide.append(path.name)
    assert wide == []


def test_the_search_finds_a_page_without_a_server(browser: "Chrome", site: Path) -> None:
    """Opened as a file, it leads to the page, and asks for nothing but files."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    open_page(browser, f"{(site / 'search.html').as_uri()}?q=fuser", SCREEN)
    found = WebDriverWait(browser, 20).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, "#search-results a")
    )
    assert "exit-codes.html" in [
        str(a.get_attribute("href")).split("/")[-1].partition("?")[0] for a in found
    ]
    assert [
        address for address in requests(browser) if not address.startswith(("file:", "data:"))
    ] == []


@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_rows_are_stacked_on_a_phone_alone(browser: "Chrome", site: Path, width: int) -> None:
    """There each cell stands under the head of its column."""
    open_page(browser, (site / "exit-codes.html").as_uri(), width)
    script = """
    const cell = document.querySelector('tbody tr:nth-child(2) td:nth-child(2)');
    return [getComputedStyle(cell).display, getComputedStyle(cell, '::before').content];
    """
    label = '"what happened: "'
    shown = {SCREEN: ["table-cell", "none"], PHONE: ["block", label]}
    assert browser.execute_script(script) == shown[width]
