from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.files.discover import state_directory
from scorer.files.parts import parts_of
from scorer.files.source import ScoredSlice, TextDigest, text_digest
from scorer.records import Counters, Scores, TextWindow


def window(offset: int, *texts: str | None) -> TextWindow:
    return TextWindow(offset, pl.Series("text", texts, dtype=pl.String))


def scores(*rows: tuple[int, float, float]) -> Scores:
    ids = np.array([row[0] for row in rows], np.int16)
    return Scores(ids, np.array([row[1:] for row in rows], np.float32).reshape(-1, 2), Counters())


NAN = float("nan")


def test_parts_come_back_in_order_and_exactly(tmp_path: Path) -> None:
    """Ids, every bit of the probabilities, offsets and digests; empty windows too."""
    written = [
        (window(0, "a", None, "c"), scores((0, 0.7, 0.1), (-1, NAN, NAN), (1, 1e-45, 1.0))),
        (window(3), scores()),
        (window(3, "d"), scores((1, 0.25, 0.75))),
    ]
    with parts_of(tmp_path / "out.csv") as parts:
        for each, answer in written:
            parts.write(each, answer)
        read = list(parts.read())
    for part, (each, answer) in zip(read, written, strict=True):
        assert part.offset == each.offset
        assert part.digest == text_digest(each.texts)
        assert part.label_ids.dtype == np.int16
        np.testing.assert_array_equal(part.label_ids, answer.label_ids)
        assert part.probabilities.tobytes() == answer.probabilities.tobytes()
        assert part.probabilities.shape == answer.probabilities.shape


@pytest.mark.parametrize("failing", [False, True])
def test_state_is_gone_at_the_end(tmp_path: Path, *, failing: bool) -> None:
    """Old leftovers at the start, and ours at the end or on failure."""
    output = tmp_path / "out.csv"
    state_directory(output).mkdir()
    (state_directory(output) / "part-00000000.arrow").write_text("leftover")

    def run() -> None:
        with parts_of(output) as parts:
            assert list(parts.read()) == []
            parts.write(window(0, "a"), scores((0, 1.0, 0.0)))
            if failing:
                raise KeyboardInterrupt

    if failing:
        with pytest.raises(KeyboardInterrupt):
            run()
    else:
        run()
    assert list(tmp_path.iterdir()) == []


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
    answer = scores((1, 0.25, 0.75), (-1, NAN, NAN))
    part = ScoredSlice(0, b"", answer.label_ids, answer.probabilities)
    assert part.labels(("no", "yes")).to_list() == ["yes", None]
    assert part.best().to_list() == [0.75, None]
    assert part.of_class(0).to_list() == [0.25, None]
