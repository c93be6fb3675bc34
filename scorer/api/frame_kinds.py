"""Which frames there are, and the module that knows each of them."""

from typing import Any, Protocol

import polars as pl

from scorer.api import frames, pandas_frames
from scorer.api.texts import is_frame_of_pandas
from scorer.errors import UsageError, shown
from scorer.formats.base import OutputColumns
from scorer.records import Answers


class Kind(Protocol):
    """What there is to do with a kind of frames."""

    def texts_of(self, frame: Any, text_column: str, columns: OutputColumns, /) -> pl.Series:
        """Return the texts, after the columns have been checked."""

    def with_answers(self, frame: Any, answers: Answers, columns: OutputColumns, /) -> Any:
        """Return the frame with the columns that scoring appends."""


def kind_of(frame: object) -> Kind:
    """Return the module that knows such frames; no library is loaded that the caller has not.

    Raises:
        UsageError: There is none.
    """
    if isinstance(frame, pl.DataFrame):
        return frames
    if is_frame_of_pandas(frame):
        return pandas_frames
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        from scorer.formats import record_batches

        if isinstance(frame, (record_batches.RecordBatch, record_batches.Table)):
            return record_batches
    raise UsageError(
        f"the frame is {shown(frame)}, none of polars, pandas or pyarrow",
        "make one, as with polars.DataFrame(frame); for texts alone call score",
    )
