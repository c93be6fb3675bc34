"""The simulated night adds up, and the page shows it."""

import pytest

from benchmarks import page, scaling_page
from benchmarks.simulation import PER_FILE, WINDOW, Cluster, simulate, skewed

RATE = 1000.0


def test_one_node_takes_the_sum_of_its_files() -> None:
    """Its start, then rows over rate and the cost of a file for each."""
    night = simulate(Cluster(1, RATE, start=30.0), [5000, 3000])
    assert night.seconds == pytest.approx(30 + 2 * PER_FILE + 8)
    assert night.ideal == 8


def test_the_largest_file_decides() -> None:
    """More nodes than files do not help: the end is when the largest is done."""
    night = simulate(Cluster(100, RATE, start=0.0), [100_000, 1000, 1000])
    assert night.seconds == pytest.approx(100 + PER_FILE)


def test_the_order_of_files_matters() -> None:
    """A large file that comes last leaves the others waiting for it."""
    cluster = Cluster(2, RATE, start=0.0)
    late, early = [10_000, 10_000, 20_000], [20_000, 10_000, 10_000]
    assert simulate(cluster, late).seconds > simulate(cluster, early).seconds


def test_what_a_dead_node_had_kept_is_used() -> None:
    """At most a window is scored again for each death; without that, the whole file."""
    files = [200 * WINDOW] * 8
    kept = simulate(Cluster(4, RATE, deaths=100.0), files)
    lost = simulate(Cluster(4, RATE, deaths=100.0, resumes=False), files)
    assert kept.died > 4
    assert 0 < kept.again <= kept.died * WINDOW
    assert lost.again > kept.again
    assert lost.seconds > kept.seconds


def test_deaths_make_no_night_shorter() -> None:
    """An idle node takes up a dead one's file when it has died, not before."""
    files = sorted(skewed(10_000_000, 50, 1.0), reverse=True)
    quiet = simulate(Cluster(20, RATE), files)
    assert simulate(Cluster(20, RATE, deaths=24.0), files).seconds >= quiet.seconds


def test_a_night_is_the_same_every_time() -> None:
    """The seed decides, and another one gives another night."""
    files, cluster = skewed(1_000_000, 100, 1.0), Cluster(5, RATE, deaths=200.0)
    assert sum(files) == 1_000_000
    assert simulate(cluster, files, 1) == simulate(cluster, files, 1)
    assert simulate(cluster, files, 1) != simulate(cluster, files, 2)


def test_the_page_shows_what_is_computed() -> None:
    """Costs, limits and simulation are of the committed records: run benchmarks.scaling_page."""
    text = scaling_page.PAGE.read_text("utf-8")
    results = page.read(scaling_page.PAGE.with_name("benchmarks.json"))
    assert scaling_page.filled(text, results) == text
