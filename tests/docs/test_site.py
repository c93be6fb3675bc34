"""The documentation site: built strictly, complete in itself, its links lead somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

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
