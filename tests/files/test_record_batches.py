import numpy as np
import pyarrow as pa
import pytest

from scorer.errors import DataError, UsageError
from scorer.files import record_batches
from scorer.files.source import OutputColumns, ScoredSlice

COLUMNS = OutputColumns("label", "score", ("no", "yes"), ("score_no", "score_yes"))
ANSWERS = ScoredSlice(
    offset=0,
    digest=b"",
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
    """A missing text column and a taken name are told in the words of the Python API."""
    batch = pa.record_batch({"tweet": ["a"], "score_no": [1]})
    with pytest.raises(DataError, match=r"the record batch has no column.*text_column='tweet'"):
        record_batches.texts_of(batch, "text", COLUMNS)
    with pytest.raises(UsageError, match=r"'score_no' exists.* with label_column and score_"):
        record_batches.texts_of(batch, "tweet", COLUMNS)
