import gc
import threading
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from scorer import DataError, Scorer, UsageError, options

TEXTS = ["I love this song", None, "stuck again", "", "see you at the station"]
TAKEN = "the column {!r} exists already; choose other names with label_column and score_column"
MISSING = (
    "the record batch has no column 'text', only: id, tweet; did you mean text_column='tweet'?"
)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int16(), nullable=False, metadata={"unit": "row"}),
        pa.field("text", pa.string()),
    ],
    metadata={"source": "tests"},
)


def batch(start: int, stop: int, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    columns = {"id": list(range(start, stop)), "text": TEXTS[start:stop]}
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def answers(batches: list[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    return [row for b in batches for row in zip(b["label"], b["score"], strict=True)]


def test_one_batch_out_for_each_that_goes_in(tiny: Scorer) -> None:
    """Order, cuts, schema and metadata stay, empty batches too; two columns come last."""
    batches = [batch(0, 2), batch(2, 2), batch(2, 5)]
    scored = list(tiny.score_batches(iter(batches)))
    added = [pa.field("label", pa.string()), pa.field("score", pa.float32())]
    for before, after in zip(batches, scored, strict=True):
        assert after.schema.equals(pa.schema([*SCHEMA, *added], SCHEMA.metadata), True)
        assert after.select(["id", "text"]).equals(before, check_metadata=True)
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(scored)))
    assert frame.select("text", "label", "score").equals(tiny.score(TEXTS))


def test_columns_are_named_as_on_the_command_line(tiny: Scorer) -> None:
    """The text column is chosen, the two others are renamed, and every class has its score."""
    tweets = batch(0, 5).rename_columns(["label", "tweet"])
    [scored] = tiny.score_batches(
        [tweets], "tweet", all_scores=True, label_column="l", score_column="s"
    )
    classes = ["score_negative", "score_neutral", "score_positive"]
    assert scored.schema.names == ["label", "tweet", "l", "s", *classes]
    expected = tiny.score(TEXTS, all_scores=True)
    assert scored.column("score_neutral").to_pylist() == expected["score_neutral"].to_list()


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_every_arrow_string_is_a_text(tiny: Scorer, kind: pa.DataType) -> None:
    """However the texts are stored, the answers are the same and the column stays."""
    tweets = pa.RecordBatch.from_arrays([pa.array(TEXTS).cast(kind)], ["text"])
    scored = list(tiny.score_batches([tweets]))
    assert scored[0].schema.field("text").type == kind
    assert answers(scored) == answers(list(tiny.score_batches([batch(0, 5)])))


def test_a_stream_of_batches_is_an_iterator_too(tiny: Scorer) -> None:
    """A RecordBatchReader goes in as it is."""
    reader = pa.RecordBatchReader.from_batches(SCHEMA, [batch(0, 3), batch(3, 5)])
    assert [b.num_rows for b in tiny.score_batches(reader)] == [3, 2]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_batch_may_take_several_windows(
    tiny: Scorer, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A batch larger than a window comes back whole, with the same answers."""
    whole = list(tiny.score_batches([batch(0, 5), batch(0, 0)]))
    monkeypatch.setattr(options, "CPU_WINDOW", rows)
    cut = list(tiny.score_batches([batch(0, 5), batch(0, 0)]))
    assert [b.num_rows for b in cut] == [5, 0]
    assert answers(cut) == answers(whole)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            batch(0, 1).rename_columns(["id", "tweet"]),
            DataError,
            MISSING,
        ),
        (
            pa.record_batch({"text": [1]}),
            DataError,
            "column 'text' of the record batch is int64, not text; name another with text_column",
        ),
        (
            batch(0, 1).rename_columns(["label", "text"]),
            UsageError,
            TAKEN.format("label"),
        ),
    ],
)
def test_a_batch_that_does_not_fit_ends_the_stream(
    tiny: Scorer, bad: pa.RecordBatch, error: type[Exception], message: str
) -> None:
    """The batches before it are scored; then the error says what is wrong with it."""
    scored = tiny.score_batches([batch(0, 2), bad])
    assert next(scored).num_rows == 2
    with pytest.raises(error) as caught:
        next(scored)
    assert str(caught.value) == message


def test_reading_is_one_batch_ahead(tiny: Scorer) -> None:
    """While a batch is in the caller's hands the next one is read, and none after it."""
    read: list[int] = []
    third = threading.Event()

    def reading() -> Iterator[pa.RecordBatch]:
        for number in range(5):
            read.append(number)
            if number == 2:
                third.set()
            yield batch(number, number + 1)

    scored = tiny.score_batches(reading())
    next(scored)
    next(scored)
    assert third.wait(60)
    assert read == [0, 1, 2]


def test_an_error_of_the_iterator_is_passed_on(tiny: Scorer) -> None:
    """What the caller's own iterator raises comes out after the batches before it."""

    def failing() -> Iterator[pa.RecordBatch]:
        yield batch(0, 2)
        raise ConnectionError("the source has gone")

    scored = tiny.score_batches(failing())
    assert next(scored).num_rows == 2
    with pytest.raises(ConnectionError, match="the source has gone"):
        next(scored)


def test_a_stream_that_is_left_leaves_no_thread(tiny: Scorer) -> None:
    """Who stops in the middle has nothing to close."""
    scored = tiny.score_batches(batch(0, 5) for _ in range(100))
    next(scored)
    del scored
    gc.collect()
    assert "ahead" not in {thread.name for thread in threading.enumerate()}
