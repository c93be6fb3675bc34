"""The page is what the records say, and nothing else."""

from pathlib import Path

from benchmarks import page
from benchmarks.cells import CONTENDERS
from benchmarks.figures import Results
from benchmarks.hand_written import KEY, records, results

DOCS = Path(__file__).parents[2] / "docs"


def table_row(text: str, title: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_table_has_a_row_for_every_contender() -> None:
    """Figures where there are some, the reason where it did not run."""
    text = page.render(results())
    row = table_row(text, "OpenVINO in bf16, sorted")
    assert row[1:7] == ["3", "1,024", "890 (880 to 900)", "17,800", "20.0%", "99.900%"]
    assert row[-2:] == ["1.18x (1.11 to 1.25)", "0.57x (0.56 to 0.59)"]
    assert table_row(text, "PyTorch in bf16, sorted")[1] == "exit code 1: no"
    for each in CONTENDERS.values():
        assert table_row(text, each.title)


def test_every_table_is_well_formed() -> None:
    """As many cells in each row as its heading has."""
    for block in page.render(results()).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block


def test_parts_that_were_not_measured_are_left_out() -> None:
    """A page of nothing is the heading, the bars and the versions."""
    text = page.render(Results(KEY, {}))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What it is to reach", "## Versions"]


def test_what_is_written_can_be_read_and_gives_the_same_page(tmp_path: Path) -> None:
    """Page, records and plot lie side by side; the plot names every engine that ran."""
    page.write(tmp_path, KEY, records())
    assert page.read(tmp_path / "benchmarks.json") == results()
    assert page.render(results()) == (tmp_path / "benchmarks.md").read_text("utf-8")
    plot = (tmp_path / "benchmarks.svg").read_text("utf-8")
    assert "OpenVINO in bf16, sorted" in plot
    page.write(tmp_path, KEY, records())
    assert (tmp_path / "benchmarks.svg").read_text("utf-8") == plot


def test_the_published_page_is_made_of_the_published_records() -> None:
    """Nobody has edited either of them, where there is one."""
    for published in DOCS.glob("benchmarks.json"):
        text = published.with_suffix(".md").read_text("utf-8")
        assert text == page.render(page.read(published))
