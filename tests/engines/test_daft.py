"""Daft on its native runner: in this process, and in two of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from scorer import DataError, Scorer, UsageError
from scorer.engines.daft import score

pytestmark = [
    pytest.mark.ci,
    # Daft's own: it leaves a pipe to its process open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SAMPLES = Path(__file__).parents[2] / "samples" / "tweets.parquet"


@pytest.fixture(scope="module")
def daft() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "DO_NOT_TRACK", "1")
        patch.setitem(os.environ, "DAFT_PROGRESS_BAR", "0")
        import daft

        yield daft


@pytest.mark.parametrize("processes", [1, 2])
def test_samples_get_the_local_answers(daft: ModuleType, processes: int) -> None:
    """All columns pass through, and label and score are the local engine's, bit by bit, by id."""
    planned = score(daft.read_parquet(str(SAMPLES)), processes=processes)
    scored = pl.DataFrame(pl.from_arrow(planned.to_arrow())).sort("id")
    expected = Scorer().score_frame(pl.read_parquet(SAMPLES)).sort("id")
    assert scored.columns == expected.columns
    assert scored.equals(expected)


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 2])
def test_thousands_of_tweets_get_the_local_answers(
    daft: ModuleType, tweets: Path, answers: pl.DataFrame, processes: int
) -> None:
    """From four files, by one model or two, every row comes back once with the same bits."""
    planned = score(daft.read_parquet(f"{tweets}/*"), processes=processes, all_scores=True)
    scored = pl.DataFrame(pl.from_arrow(planned.to_arrow())).sort("id")
    assert scored.height >= 2_000
    assert scored["label"].null_count() >= scored.height / 50 - 1
    assert scored.equals(answers)


def test_options_are_those_of_a_scorer(daft: ModuleType, tiny_bert_bundle: Path) -> None:
    """The text column is chosen; model, columns and labels are those that were asked for."""
    frame = daft.from_pydict({"tweet": ["I love it!", None, ""]})
    names = ("N", "0", "P")
    planned = score(
        frame,
        "tweet",
        model=tiny_bert_bundle,
        device="builtin",
        labels=names,
        label_column="mood",
        score_column="p",
    )
    scored = planned.to_pydict()
    expected = Scorer(tiny_bert_bundle, device="builtin", labels=names).score(["I love it!"])
    assert list(scored) == ["tweet", "mood", "p"]
    assert scored["mood"] == [expected["label"].item(), None, None]
    assert scored["p"] == [expected["score"].item(), None, None]


def test_columns_that_do_not_fit_are_refused_at_once(daft: ModuleType) -> None:
    """The call fails before anything is read or planned."""
    with pytest.raises(DataError, match="no column 'text', only: tweet; did you mean text_column"):
        score(daft.from_pydict({"tweet": ["a"]}))
    with pytest.raises(DataError, match="column 'text' of the frame is Int64, not text"):
        score(daft.from_pydict({"text": [1]}))
    with pytest.raises(UsageError, match="the column 'label' exists already"):
        score(daft.from_pydict({"text": ["a"], "label": ["b"]}))
