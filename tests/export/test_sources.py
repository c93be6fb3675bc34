"""Where labelled texts come from: every format of a run, folders, and saved data sets."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import polars as pl
import pytest

from export.train.dataset import labelled
from export.train.labelled_tables import Columns
from export.train.sources import has_test_rows, read_table
from scorer.errors import DataError, InputMissing
from scorer.options import CsvOptions, InputSpec

FRAME = pl.DataFrame({"text": ["a, b", "", "ñ"], "label": ["no", "yes", "no"]})


def classes(source: Path, split: str = "train", columns: Columns = Columns()) -> list[str]:  # noqa: B008
    data = labelled(read_table(str(source), split, columns), columns)
    return [data.labels[i] for i in data.label_ids]


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": FRAME.write_csv,
    "a.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "semicolons.csv": lambda path: FRAME.write_csv(path, separator=";"),
    "utf16.csv": lambda path: path.write_bytes(FRAME.write_csv().encode("utf-16")),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(FRAME.write_csv().encode())),
    "a.csv.zst": lambda path: FRAME.write_csv(path, compression="zstd"),
    "a.ndjson": FRAME.write_ndjson,
    "a.jsonl": FRAME.write_ndjson,
    "a.parquet": FRAME.write_parquet,
    "a.arrow": FRAME.write_ipc,
    "a.arrows": FRAME.write_ipc_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_of_a_run_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    """The reader of training data is that of `tweetscore run`, dialects and encodings too."""
    WRITERS[name](tmp_path / name)
    table = read_table(str(tmp_path / name), "train", Columns())
    assert [text or "" for text in table.texts] == ["a, b", "", "ñ"]
    assert table.cells.to_list() == ["no", "yes", "no"]
    assert (table.name, len(table.sha256)) == (name, 64)


def test_options_of_csv_are_those_of_a_run(tmp_path: Path) -> None:
    """A file without a header, in another encoding, is read as the options say."""
    (tmp_path / "a.csv").write_bytes("ñ,no\nb,yes\n".encode("latin-1"))
    csv = CsvOptions(encoding="latin-1", columns=("text", "label"))
    assert classes(tmp_path / "a.csv", columns=Columns(files=InputSpec(csv=csv))) == ["no", "yes"]
    FRAME.write_parquet(tmp_path / "a.parquet")  # has no such thing, and may be the test data
    assert len(classes(tmp_path / "a.parquet", columns=Columns(files=InputSpec(csv=csv)))) == 3


def test_rows_that_cannot_be_read_are_65_with_the_remedy_of_a_run(tmp_path: Path) -> None:
    """No row is left out in silence, and an encoding is proposed where one fits."""
    (tmp_path / "a.csv").write_bytes("text,label\nmañana,no\nb,yes\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"no row of .*, the first on line 2") as caught:
        classes(tmp_path / "a.csv")
    assert caught.value.options == {"--encoding": "cp1252"}
    (tmp_path / "b.csv").write_text("text,label\na,no\nb,yes,no\n")
    with pytest.raises(DataError, match=r"first on line 3: .*; mend or remove what is no row"):
        classes(tmp_path / "b.csv")


def test_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """All files of all formats below it; a row's place names the file."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    FRAME.write_parquet(tmp_path / "data" / "b.parquet")
    FRAME[:2].write_csv(tmp_path / "data" / "deep" / "c.csv")
    FRAME[:1].write_ndjson(tmp_path / "data" / "a.ndjson")
    (tmp_path / "data" / "dataset_infos.json").write_text("{}")
    table = read_table(str(tmp_path / "data"), "train", Columns())
    assert table.parts == (("a.ndjson", 1), ("b.parquet", 3), ("deep/c.csv", 2))
    data = labelled(table, Columns())
    assert data.place(3) == "row 3 of b.parquet"
    assert data.of_class(1) == "row 2 of b.parquet, row 2 of deep/c.csv"
    assert not has_test_rows(str(tmp_path / "data"))
    again = read_table(str(tmp_path / "data"), "test", Columns())
    assert (
        again.sha256
        == table.sha256
        != read_table(str(tmp_path / "data" / "b.parquet"), "train", Columns()).sha256
    )


@pytest.mark.parametrize(
    ("train", "test", "other"),
    [
        (
            "data/train-00000-of-00001.parquet",
            "data/test-00000-of-00001.parquet",
            "data/dev.parquet",
        ),
        ("train/0.parquet", "test/0.parquet", "validation/0.parquet"),
        ("tweets_train.parquet", "tweets_test.parquet", "tweets_val.parquet"),
    ],
)
def test_folder_with_parts_gives_each_its_rows(
    tmp_path: Path, train: str, test: str, other: str
) -> None:
    """The layouts of the hub: training never sees the files of another part."""
    for name, rows in ((train, FRAME), (test, FRAME[:1]), (other, FRAME[:2])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        rows.write_parquet(tmp_path / name)
    assert has_test_rows(str(tmp_path))
    assert [len(classes(tmp_path, split)) for split in ("train", "test")] == [3, 1]
    (tmp_path / train).unlink()
    with pytest.raises(InputMissing, match="has files of test, validation alone, none of train"):
        classes(tmp_path)


def test_folder_without_files_is_66(tmp_path: Path) -> None:
    """As a run says it."""
    with pytest.raises(InputMissing, match="no file"):
        classes(tmp_path)


def saved(directory: Path) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    data = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    data.save_to_disk(directory / "one")
    splits = datasets.DatasetDict({"train": data, "test": data.select([0])})
    splits.save_to_disk(directory / "two")
    data.to_parquet(directory / "a.parquet")
    return data


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_saved_data_sets_keep_the_names_of_their_classes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`save_to_disk` of a Dataset and a DatasetDict, and `to_parquet`; alphabet or not."""
    saved(tmp_path)
    capfd.readouterr()
    for name in ("one", "two", "a.parquet"):
        assert classes(tmp_path / name) == ["good", "bad"]
    assert [has_test_rows(str(tmp_path / name)) for name in ("one", "two", "a.parquet")] == [
        False,
        True,
        False,
    ]
    assert classes(tmp_path / "two", "test") == ["good"]
    with pytest.raises(InputMissing, match="has the splits train, test, not validation"):
        classes(tmp_path / "two", "validation")
    assert capfd.readouterr() == ("", "")


def test_damaged_saved_data_set_is_65(tmp_path: Path) -> None:
    """Whatever is wrong with it, it is data and no bug."""
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        classes(tmp_path)
    for content in ("no JSON", json.dumps({"split": []}), "[]"):
        (tmp_path / "dataset_dict.json").write_text(content)
        with pytest.raises(DataError, match="names no splits"):
            classes(tmp_path)


@pytest.mark.parametrize(
    "metadata", [{}, {"huggingface": "no JSON"}, {"huggingface": '{"info": {"features": []}}'}]
)
def test_schema_that_says_nothing_of_classes_is_no_error(
    tmp_path: Path, metadata: dict[str, str]
) -> None:
    """Numbers name themselves then."""
    frame = pl.DataFrame({"text": ["a", "b"], "label": [1, 0]})
    frame.write_parquet(tmp_path / "a.parquet", metadata=metadata)
    assert classes(tmp_path / "a.parquet") == ["1", "0"]
