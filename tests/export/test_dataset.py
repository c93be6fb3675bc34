"""Labelled tweets from files and from the hub."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest

from export.train.dataset import (
    LabelledTexts,
    folds,
    labelled,
    stratified,
)
from export.train.labelled_tables import Columns, of_frame
from export.train.sources import on_hub, read_table
from scorer.errors import DataError, InputMissing, UsageError


def labels_of(columns: Columns, **cells: Any) -> LabelledTexts:
    return labelled(of_frame(pl.DataFrame(cells), "tweets.csv", columns), columns)


def classes(data: LabelledTexts) -> list[str]:
    return [data.labels[i] for i in data.label_ids]


def test_csv_is_read_as_text(tmp_path: Path) -> None:
    """A cell that looks like a number, even like 1e3, stays the text it is."""
    path = tmp_path / "tweets.csv"
    path.write_text('text,label\n007,0\n"1e3",1\n,1\n', encoding="utf-8")
    data = labelled(read_table(str(path), "train", Columns()), Columns())
    assert data.texts.to_list() == ["007", "1e3", None]
    assert data.name == "tweets.csv"
    assert len(data.sha256) == 64


def test_tsv_and_parquet_hold_the_same(tmp_path: Path) -> None:
    """The format of a file does not change its rows."""
    frame = pl.DataFrame({"text": ["a", "b"], "label": ["no", "yes"]})
    frame.write_csv(tmp_path / "tweets.tsv", separator="\t")
    frame.write_parquet(tmp_path / "tweets.parquet")
    for name in ("tweets.tsv", "tweets.parquet"):
        data = labelled(read_table(str(tmp_path / name), "train", Columns()), Columns())
        assert data.texts.to_list() == ["a", "b"]
        assert classes(data) == ["no", "yes"]


def test_names_are_numbered_in_alphabetical_order() -> None:
    """Names without an order of their own get one that does not depend on the rows."""
    data = labels_of(Columns(), text=["a", "b", "c"], label=["positive", "neutral", "negative"])
    assert data.labels == ("negative", "neutral", "positive")
    assert data.label_ids.tolist() == [2, 1, 0]


def test_label_names_decide_the_order() -> None:
    """--label-names gives the ids, to names and to numbers."""
    columns = Columns(names=("positive", "negative"))
    by_name = labels_of(columns, text=["a", "b"], label=["negative", "positive"])
    by_number = labels_of(columns, text=["a", "b"], label=["1", "0"])
    assert by_name.label_ids.tolist() == by_number.label_ids.tolist() == [1, 0]
    assert by_name.labels == by_number.labels == ("positive", "negative")


@pytest.mark.parametrize("cells", [[0, 4, 4], ["0", "4", "4"], [0.0, 4.0, 4.0]])
def test_numbers_with_gaps_are_numbered_anew(cells: list[Any]) -> None:
    """Classes 0 and 4 become ids 0 and 1 and keep their numbers as names."""
    data = labels_of(Columns(), text=["a", "b", "c"], label=cells)
    assert data.labels == ("0", "4")
    assert data.label_ids.tolist() == [0, 1, 1]


def test_test_rows_follow_the_training_rows_names() -> None:
    """Numbers that name themselves mean the same in a table that has only some of them."""
    test = labels_of(Columns(names=("0", "4")), text=["a"], label=["4"])
    assert test.label_ids.tolist() == [1]


def test_numbers_take_their_names_from_the_column_beside() -> None:
    """The layout of mteb: `label` 0, 1, 2 and `label_text` with their names."""
    data = labels_of(
        Columns(), text=["a", "b", "c"], label=[2, 0, 1], label_text=["good", "bad", "so-so"]
    )
    assert data.labels == ("bad", "so-so", "good")
    assert classes(data) == ["good", "bad", "so-so"]


def test_names_beside_that_contradict_each_other_are_not_taken() -> None:
    """One number with two names keeps the number as its name."""
    data = labels_of(Columns(), text=["a", "b", "c"], label=[0, 1, 1], label_text=["x", "y", "z"])
    assert data.labels == ("0", "1")


@pytest.mark.parametrize(
    ("cells", "names", "said"),
    [
        (["good", "bda"], ("bad", "good"), "unknown labels: 'bda' (--label-names has bad, good)"),
        (["0", "2"], ("bad", "good"), "unknown labels: '2' (bad, good are numbered 0 to 1)"),
        (["good", " "], (), "1 text of tweets.csv has no label in 'label' (row 2)"),
        ([0.0, float("nan")], (), "1 text of tweets.csv has no label in 'label' (row 2)"),
        ([None, None], (), "2 texts of tweets.csv have no label in 'label' (row 1, row 2)"),
        (["good", None], (), "1 text of tweets.csv has no label in 'label' (row 2)"),
    ],
)
def test_unusable_labels_are_named(cells: list[Any], names: tuple[str, ...], said: str) -> None:
    """A label that is unknown or missing is an error that shows it."""
    with pytest.raises(DataError) as caught:
        labels_of(Columns(names=names), text=["a", "b"], label=cells)
    assert said in str(caught.value)
    assert caught.value.exit_code == 65


def test_row_without_text_needs_no_label() -> None:
    """The one row of the data set that is empty altogether is no error; it is dropped later."""
    data = labels_of(Columns(), text=["a", "b", None], label=["x", "y", None])
    assert data.texts.null_count() == 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            Columns(),
            "no column 'text', only: textID, tweet, sentiment; did you mean --text-column tweet?",
        ),
        (Columns(text="tweet"), "did you mean --label-column sentiment?"),
        (Columns(text="tweet", label="sentimet"), "did you mean --label-column sentiment?"),
    ],
)
def test_missing_column_is_answered_with_the_likeliest(columns: Columns, said: str) -> None:
    """The error lists the columns there are and proposes one."""
    with pytest.raises(DataError) as caught:
        labels_of(columns, textID=[1, 2], tweet=["a", "b"], sentiment=["x", "y"])
    assert said in str(caught.value)


def test_text_column_must_hold_text() -> None:
    """A column of numbers is not taken for texts."""
    with pytest.raises(DataError, match="is int64, not text; name another with --text-column"):
        labels_of(Columns(), text=[1, 2], label=["x", "y"])


DATES = [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (pl.Series(["b", "a"], dtype=pl.Categorical), ("a", "b")),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"])), ("a", "b")),
        (pl.Series([b"b", b"a"]), ("a", "b")),
        (pl.Series([True, False]), ("false", "true")),
        (pl.Series([1, 0], dtype=pl.UInt8), ("0", "1")),
        (pl.Series([1.0, 0.0], dtype=pl.Float32), ("0", "1")),
        (pl.Series([1, 0], dtype=pl.Decimal(10, 2)), ("0", "1")),
    ],
)
def test_labels_of_every_type_that_can_name_a_class(
    tmp_path: Path, cells: pl.Series, labels: tuple[str, ...]
) -> None:
    """Text in any form, whole numbers in any form, and truth values."""
    pl.DataFrame({"text": ["a", "b"], "label": cells}).write_parquet(tmp_path / "a.parquet")
    data = labelled(read_table(str(tmp_path / "a.parquet"), "train", Columns()), Columns())
    assert (data.labels, data.label_ids.tolist()) == (labels, [1, 0])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (pl.Series([[1], [2, 3]]), "is large_list<"),
        (pl.Series([{"id": 1}, {"id": 2}]), "did you mean --label-column label.id?"),
        (pl.Series(DATES), "is date32[day], neither text nor numbers, so no label"),
        (pl.Series(DATES).cast(pl.Datetime), "is timestamp[us], neither text"),
        (pl.Series([[0.5], [1.5]], dtype=pl.Array(pl.Float64, 1)), "neither text nor numbers"),
        (pl.Series([0.25, 1.0]), "holds continuous numbers such as 0.25 (row 1), not classes"),
        (pl.Series([b"\xff", b"a"]), "row 1 of column 'label'"),
    ],
)
def test_labels_of_another_type_are_refused_by_name(
    tmp_path: Path, cells: pl.Series, said: str
) -> None:
    """What is no class is said, from a file and from a frame of the hub, and is no bug of ours."""
    frame = pl.DataFrame({"text": ["a", "b"], "label": cells})
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError) as of_file:
        labelled(read_table(str(tmp_path / "a.parquet"), "train", Columns()), Columns())
    with pytest.raises(DataError) as of_hub:
        labels_of(Columns(), **frame.to_dict(as_series=True))
    assert said in str(of_file.value)
    assert said in str(of_hub.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([[1], [2]], "column 'label' of a.ndjson is a list, not one label"),
        (
            [{"id": 1}, {"id": 2}],
            "is an object, not one label; did you mean --label-column label.id",
        ),
        ([0.5, 1], "holds continuous numbers such as 0.5 (row 1)"),
        ([1, None], "1 text of a.ndjson has no label in 'label' (row 2)"),
    ],
)
def test_labels_of_ndjson_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: list[Any], said: str
) -> None:
    """A member of an object can be anything too."""
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"text": "a", "label": cell}) for cell in cells]
    Path("a.ndjson").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        labelled(read_table("a.ndjson", "train", Columns()), Columns())
    assert said in str(caught.value)


def test_labels_of_ndjson_are_text_numbers_or_truth_values(tmp_path: Path) -> None:
    """As they are spelled, also where the key is; a label inside of an object has a name."""
    path = tmp_path / "a.ndjson"
    path.write_text('{"text":"a","y":{"z":true}}\n{"text":"b","y":{"\\u007a":false}}\n')
    columns = Columns(label="y.z")
    data = labelled(read_table(str(path), "train", columns), columns)
    assert (data.labels, data.label_ids.tolist()) == (("false", "true"), [1, 0])


def test_labels_as_many_as_rows_are_no_classes() -> None:
    """A column of ids, of texts or of whole measurements is not taken for one of classes."""
    for cells in (list(range(50)), [f"id {i}" for i in range(50)]):
        with pytest.raises(DataError, match="has 50 different labels in 50 rows, so they are not"):
            labels_of(Columns(), text=["a"] * 50, label=cells)


def test_missing_file_is_66(tmp_path: Path) -> None:
    """A file that is not there is said to be missing, and is not looked up on the hub."""
    with pytest.raises(InputMissing, match="there are no training data in") as caught:
        read_table(str(tmp_path / "nowhere.csv"), "train", Columns())
    assert caught.value.exit_code == 66


def test_unreadable_file_is_65(tmp_path: Path) -> None:
    """A broken file is bad data."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError):
        read_table(str(tmp_path / "a.parquet"), "train", Columns())


