"""docs/features.md: each command of its tables is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT, bench, lake, run

PAGE = ROOT / "docs" / "features.md"
ROW = re.compile(r"\| (?P<what>[^|]+) \| `(?P<command>.+?)`(?P<note>[^`|]*)\| (?P<more>[^|]*)\|")


@dataclass(frozen=True)
class Feature:
    """One row of the tables."""

    what: str
    command: str
    exit_code: int
    test: str  # the test that runs it; '' where this one does
    links: tuple[str, ...]


def features() -> Iterator[Feature]:
    for row in map(ROW.fullmatch, PAGE.read_text("utf-8").splitlines()):
        if row is None:
            continue
        code = re.search(r"\(exit (\d+)\)", row["note"])
        test = re.search(r"\((tests/\S+\.py)\)", row["note"])
        yield Feature(
            row["what"],
            row["command"].replace(r"\|", "|"),
            int(code[1]) if code else 0,
            test[1] if test else "",
            tuple(re.findall(r"\(([^)#]+)", row["more"])),
        )


FEATURES = list(features())


def test_every_row_of_the_tables_is_understood() -> None:
    """A row that this test cannot read would be a command that nobody runs."""
    lines = PAGE.read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and line != "| what | command | more |"]
    assert len(FEATURES) == len(rows) > 30


@pytest.mark.parametrize("feature", [f for f in FEATURES if not f.test], ids=lambda f: f.what)
def test_the_command_does_what_it_says(feature: Feature, tmp_path: Path, programs: Path) -> None:
    """It ends with the exit code of its row."""
    bench(tmp_path)
    with lake("s3://" in feature.command) as env:
        shown = run(f"{feature.command}\necho ended with $?", tmp_path, f"{programs}:", **env)
    assert shown.endswith(f"ended with {feature.exit_code}"), shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("feature", [f for f in FEATURES if f.test], ids=lambda f: f.what)
def test_a_command_that_another_test_runs_has_that_test(feature: Feature) -> None:
    assert (ROOT / feature.test).is_file()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.what)
def test_the_page_that_tells_more_is_there(feature: Feature) -> None:
    for link in feature.links:
        assert (PAGE.parent / link).resolve().is_file(), link
