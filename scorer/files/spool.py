"""Texts of a database as a file for a run, and the scored file as answers for the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.counts import counted
from scorer.errors import DataError
from scorer.files.storage import reading, writing

_SCHEMA = pa.schema([("row", pa.int64()), ("text", pa.string())])


def keep_texts(reader: Any, path: Path) -> int:
    """Write numbered texts to a new Arrow file and return how many there are.

    Args:
        reader: RecordBatchReader of two columns, a row's number and its text.
        path: The new file.

    Raises:
        DataError: a text is not valid UTF-8; SQLite does not check.
    """
    count = 0
    with writing(path), path.open("xb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for batch in reader:
            ours = pa.RecordBatch.from_arrays(
                [
                    column.cast(kind)
                    for column, kind in zip(batch.columns, _SCHEMA.types, strict=True)
                ],
                schema=_SCHEMA,
            )
            _check(ours)
            writer.write_batch(ours)
            count += len(ours)
    return count


def _check(batch: pa.RecordBatch) -> None:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        row = batch.column(0)[0].as_py()
        raise DataError(
            f"a text in the {counted(len(batch), 'row')} from row {row:,} on is not valid UTF-8",
            "mend it in the database",
        ) from error


@contextmanager
def answers(path: Path, names: list[str]) -> Iterator[pa.RecordBatchReader]:
    """Give what scoring made of such a file, without the texts, under other names.

    Args:
        path: The scored file.
        names: For the row's number and the columns that scoring appended.
    """
    with reading(path), path.open("rb") as file, pa.ipc.open_file(file) as scored:
        kinds = [field.type for field in scored.schema if field.name != "text"]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        batches = (
            pa.RecordBatch.from_arrays(
                scored.get_batch(i).drop_columns("text").columns, schema=schema
            )
            for i in range(scored.num_record_batches)
        )
        yield pa.RecordBatchReader.from_batches(schema, batches)