def test_file_without_a_format_is_refused_with_the_option_that_names_one(tmp_path: Path) -> None:
    """As `tweetscore run` refuses it, but the remedy is one for a training."""
    (tmp_path / "a.txt").write_bytes(b"text,label\na,x\n")
    with pytest.raises(UsageError, match="looks like CSV; add --format csv"):
        read_table(str(tmp_path / "a.txt"), "train", Columns())
    (tmp_path / "a.json").write_bytes(b'[{"text": "a", "label": "x"}]')
    with pytest.raises(DataError, match=r"make another file of it first: .* > .*/a\.ndjson"):
        read_table(str(tmp_path / "a.json"), "train", Columns())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("mteb/tweet_sentiment_extraction", True),
        ("./data/tweets", False),
        ("data/tweets.csv", False),
        ("/data/tweets", False),
        ("tweets", False),
    ],
)
def test_hub_names_read_like_owner_and_name(source: str, expected: bool) -> None:
    """What looks like a file is never asked of the hub."""
    assert on_hub(source) is expected


def test_hub_split_is_read_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, and class names from the hub's schema; the library's answer is a stub."""
    stub = datasets.Dataset.from_dict(
        {"text": ["a", "b", None], "label": [1, 0, 1]},
        features=datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
        ),
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: stub)
    first, second = (read_table("owner/tweets", "train", Columns()) for _ in range(2))
    data = labelled(first, Columns())
    assert (data.name, data.labels) == ("owner/tweets:train", ("bad", "good"))
    assert data.label_ids.tolist() == [1, 0, 1]
    assert first.sha256 == second.sha256


def test_hub_that_does_not_answer_is_66(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the error names data set, cause and remedy."""

    def offline(name: str, split: str) -> None:
        raise ConnectionError(f"Couldn't reach {name} ({split})\nmany more lines")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(InputMissing) as caught:
        read_table("owner/tweets", "test", Columns())
    assert "data set owner/tweets (test) cannot be fetched" in str(caught.value)
    assert "name a local .csv or .parquet file" in str(caught.value)
    assert "many more" not in str(caught.value)


