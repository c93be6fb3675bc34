from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.errors import StorageError
from scorer.formats.base import TextDigest, text_digest
from scorer.records import Counters, Scores
from scorer.store.checkpoints import Checkpoints, Journal


def scores(*rows: tuple[int, float, float], counters: Counters | None = None) -> Scores:
    ids = np.array([row[0] for row in rows], np.int16)
    probabilities = np.array([row[1:] for row in rows], np.float32).reshape(-1, 2)
    return Scores(ids, probabilities, counters or Counters(len(ids)), np.arange(len(ids)) + 300)


NAN = float("nan")


A_DIGEST = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Callable[[], Checkpoints]]:
    """Open the store anew, as the next run does."""
    with ExitStack() as stack:
        yield lambda: Checkpoints(tmp_path, stack.enter_context(Journal(tmp_path / "journal")))


def test_parts_come_back_in_order_and_exactly(store: Callable[[], Checkpoints]) -> None:
    """Ids, every bit of the probabilities, offsets and digests; empty windows too."""
    answers = [
        scores((0, 0.7, 0.1), (-1, NAN, NAN), (1, 1e-45, 1.0)),
        scores(),
        scores((1, 0.25, 0.75)),
    ]
    parts = store()
    for number, answer in enumerate(answers):
        parts.save(number, A_DIGEST, answer)
    for number, (part, answer) in enumerate(zip(parts.read(), answers, strict=True)):
        assert part.offset == number
        assert part.digest == A_DIGEST
        assert part.label_ids.dtype == np.int16
        np.testing.assert_array_equal(part.label_ids, answer.label_ids)
        assert part.probabilities.tobytes() == answer.probabilities.tobytes()
        assert part.probabilities.shape == answer.probabilities.shape


def test_the_next_run_takes_what_was_stored(store: Callable[[], Checkpoints]) -> None:
    """The same window gets the same scores and counters, and then new ones can follow."""
    answer = scores((0, 0.7, 0.1), (-1, NAN, NAN), counters=Counters(2, 1, 1, 0, 1, 9, 3))
    store().save(0, A_DIGEST, answer)
    parts = store()
    taken = parts.take(0, A_DIGEST, 2)
    assert taken is not None
    assert taken.counters == answer.counters
    assert taken.lengths.tolist() == [300, 301]
    assert taken.probabilities.tobytes() == answer.probabilities.tobytes()
    assert parts.take(2, A_DIGEST, 1) is None
    parts.save(2, A_DIGEST, scores((1, 0.5, 0.5)))
    assert [part.offset for part in store().read()] == [0, 2]


def _other_texts(directory: Path) -> tuple[int, bytes, int]:
    return (1, bytes(32), 1)


def _other_rows(directory: Path) -> tuple[int, bytes, int]:
    return (1, A_DIGEST, 2)


def _other_offset(directory: Path) -> tuple[int, bytes, int]:
    return (2, A_DIGEST, 1)


def _part_gone(directory: Path) -> tuple[int, bytes, int]:
    (directory / "part-00000001").unlink()
    return (1, A_DIGEST, 1)


def _part_changed(directory: Path) -> tuple[int, bytes, int]:
    path = directory / "part-00000001"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    return (1, A_DIGEST, 1)


@pytest.mark.parametrize(
    "unusable", [_other_texts, _other_rows, _other_offset, _part_gone, _part_changed]
)
def test_from_the_first_unusable_part_on_all_is_scored_again(
    store: Callable[[], Checkpoints],
    tmp_path: Path,
    unusable: Callable[[Path], tuple[int, bytes, int]],
) -> None:
    """One that does not fit, and those behind it, which may, are forgotten."""
    first = store()
    for number in range(3):
        first.save(number, A_DIGEST, scores((0, 0.75, 0.25)))
    wanted = unusable(tmp_path)
    parts = store()
    assert parts.take(0, A_DIGEST, 1) is not None
    assert parts.take(*wanted) is None
    assert parts.take(2, A_DIGEST, 1) is None
    parts.save(1, A_DIGEST, scores((1, 0.25, 0.75)))
    assert [part.label_ids.tolist() for part in store().read()] == [[0], [1]]


def test_reading_ahead_forgets_nothing_that_is_being_written(
    store: Callable[[], Checkpoints],
) -> None:
    """While one thread stores a window, another asks for the next: the first stays."""
    parts = store()
    assert parts.take(0, A_DIGEST, 1) is None
    parts.save(0, A_DIGEST, scores((0, 0.75, 0.25)))
    assert parts.take(1, A_DIGEST, 1) is None
    assert len(list(store().read())) == 1


def test_all_that_was_stored_is_taken_in_order(store: Callable[[], Checkpoints]) -> None:
    """Window after window, each with its own answers."""
    first = store()
    for number in range(4):
        first.save(number, A_DIGEST, scores((number % 2, 0.75, 0.25)))
    parts = store()
    taken = [parts.take(number, A_DIGEST, 1) for number in range(4)]
    assert [each.label_ids.tolist() for each in taken if each] == [[0], [1], [0], [1]]
    assert parts.take(4, A_DIGEST, 1) is None
    parts.save(4, A_DIGEST, scores((1, 0.25, 0.75)))
    assert [part.offset for part in store().read()] == [0, 1, 2, 3, 4]


def test_a_line_that_is_just_being_written_is_left_alone(
    store: Callable[[], Checkpoints], tmp_path: Path
) -> None:
    """The writing thread has its line in the journal, and has not yet counted its window."""
    parts = store()
    assert parts.take(0, A_DIGEST, 1) is None
    parts._journal.append({"offset": 0})
    assert parts.take(1, A_DIGEST, 1) is None
    assert parts._journal.entries == [{"offset": 0}]


def test_a_part_that_changes_before_publishing_is_an_error(
    store: Callable[[], Checkpoints], tmp_path: Path
) -> None:
    """Scores that nobody computed are not published; the next run scores that window again."""
    parts = store()
    parts.save(0, A_DIGEST, scores((0, 0.75, 0.25)))
    (tmp_path / "part-00000000").write_bytes(b"x")
    with pytest.raises(StorageError, match="is not what was written there; run again"):
        list(parts.read())


def test_digest_depends_on_texts_not_on_pieces() -> None:
    """Pieces do not matter; null, '' and where one text ends do."""
    digest = TextDigest()
    pieces: list[list[str | None]] = [["a"], [], [None, "é"], [""]]
    for piece in pieces:
        digest.update(pl.Series(piece, dtype=pl.String))
    assert digest.digest() == text_digest(pl.Series(["a", None, "é", ""]))
    variants: list[list[str | None]]
    variants = [["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None], ["abc"], [None, None], []]
    assert len({text_digest(pl.Series(v, dtype=pl.String)) for v in variants}) == len(variants)


def test_blank_rows_have_neither_label_nor_score() -> None:
    """Null in every appended column."""
    part = scores((1, 0.25, 0.75), (-1, NAN, NAN))
    assert part.labels(("no", "yes")).to_list() == ["yes", None]
    assert part.best().to_list() == [0.75, None]
    assert part.of_class(0).to_list() == [0.25, None]
