"""Text in columns of bytes, as Impala and ClickHouse write it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.formats import record_batches
from scorer.formats.base import Source
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.options import InputSpec
from tests.formats.files_helpers import SCHEMA, slices

WORDS = [b"ok", None, "caf\xe9 \U0001f642".encode(), b"", b"last"]
TEXTS = ["ok", None, "caf\xe9 \U0001f642", "", "last"]
OF_PARQUET = [
    pa.binary(),
    pa.large_binary(),
    pa.dictionary(pa.int32(), pa.binary()),
    pa.struct([pa.field("text", pa.binary())]),
]
OF_ARROW = [*OF_PARQUET, pa.binary_view(), pa.dictionary(pa.int8(), pa.large_binary())]
KINDS = [*(("parquet", kind) for kind in OF_PARQUET), *(("arrow", kind) for kind in OF_ARROW)]


def column(words: list[bytes | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(words, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([pa.array(words)], ["text"])
    return pa.array(words, kind)


def opened(path: Path, words: list[bytes | None], kind: pa.DataType) -> Source:
    """Write a column of words and open it; Parquet as those write it who know no Arrow."""
    table = pa.table({"text": column(words, kind), "id": column(words, kind)})
    if path.suffix == ".parquet":
        pq.write_table(table, path, store_schema=pa.types.is_dictionary(kind))
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    return open_source(path, InputSpec("text.text" if pa.types.is_struct(kind) else "text"))


def read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.ipc.open_stream(path) as reader:
        return reader.read_all()


@pytest.mark.parametrize(("suffix", "kind"), KINDS, ids=str)
def test_bytes_that_are_utf8_are_a_text(suffix: str, kind: pa.DataType, tmp_path: Path) -> None:
    """Their column comes back with the type and the values that it had."""
    source = opened(tmp_path / f"in.{suffix}", WORDS, kind)
    texts = [text for window in source.windows(2) for text in window.texts]
    assert texts == TEXTS
    ids = source.values("id.text" if pa.types.is_struct(kind) else "id")
    assert [value for piece in ids for value in piece] == TEXTS
    source.write_scored(out := tmp_path / f"out.{suffix}", SCHEMA, slices(source, 2))
    before, after = read(source.path), read(out)
    assert after.select(["text", "id"]).equals(before, check_metadata=True)
    assert after["label"].to_pylist() == ["neutral", None, "neg", None, "neutral"]


@pytest.mark.parametrize(("suffix", "kind"), KINDS, ids=str)
def test_a_row_that_is_no_utf8_is_named(suffix: str, kind: pa.DataType, tmp_path: Path) -> None:
    """With its column, the right one of two, and what can be done."""
    words = [*WORDS, b"caf\xe9", b"ok"]
    source = opened(tmp_path / f"in.{suffix}", words, kind)
    deeper = ".text" if pa.types.is_struct(kind) else ""
    for name, option, read_all in (
        ("text", "--text-column", lambda: list(source.windows(2))),
        ("id", "--id-column", lambda: list(source.values(f"id{deeper}"))),
    ):
        with pytest.raises(DataError) as caught:
            read_all()
        assert str(caught.value) == (
            f"row 6 of column '{name}{deeper}' of {source.path} is not UTF-8; "
            f"write it again as UTF-8, or name another column with {option}"
        )


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_bytes_of_one_length_are_no_text(suffix: str, tmp_path: Path) -> None:
    """They are padded with what is no part of a text, or are no text at all: a UUID, a number."""
    with pytest.raises(DataError, match=r"is fixed_size_binary\[4\], not text; name another with"):
        opened(tmp_path / f"in.{suffix}", [b"ok\0\0"], pa.binary(4))


def test_record_batches_of_bytes_have_texts() -> None:
    """The error names the place in a caller's batch that has none."""
    columns = OutputColumns("label", "score", ("a",))
    batch = pa.record_batch({"text": pa.array(WORDS)})
    assert record_batches.texts_of(batch, "text", columns).to_list() == TEXTS
    batch = pa.record_batch({"text": pa.array([b"ok", b"\xff"])})
    with pytest.raises(
        DataError,
        match=r"the texts of column 'text' of the record batch .* item 1, counted from 0, is not",
    ):
        record_batches.texts_of(batch, "text", columns)
