import numpy as np
import pyarrow as pa
import pytest

from scorer.errors import DataError, UsageError
from scorer.formats import record_batches
from scorer.formats.output_columns import OutputColumns
from scorer.records import Answers

COLUMNS = OutputColumns("label", "score", ("no", "yes"), ("score_no", "score_yes"))
ANSWERS = Answers(
    label_ids=np.array([1, -1], np.int16),
    probabilities=np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32),
)


def test_answers_are_appended_and_all_else_is_kept() -> None:
    """Columns, field and schema metadata stay; a blank row's answers are null."""
    field = pa.field("id", pa.int8(), nullable=False, metadata={"unit": "row"})
    schema = pa.schema([field, ("text", pa.string())], metadata={"source": "tests"})
    batch = pa.RecordBatch.from_pydict({"id": [1, 2], "text": ["a", ""]}, schema=schema)
    assert record_batches.texts_of(batch, "text", COLUMNS).to_list() == ["a", ""]
    scored = record_batches.with_answers(batch, ANSWERS, COLUMNS)
    assert scored.schema.metadata == {b"source": b"tests"}
    assert scored.schema.field(0).equals(field, check_metadata=True)
    assert scored.to_pydict() == {
        "id": [1, 2],
        "text": ["a", ""],
        "label": ["yes", None],
        "score": [0.75, None],
        "score_no": [0.25, None],
        "score_yes": [0.75, None],
    }


def test_names_are_checked_before_anything_is_scored() -> None:
    """A missing text column and a taken name are errors in the words of the Python API."""
    batch = pa.record_batch({"tweet": ["a"], "score_no": [1]})
    with pytest.raises(DataError, match=r"the record batch has no column.*text_column='tweet'"):
        record_batches.texts_of(batch, "text", COLUMNS)
    with pytest.raises(UsageError, match=r"'score_no' exists.* with label_column and score_"):
        record_batches.texts_of(batch, "tweet", COLUMNS)


def test_a_table_of_several_chunks_gets_columns_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the texts of none are more than offsets of 32 bits can count."""
    monkeypatch.setattr(record_batches, "_CHUNK", 2)
    table = pa.Table.from_batches(
        [pa.record_batch({"text": texts}) for texts in (["a"], ["", "b"])]
    )
    assert record_batches.texts_of(table, "text", COLUMNS).to_list() == ["a", "", "b"]
    given = Answers(
        label_ids=np.array([1, -1, 0], np.int16),
        probabilities=np.array([[0.25, 0.75], [np.nan, np.nan], [0.5, 0.5]], np.float32),
    )
    scored = record_batches.with_answers(table, given, COLUMNS)
    assert scored.column("label").to_pylist() == ["yes", None, "no"]
    assert scored.column("score").to_pylist() == [0.75, None, 0.5]
    assert [len(chunk) for chunk in scored.column("score_no").chunks] == [2, 1]


def test_a_table_without_rows_gets_its_columns_too() -> None:
    """As a batch without rows does."""
    table = pa.table({"text": pa.array([], pa.string())})
    none = Answers(np.empty(0, np.int16), np.empty((0, 2), np.float32))
    scored = record_batches.with_answers(table, none, COLUMNS)
    assert scored.schema.names == ["text", "label", "score", "score_no", "score_yes"]
    assert scored.num_rows == 0


class Stream:
    """Gives itself as a stream of Arrow, or fails to."""

    def __init__(self, given: pa.RecordBatchReader | None) -> None:
        self._given = given

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if self._given is None:
            raise ValueError("the cursor is closed\nand more")
        return self._given.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return "Stream()"


def test_what_has_batches_gives_them() -> None:
    """One batch, several, or a stream of any library; an item that is none is named."""
    batch = pa.record_batch({"text": ["a"]})
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    for given in (batch, [batch], Stream(reader)):
        assert list(record_batches.checked(record_batches.batches_of(given))) == [batch]
    words = r"item 1 of the batches, counted from 0, is .*; give record batches of pyarrow"
    with pytest.raises(DataError, match=words):
        list(record_batches.checked([batch, "a"]))


@pytest.mark.parametrize("given", ["a", b"a", {"text": ["a"]}, 7])
def test_what_has_no_batches_is_a_mistake_in_the_call(given: object) -> None:
    """Texts and columns are given to other functions."""
    with pytest.raises(UsageError, match=r"the batches are .*; give record batches, or a table"):
        record_batches.batches_of(given)


def test_a_stream_of_no_rows_is_told_in_the_words_of_its_library() -> None:
    """Their first line."""
    with pytest.raises(UsageError, match="are no stream of rows: the cursor is closed; give"):
        record_batches.batches_of(Stream(None))


def test_what_gives_itself_as_arrow_is_an_array() -> None:
    """A stream of texts, or one array of them; anything else is an error with a remedy."""
    chunks = pa.chunked_array([["a"], ["b"]])
    for given in (chunks, pa.array(["a", "b"])):
        column = record_batches.array_of(given, "the texts")
        assert record_batches.texts_of_array(column, "the texts").to_list() == ["a", "b"]
    with pytest.raises(UsageError, match=r"the texts, .*, cannot be read as Arrow: .*; give a lis"):
        record_batches.array_of(Stream(None), "the texts")


def test_values_that_are_all_missing_are_texts() -> None:
    """Whatever type nothing has."""
    assert record_batches.texts_of_array(pa.nulls(2), "the texts").to_list() == [None, None]


@pytest.mark.parametrize(
    ("column", "error", "words"),
    [
        (pa.array([{"text": "a"}]), UsageError, "the texts are records with columns; call score_f"),
        (pa.array([1]), DataError, "the texts are int64, not text; choose a column of texts"),
        (
            pa.chunked_array([[b"a", b"b"], [b"\xff"]]),
            DataError,
            "the texts are not all UTF-8: item 2, counted from 0, is not; decode or mend it",
        ),
        (
            pa.array([b"\xff"]).view(pa.string()),
            DataError,
            "the texts are damaged: ",
        ),
    ],
)
def test_what_is_no_column_of_texts_is_an_error(
    column: pa.Array | pa.ChunkedArray, error: type[Exception], words: str
) -> None:
    """Numbers, records, bytes that are no UTF-8, and memory that is no array at all."""
    with pytest.raises(error) as caught:
        record_batches.texts_of_array(column, "the texts")
    assert str(caught.value).startswith(words)


def test_a_column_of_numbers_is_no_text() -> None:
    """The remedy is in the words of the Python API."""
    with pytest.raises(DataError) as caught:
        record_batches.texts_of(pa.table({"text": [1]}), "text", COLUMNS)
    assert str(caught.value) == (
        "column 'text' of the table is int64, not text; name another with text_column"
    )


def test_lists_are_the_text_of_a_json_array() -> None:
    """Null stays null and an empty list an empty array; without lists the reader is the same."""
    plain = pa.table({"score": pa.array([0.5, None], pa.float32())}).to_reader()
    assert record_batches.lists_as_json(plain) is plain
    lists = [["joy", 'a "b", é'], [], None]
    table = pa.table(
        {"n": [1, 2, 3], "labels": pa.array(lists, pa.list_(pa.string()))},
    )
    read = record_batches.lists_as_json(table.to_reader(max_chunksize=2)).read_all()
    assert read.schema.types == [pa.int64(), pa.string()]
    assert read["n"].to_pylist() == [1, 2, 3]
    assert read["labels"].to_pylist() == ['["joy", "a \\"b\\", é"]', "[]", None]
