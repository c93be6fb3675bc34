"""Files that are spread over workers: how they are made, read, judged and shown."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from benchmarks import page, spread
from benchmarks.bars import judge
from benchmarks.hand_written import results
from benchmarks.spread_page import record
from tests.places import with_directory

START = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_file_is_split_into_parts_without_loss(tmp_path: Path) -> None:
    """The parts, in the order of their names, are the file."""
    frame = pl.DataFrame({"text": [f"tweet {n}" for n in range(50)]})
    frame.write_parquet(tmp_path / "all.parquet")
    spread.split(tmp_path / "all.parquet", tmp_path / "parts", 16)
    assert len(list((tmp_path / "parts").iterdir())) <= 16
    assert pl.read_parquet(tmp_path / "parts").equals(frame)


def test_the_steady_state_is_from_the_first_start_to_the_last_end(tmp_path: Path) -> None:
    """Whatever the files' order, and although they overlap."""
    for name, start, end in (("a", 3, 9), ("b", 1, 4), ("c", 2, 6)):
        report = {
            "started": (START + timedelta(seconds=start)).isoformat(),
            "finished": (START + timedelta(seconds=end)).isoformat(),
            "counters": {"rows": 10},
        }
        with_directory(tmp_path / f".tweetscore/{name}.scored.parquet.run.json").write_text(
            json.dumps(report)
        )
    assert spread.read(tmp_path) == {"rows": 30, "files": 3, "steady_seconds": 8.0}


@pytest.mark.parametrize(("seconds", "met"), [(1.0, True), (1.2, False)])
def test_ray_keeps_the_local_engines_pace(seconds: float, met: bool) -> None:
    """The median of three rounds has to reach 85 %."""
    slow = {"rows": 1000, "files": 16, "steady_seconds": seconds, "seconds": 9.0}
    found = results(**{f"{record('ray')}#{number}": slow for number in (1, 2, 3)})
    [bar] = [bar for bar in judge(found) if bar.claim.startswith("Ray's steady state")]
    assert bar.met is met


def test_the_page_tells_start_and_steady_state_apart() -> None:
    """A row for each layout, with its share of the local engine's rate of the same round."""
    text = page.render(results())
    assert "| local | 3 | 1,000 (1,000 to 1,000) |  | 2.0 |" in text
    assert (
        "| ray, an actor with two threads | 3 | 800 (800 to 800) | 80% (80% to 80%) | 2.0 |" in text
    )


def test_a_layout_that_does_not_run_says_why() -> None:
    """Its error stands where its figures would."""
    broken = {f"{record('ray')}#{number}": {"error": "no ray"} for number in (1, 2, 3)}
    assert "| ray, an actor per core | no ray |" in page.render(results(**broken))
