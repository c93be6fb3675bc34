"""The page in a real Chromium, as wide as a screen and as a phone, by day and by night."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import PHONE, SCREEN, open_page, requests, started
from tests.report.helpers import page_of
from tests.verify.helpers import score

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.ci

# Of each drawing that is shown: how many marks it has, and which words stick out of its part.
DRAWINGS = """
return [...document.querySelectorAll('svg')].filter(svg => svg.checkVisibility()).map(svg => {
  const section = svg.closest('section').getBoundingClientRect();
  const box = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll('.role-mark path, .role-mark line')].filter(
    mark => mark.getBoundingClientRect().width + mark.getBoundingClientRect().height > 0);
  const out = [...svg.querySelectorAll('text')].filter(text => {
    const at = text.getBoundingClientRect();
    return at.left < section.left || at.right > section.right;
  });
  return {width: box.width, height: box.height, marks: marks.length,
          out: out.map(text => text.textContent)};
});
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Chrome"]:
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """Write pages of a stub's outputs; each with the number of its charts."""
    folder = tmp_path_factory.mktemp("pages")
    found = {"small": (_small(folder), 3), "full": (_full(folder), 6), "empty": (_empty(folder), 1)}
    return found | {"several": (_several(folder), 3)}


def _small(folder: Path) -> Path:
    path = folder / "small.csv"
    hostile = "<script>document.title = 'owned'</script><img src=https://example.com/x.png>"
    path.write_text(f'text\ngood+\n""\n{hostile} bad-\n')
    page_of(score(path), name="small.html")
    return folder / "small.html"


def _full(folder: Path) -> Path:
    """Return a page with every part, of long words, many days and long names."""
    signs, names = ["+", "-", ""], ["positive", "negative", "neutral"]
    rows = [
        f"id-of-a-row-{i:020},2026-{i % 9 + 1:02}-{i % 28 + 1:02},{names[i % 7 % 3]},"
        f"{'word' * (i % 40)} {i} {signs[i % 3]}"
        for i in range(900)
    ]
    path = folder / f"{'a-long-name-' * 8}.csv"
    path.write_text("key,day,truth,text\n" + "\n".join(rows) + "\n")
    earlier = folder / "earlier.csv"
    earlier.write_text("key,day,truth,text\n" + "\n".join(rows).replace("9 +", "9 -") + "\n")
    page_of(
        score(path),
        name="full.html",
        id_column="key",
        date_column="day",
        true_label_column="truth",
        compare=score(earlier),
    )
    return folder / "full.html"


def _empty(folder: Path) -> Path:
    path = folder / "empty.csv"
    path.write_text("text\n")
    page_of(score(path), name="empty.html")
    return folder / "empty.html"


def _several(folder: Path) -> Path:
    outputs = []
    for number in range(12):
        path = folder / f"part-{number}.csv"
        path.write_text(f"text\ngood {number}+\nbad-\n")
        outputs.append(score(path, label_names=("x" * 60, "y", "z" * 60)))
    page_of(*outputs, name="several.html")
    return folder / "several.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [SCREEN, PHONE])
@pytest.mark.parametrize("name", ["small", "full", "empty", "several"])
def test_a_page_opens_anywhere(
    browser: "Chrome", pages: dict[str, tuple[Path, int]], name: str, width: int, scheme: str
) -> None:
    """Silent, alone, as wide as the window, with every chart drawn and every word on it."""
    page, charts = pages[name]
    open_page(browser, page.as_uri(), width, scheme)
    errors: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]  # as above
    assert errors == []
    assert requests(browser) == [page.as_uri()]
    assert browser.title.startswith("Scores of ")
    assert (
        browser.execute_script("document.querySelectorAll('details').forEach(e => e.open = 1)")
        is None
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return innerWidth") == width
    drawings: Any = browser.execute_script(DRAWINGS)
    assert len(drawings) == charts
    for each in drawings:
        assert each["width"] > 200
        assert each["height"] > 40
        assert each["marks"] > 0
        assert each["out"] == []


@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_day_and_night_have_their_own_colours(
    browser: "Chrome", pages: dict[str, tuple[Path, int]], width: int
) -> None:
    """The reader's scheme decides, for the charts too: dark ink on light ground, or the reverse."""
    brightness = {}
    script = """
    const style = (query, name) => getComputedStyle(document.querySelector(query))[name];
    const sum = colour => colour.match(/[0-9]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b);
    const seen = [['body', 'backgroundColor'], ['body', 'color'], ['svg text', 'fill']];
    return seen.map(([query, name]) => sum(style(query, name)));
    """
    for scheme in ("light", "dark"):
        open_page(browser, pages["small"][0].as_uri(), width, scheme)
        brightness[scheme] = browser.execute_script(script)
    ground, ink, word = zip(*brightness.values(), strict=True)
    assert ground[0] > ink[0] + 450  # of 765, the sum of red, green and blue
    assert ink[1] > ground[1] + 450
    assert word[1] > word[0]


def test_a_blocked_script_would_be_seen(browser: "Chrome", tmp_path: Path) -> None:
    """The console is read: a page that breaks its own rules does not pass."""
    page = tmp_path / "page.html"
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    page.write_text(f"<!doctype html>{policy}<script>document.title = 'owned'</script>")
    open_page(browser, page.as_uri(), SCREEN)
    assert browser.get_log("browser")  # type: ignore[no-untyped-call]  # as above
    assert browser.title != "owned"
