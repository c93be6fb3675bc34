"""What crosses between polars and pyarrow, without pyarrow's own functions."""

import mmap
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from scorer.errors import DataError
from scorer.formats.added_columns import narrow
from scorer.formats.base import check_digests, text_digest
from scorer.formats.columnar import damage, texts_of


@pytest.mark.parametrize(
    "texts",
    [[], [None, None], ["a", None, "", "ü"], ["x" * 70_000, "y"]],
    ids=["none", "nulls", "mixed", "long"],
)
def test_offsets_are_narrowed(texts: list[str | None]) -> None:
    """The same texts, also from the middle of an array."""
    wide = pa.array(texts, pa.large_string())
    assert narrow(wide).equals(wide.cast(pa.string()))
    around = pa.array(["before", None, *texts, "after"], pa.large_string())
    part = narrow(around.slice(2, len(texts)))
    part.validate(full=True)
    assert part.type == pa.string()
    assert part.to_pylist() == texts


def test_more_text_than_offsets_can_tell_is_an_error() -> None:
    """Wrapped offsets would point anywhere."""
    offsets = pa.py_buffer(np.array([0, 2**31], np.int64))
    untouched = pa.py_buffer(mmap.mmap(-1, 2**31))  # pages that nobody reads take no memory
    huge = pa.LargeStringArray.from_buffers(1, offsets, untouched)
    with pytest.raises(pa.ArrowInvalid, match="too large"):
        narrow(huge)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_of_any_layout(kind: pa.DataType) -> None:
    """Sliced and with nulls; a dictionary is looked up."""
    column = pa.array(["before", "so good", None, ""], kind).slice(1)
    expected = pl.Series("text", ["so good", None, ""], pl.String)
    assert texts_of(column).equals(expected, check_names=True, null_equal=True)
    if kind != pa.string_view():
        assert texts_of(column.dictionary_encode()).to_list() == expected.to_list()


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()])
def test_whole_numbers_are_texts(kind: pa.DataType) -> None:
    """As ids are."""
    assert texts_of(pa.array([1, None, 7], kind)).to_list() == ["1", None, "7"]


def test_memory_that_is_short_is_no_damage(tmp_path: Path) -> None:
    """Only a size that no machine has tells of the file."""
    with pytest.raises(MemoryError), damage(tmp_path / "in.parquet", "Parquet"):
        raise pa.ArrowMemoryError("malloc of size 64 failed")
    words = "is not a readable Parquet file: malloc of size 9000000000000000 failed"
    with pytest.raises(DataError, match=words), damage(tmp_path / "in.parquet", "Parquet"):
        raise pa.ArrowMemoryError("malloc of size 9000000000000000 failed")


@pytest.mark.parametrize("texts", [["a"], ["a", "x"], ["a", "b", "c"]])
def test_texts_that_are_read_back_are_those_of_the_windows(texts: list[str]) -> None:
    """One too few, another one, one too many."""
    windows = [(1, text_digest(pl.Series(["a"]))), (1, text_digest(pl.Series(["b"])))]
    check_digests(Path("x"), iter([pl.Series(["a", "b"])]), windows)
    with pytest.raises(DataError, match="x changed while it was scored"):
        check_digests(Path("x"), iter([pl.Series(texts)]), windows)
