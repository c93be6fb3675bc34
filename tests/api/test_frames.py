import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from scorer import DataError, GateFailed, Scorer, UsageError, options
from scorer.cli import tweetscore

SAMPLES = Path(__file__).parents[2] / "samples"

FRAME = pl.DataFrame(
    {
        "id": [30, 10, 20, 40, 50],
        "text": ["I love this song", None, "stuck again", "", "see you at the station"],
        "tags": [["a"], [], None, ["b", "c"], []],
    },
    schema_overrides={"id": pl.UInt16},
)
TAKEN = "the column {!r} exists already; choose other names with label_column and score_column"
ADDED = {"label": pl.String, "score": pl.Float32}


@pytest.fixture
def windows_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "CPU_WINDOW", 2)


@pytest.fixture
def scored_texts(tiny: Scorer, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return a list into which goes every text that is prepared for the model."""
    seen: list[str | None] = []
    prepare = tiny._classifier.prepare

    def noting(texts: pl.Series) -> Any:
        seen.extend(texts)
        return prepare(texts)

    monkeypatch.setattr(tiny._classifier, "prepare", noting)
    return seen


def test_all_columns_pass_through(tiny: Scorer) -> None:
    """Names, types, order and values stay; label and score are those of `score`, and come last."""
    scored = tiny.score_frame(FRAME)
    assert dict(scored.schema) == dict(FRAME.schema) | ADDED
    assert scored.select(FRAME.columns).equals(FRAME)
    assert scored.select("text", *ADDED).equals(tiny.score(FRAME["text"]))


def test_a_frame_gets_what_a_file_gets(
    tiny: Scorer, tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """`tweetscore run` and `score_frame` give the same columns, with the same bits."""
    source, target = SAMPLES / "tweets.parquet", tmp_path / "scored.parquet"
    options = f"--model {tiny_bert_bundle} --device builtin --scores all --chunk-rows 100 -q"
    command = ["run", str(source), "-o", str(target), *options.split()]
    tweetscore(command, standalone_mode=False)
    scored = tiny.score_frame(pl.read_parquet(source), all_scores=True)
    assert pl.read_parquet(target).equals(scored)


def test_columns_are_named_as_on_the_command_line(tiny_bert_bundle: Path) -> None:
    """Label names change values only; a score per class keeps the model's name of it."""
    named = Scorer(tiny_bert_bundle, device="builtin", labels=("N", "0", "P"))
    frame = FRAME.rename({"text": "tweet"}).with_columns(label=pl.lit("mine"))
    scored = named.score_frame(frame, "tweet", all_scores=True, label_column="l", score_column="s")
    classes = ["score_negative", "score_neutral", "score_positive"]
    assert scored.columns == [*frame.columns, "l", "s", *classes]
    assert set(scored["l"].drop_nulls()) <= {"N", "0", "P"}
    assert scored.select(pl.max_horizontal(classes)).to_series().equals(scored["s"])


@pytest.mark.usefixtures("windows_of_two")
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_windows_leave_no_trace(tiny: Scorer, rows: int) -> None:
    """A frame that takes several windows gets each row's own answer, as alone."""
    frame = FRAME.head(rows)
    alone = [tiny.score_frame(frame.slice(row, 1)) for row in range(rows)]
    scored = tiny.score_frame(frame)
    assert scored.equals(pl.concat(alone)) if rows else scored.schema == frame.schema | ADDED


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.Enum(FRAME["text"].drop_nulls())])
def test_categories_are_texts(tiny: Scorer, kind: pl.DataType) -> None:
    """A categorical text column is scored, and comes back as it was."""
    frame = FRAME.with_columns(pl.col("text").cast(kind))
    scored = tiny.score_frame(frame)
    assert scored["text"].dtype == kind
    assert scored.select(*ADDED).equals(tiny.score_frame(FRAME).select(*ADDED))


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("frame", "names", "error", "message"),
    [
        (
            FRAME.rename({"text": "tweet"}).drop("tags"),
            {},
            DataError,
            "the frame has no column 'text', only: id, tweet; did you mean text_column='tweet'?",
        ),
        (
            FRAME.drop("text"),
            {},
            DataError,
            "the frame has no column 'text', only: id, tags; name one with text_column",
        ),
        (
            FRAME,
            {"text_column": "id"},
            DataError,
            "column 'id' of the frame is UInt16, not text; name another with text_column",
        ),
        (
            FRAME.with_columns(score=1),
            {},
            UsageError,
            TAKEN.format("score"),
        ),
        (
            FRAME,
            {"score_column": "label"},
            UsageError,
            TAKEN.format("label"),
        ),
        (
            FRAME.with_columns(score_neutral=1),
            {"all_scores": True},
            UsageError,
            TAKEN.format("score_neutral"),
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tiny: Scorer,
    frame: pl.DataFrame,
    names: dict[str, Any],
    error: type[Exception],
    message: str,
    lazy: bool,
) -> None:
    """The call itself fails, of a LazyFrame too, and says what there is and what to do."""
    with pytest.raises(error) as caught:
        tiny.score_frame(frame.lazy() if lazy else frame, **names)
    assert str(caught.value) == message


@pytest.mark.usefixtures("windows_of_two")
@pytest.mark.parametrize("engine", ["auto", "in-memory", "streaming"])
def test_a_lazy_frame_gives_what_a_frame_gives(tiny: Scorer, engine: Any) -> None:
    """The plan has the columns before it runs, and the same rows in the same order after."""
    lazy = tiny.score_frame(FRAME.lazy(), all_scores=True)
    scored = tiny.score_frame(FRAME, all_scores=True)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect_schema() == scored.schema
    assert lazy.collect(engine=engine).equals(scored)


@pytest.mark.usefixtures("windows_of_two")
def test_a_lazy_frame_can_be_asked_further(tiny: Scorer) -> None:
    """Slices, conditions, projections, groups and joins see what they see of a frame."""
    lazy, scored = tiny.score_frame(FRAME.lazy()), tiny.score_frame(FRAME)
    likely = (pl.col("score") > 0.3) & (pl.col("id") < 50)
    pairs: list[tuple[pl.LazyFrame, pl.DataFrame]] = [
        (lazy.slice(1, 3), scored.slice(1, 3)),
        (lazy.tail(2), scored.tail(2)),
        (lazy.filter(likely).select("label"), scored.filter(likely).select("label")),
        (lazy.head(3).filter(likely), scored.head(3).filter(likely)),
        (lazy.filter(likely).head(1), scored.filter(likely).head(1)),
        (lazy.select(pl.len()), scored.select(pl.len())),
        (
            lazy.group_by("label").len().sort("label"),
            scored.group_by("label").len().sort("label"),
        ),
        (
            lazy.join(lazy.select("id", again="score"), on="id", maintain_order="left"),
            scored.join(scored.select("id", again="score"), on="id", maintain_order="left"),
        ),
    ]
    for asked, expected in pairs:
        assert asked.collect().equals(expected), asked.explain()


@pytest.mark.parametrize(
    ("ask", "texts"),
    [
        (lambda lazy: lazy.filter(pl.col("id") > 30), ["", "see you at the station"]),
        (lambda lazy: lazy.head(1), ["I love this song"]),
        (lambda lazy: lazy.select("id", "tags"), []),
        (lambda lazy: lazy.select("id").filter(pl.col("id") > 30), []),
        (lambda lazy: lazy.select("label"), FRAME["text"].to_list()),
        (lambda lazy: lazy.filter(pl.col("score") > 2).select("id"), FRAME["text"].to_list()),
    ],
)
def test_only_what_is_asked_for_is_scored(
    tiny: Scorer, scored_texts: list[str | None], ask: Any, texts: list[str | None]
) -> None:
    """A condition on the input's columns comes before the model, as a limit and a choice do."""
    ask(tiny.score_frame(FRAME.lazy())).collect()
    assert scored_texts == texts


def test_a_lazy_frame_is_scored_while_it_is_read(
    tiny: Scorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever the rows, few windows are in memory: reading waits for scoring."""
    batches, rows = 400, 50
    monkeypatch.setattr(options, "CPU_WINDOW", rows)
    read = scored = most = 0
    counting = threading.Lock()

    def source(*_: object) -> Iterator[pl.DataFrame]:
        nonlocal read
        for number in range(batches):
            with counting:
                read += 1
            yield pl.DataFrame({"id": [number] * rows, "text": ["I love this song"] * rows})

    score = tiny._classifier.score

    def noting(prepared: Any) -> Any:
        nonlocal scored, most
        with counting:
            scored += 1
            most = max(most, read - scored)
        return score(prepared)

    monkeypatch.setattr(tiny._classifier, "score", noting)
    frame = register_io_source(source, schema={"id": pl.Int64, "text": pl.String})
    tiny.score_frame(frame).sink_parquet(tmp_path / "scored.parquet")
    written = pl.read_parquet(tmp_path / "scored.parquet")
    assert written["id"].to_list() == [number for number in range(batches) for _ in range(rows)]
    assert written["label"].null_count() == 0
    assert read == scored == batches
    assert most < batches / 4


def test_an_error_while_collecting_is_ours(tiny: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in the middle of a plan arrives as the error that it is."""
    lazy = tiny.score_frame(FRAME.lazy())
    broken = GateFailed("answers that are not numbers", "use fp32")

    def fail(_: object) -> None:
        raise broken

    monkeypatch.setattr(tiny._classifier, "score", fail)
    with pytest.raises(GateFailed, match="answers that are not numbers; use fp32"):
        lazy.collect()
