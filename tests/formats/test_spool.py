from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer.errors import DataError
from scorer.formats.record_batches import answers, keep_texts


def reader(*batches: dict[str, Any]) -> pa.RecordBatchReader:
    made = [pa.RecordBatch.from_pydict(each) for each in batches]
    return pa.RecordBatchReader.from_batches(made[0].schema, made)


def test_texts_come_in_and_answers_go_back(tmp_path: Path) -> None:
    """Numbers and texts under their own names, whatever the database calls them."""
    path = tmp_path / "texts.arrow"
    one, two = {"a": [1, 2], "b": ["x", None]}, {"a": [3], "b": ["z"]}
    assert keep_texts(reader(one, two), path) == 3
    with pa.ipc.open_file(path) as file:
        kept = file.read_all()
    assert kept.to_pydict() == {"row": [1, 2, 3], "text": ["x", None, "z"]}
    scored = kept.append_column("label", pa.array(["p", None, "n"]))
    with pa.ipc.new_file(tmp_path / "scored.arrow", scored.schema) as writer:
        writer.write_table(scored)
    with answers(tmp_path / "scored.arrow", ["nr", "answer"]) as back:
        assert back.read_all().to_pydict() == {"nr": [1, 2, 3], "answer": ["p", None, "n"]}


def test_a_text_of_broken_bytes_is_an_error(tmp_path: Path) -> None:
    """SQLite keeps what it is given; the rows are named."""
    broken = pa.StringArray.from_buffers(
        1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")
    )
    batch = pa.RecordBatch.from_arrays([pa.array([7]), broken], ["row", "text"])
    with pytest.raises(DataError, match="a text in the 1 row from row 7 on is not valid UTF-8"):
        keep_texts(pa.RecordBatchReader.from_batches(batch.schema, [batch]), tmp_path / "texts")
