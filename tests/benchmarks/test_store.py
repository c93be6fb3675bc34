"""A benchmark that was cut off goes on where it was, and never mixes figures of two keys."""

from pathlib import Path

import pytest

from benchmarks.store import PREPARED, Store, code_digest, describe

KEY = {"code": "a", "machine": {"threads": 2}}


def never() -> dict[str, float]:
    raise AssertionError("measured again")


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    """Neither by this process nor by the next one."""
    store = Store(tmp_path, KEY)
    assert store.once("a", lambda: {"seconds": 1.5}) == {"seconds": 1.5}
    assert store.once("a", never) == {"seconds": 1.5}
    assert Store(tmp_path, KEY).once("a", never) == {"seconds": 1.5}


def test_an_interrupted_cell_leaves_the_others(tmp_path: Path) -> None:
    """Each record is on disk before the next one is measured."""
    store = Store(tmp_path, KEY)
    store.once("a", lambda: {"seconds": 1})
    with pytest.raises(AssertionError):
        store.once("b", never)
    assert Store(tmp_path, KEY).records == {"a": {"seconds": 1}}


def test_a_failure_is_kept_and_tried_again(tmp_path: Path) -> None:
    """The page can say why; the next run may be luckier."""
    Store(tmp_path, KEY).once("a", lambda: {"error": "no memory"})
    store = Store(tmp_path, KEY)
    assert store.records["a"] == {"error": "no memory"}
    assert store.once("a", lambda: {"seconds": 2}) == {"seconds": 2}


@pytest.mark.parametrize("other", [{**KEY, "code": "b"}, {**KEY, "machine": {"threads": 1}}])
def test_another_key_starts_afresh(tmp_path: Path, other: dict[str, object]) -> None:
    """Other code or another machine: other figures, and the old ones stay where they are."""
    Store(tmp_path, KEY).once("a", lambda: {"seconds": 1})
    assert Store(tmp_path, other).once("a", lambda: {"seconds": 2}) == {"seconds": 2}
    assert Store(tmp_path, KEY).records == {"a": {"seconds": 1}}


def test_the_key_is_the_same_until_something_changes() -> None:
    """Two looks at this box and this code agree, and say what they saw."""
    key = describe(code_digest(PREPARED), 2)
    assert key == describe(code_digest(PREPARED), 2)
    assert key["versions"].keys() >= {"python", "torch"}
    assert key["machine"]["cpu"]
    assert code_digest(["scorer/bundled"]) != code_digest(["scorer/cli"])