def test_held_out_rows_keep_the_classes_in_proportion() -> None:
    """A stratified split is seeded, complete, and fair to rare classes."""
    label_ids = np.array([0] * 80 + [1] * 20)
    others, held_out = stratified(label_ids, 10, seed=1)
    assert np.bincount(label_ids[held_out]).tolist() == [8, 2]
    assert sorted([*others, *held_out]) == list(range(100))
    assert np.array_equal(held_out, stratified(label_ids, 10, seed=1)[1])
    assert not np.array_equal(held_out, stratified(label_ids, 10, seed=2)[1])


def test_too_few_rows_to_hold_out_is_65() -> None:
    """A held-out part that cannot have every class is an error that says so."""
    with pytest.raises(DataError, match="2 of 20 rows cannot be held out") as caught:
        stratified(np.array([0] * 10 + [1] * 5 + [2] * 5), 2, seed=1)
    assert caught.value.options == {"--validation": "0.15"}
    assert len(stratified(np.array([0] * 10 + [1] * 5 + [2] * 5), 3, seed=1)[1]) == 3


def test_folds_place_every_row_once() -> None:
    """Folds are a partition, each with its share of every class."""
    label_ids = np.array([0] * 30 + [1] * 15)
    parts = folds(label_ids, 3, seed=4)
    assert sorted(np.concatenate(parts)) == list(range(45))
    assert [np.bincount(label_ids[part]).tolist() for part in parts] == [[10, 5]] * 3
    with pytest.raises(DataError, match="a class with 15 rows cannot be spread over 16 folds"):
        folds(label_ids, 16, seed=4)
