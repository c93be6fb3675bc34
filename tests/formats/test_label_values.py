"""A second column that holds labels: more kinds of values than ids have."""

from pathlib import Path

import polars as pl
import pytest

from scorer.errors import DataError
from scorer.formats.open import open_source


def labels_of(path: Path, column: str = "label") -> list[str | None]:
    values = open_source(path).values(column, "--label-column")
    return [cell for batch in values for cell in batch]


def test_labels_of_ndjson_are_spelled_as_they_stand(tmp_path: Path) -> None:
    """Strings, numbers and truth values; what is null or an object in a later row is null."""
    path = tmp_path / "a.ndjson"
    cells = ('"x"', "1", "-0.50", "1e3", "true", "null")
    path.write_text("".join(f'{{"text":"t","label":{cell}}}\n' for cell in cells))
    assert labels_of(path) == ["x", "1", "-0.50", "1e3", "true", None]
    ids = [cell for batch in open_source(path).values("label") for cell in batch]
    assert ids == ["x", "1", None, None, None, None]
    spelled = r'{"text":"t","l\u0061bel":false}' + "\n" + r'{"text":"t","l\u0061bel":2.5}'
    path.write_text(spelled)
    assert labels_of(path) == ["false", "2.5"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('["x"]', "column 'label' of {} is a list, not one label; name another"),
        ('{"id":1}', "column 'label' of {} is an object, not one label; did you mean"),
    ],
)
def test_nested_labels_of_ndjson_are_refused_at_once(tmp_path: Path, cell: str, said: str) -> None:
    """A value inside of the object has a name of its own."""
    path = tmp_path / "a.ndjson"
    path.write_text(f'{{"text":"t","label":{cell}}}\n')
    with pytest.raises(DataError) as caught:
        open_source(path).values("label", "--label-column")
    assert said.format(path) in str(caught.value)
    if "id" in cell:
        assert caught.value.options == {"--label-column": "label.id"}
        assert labels_of(path, "label.id") == ["1"]


def test_labels_of_columns_may_be_numbers_and_truth_values(tmp_path: Path) -> None:
    """In Parquet and Arrow alike; as ids they are refused."""
    frame = pl.DataFrame({"text": ["a", "b"], "label": [True, None], "x": [0.5, 1.0]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.arrow")
    for name in ("a.parquet", "a.arrow"):
        assert labels_of(tmp_path / name) == ["true", None]
        assert labels_of(tmp_path / name, "x") == ["0.5", "1.0"]
        with pytest.raises(DataError, match="bool, neither text nor whole numbers"):
            open_source(tmp_path / name).values("label")


def test_another_name_of_the_same_thing_is_likelier_than_a_similar_one(tmp_path: Path) -> None:
    """`textID` is spelled like `text`, but `tweet` means it."""
    path = tmp_path / "a.csv"
    path.write_text("textID,tweet,sentiment\n1,a,x\n")
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert caught.value.options == {"--text-column": "tweet"}
