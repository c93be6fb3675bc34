"""Texts of Python programs as one column, and batches of texts scored in order."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from scorer.errors import DataError, UsageError, is_unicode, shown
from scorer.options import window_rows
from scorer.prefetch import one_ahead
from scorer.records import Answers, Scores

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier


KINDS = (pl.String, pl.Categorical, pl.Enum, pl.Null)  # of a column of polars that holds texts
_PLAIN = {str, type(None)}
_NUMBERS = (float, np.floating)  # whose NaN is how pandas and numpy say that a value is missing
_TIMES = (np.datetime64, np.timedelta64)
# The two halves of an emoji become the emoji; a half alone becomes a question mark.
_WHOLE = "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"


def text_series(values: Any, place: str = "the texts") -> pl.Series:
    """Return texts as a column, String [items], null where a text is missing.

    Missing are None, NaN, NaT and pandas' NA. Nothing else is made a text: a number in a column
    of texts is a mistake of whoever filled it.

    Args:
        values: A list, a tuple, any other iterable; an array or a column of numpy, pandas, polars
            or Arrow.
        place: What it is, for messages.

    Raises:
        DataError: An item is no text, or no Unicode.
        UsageError: It is no sequence of texts.
    """
    _refuse_what_holds_no_texts(values, place)
    if isinstance(values, pl.Series):
        if isinstance(values.dtype, KINDS):
            return values.cast(pl.String).alias("text")
        if values.dtype != pl.Object:
            raise DataError(f"{place} are {values.dtype}, not text", "choose a column of texts")
    elif _is_arrow(values):
        from scorer.formats.record_batches import array_of, texts_of_array

        return texts_of_array(array_of(values, place), place)
    try:
        items = iter(values)
    except TypeError as error:
        raise UsageError(f"{place} are {shown(values)}", "give a list of texts") from error
    return _listed(list(items), place)


def one_text(value: object) -> pl.Series:
    """Return a single text as a column of one row; raises what `text_series` raises."""
    if not isinstance(value, str) and not _is_missing(value):
        raise UsageError(
            f"the text is {shown(value)}, not a string", "for several call Scorer().score(texts)"
        )
    return _listed([value], "the texts")


def is_frame_of_pandas(value: object) -> bool:
    """Tell whether it is a DataFrame of pandas, which is never imported here."""
    pandas = sys.modules.get("pandas")
    kind = getattr(pandas, "DataFrame", None)
    return kind is not None and isinstance(value, kind)


def _refuse_what_holds_no_texts(values: object, place: str) -> None:
    """Refuse what can be iterated over, but whose items are not its texts."""
    if isinstance(values, (str, bytes, bytearray, memoryview)):
        raise UsageError("a single text is no sequence of texts", "put it into a list")
    if isinstance(values, (pl.DataFrame, pl.LazyFrame)) or is_frame_of_pandas(values):
        raise UsageError(
            f"a {type(values).__name__} is no sequence of texts",
            "call score_frame(frame, 'text'), or score(frame['text'])",
        )
    if isinstance(values, Mapping):
        raise UsageError(f"{place} are {shown(values)}", "give a list, as with list(D.values())")


def _is_arrow(values: object) -> bool:
    """Tell whether it gives itself as Arrow; a Series of pandas does, but not with mixed types."""
    series = getattr(sys.modules.get("pandas"), "Series", None)
    if series is not None and isinstance(values, series):
        return False
    return hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")


def _listed(items: list[Any], place: str) -> pl.Series:
    if not set(map(type, items)) <= _PLAIN:
        items = [_text(item, number, place) for number, item in enumerate(items)]
    try:
        return pl.Series("text", items, dtype=pl.String)
    except UnicodeEncodeError as error:
        raise _half(items, place) from error


def _text(item: object, number: int, place: str) -> str | None:
    if isinstance(item, str):
        return str.__str__(item)  # without what a subclass of str makes of it
    if _is_missing(item):
        return None
    remedy = "decode it, as with .decode('utf-8')" if isinstance(item, bytes) else "make it a text"
    raise DataError(
        f"item {number} of {place}, counted from 0, is {shown(item)}, not text",
        f"{remedy}, or None",
    )


def _is_missing(item: object) -> bool:
    if item is None or item is np.ma.masked:
        return True
    if isinstance(item, _NUMBERS):
        return math.isnan(item)
    if isinstance(item, Decimal):
        return item.is_nan()
    if isinstance(item, _TIMES):
        return bool(np.isnat(item))
    pandas = sys.modules.get("pandas")
    return pandas is not None and any(
        hasattr(pandas, name) and item is getattr(pandas, name) for name in ("NA", "NaT")
    )


def _half(items: list[Any], place: str) -> DataError:
    number = next(n for n, item in enumerate(items) if item is not None and not is_unicode(item))
    return DataError(
        f"item {number} of {place}, counted from 0, has half an emoji or another letter "
        f"(a lone surrogate): {ascii(items[number])[:60]}",
        f"mend it with {_WHOLE}",
    )


T = TypeVar("T")


def scored(
    classifier: "Classifier", batches: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Answers]]:
    """Yield each batch with the answers for its texts, in order.

    The batches are read in another thread, which is at most one batch ahead. Inside a batch
    memory is that of two windows, beside the answers.
    """
    held: list[Scores] = []
    with closing(one_ahead(_prepared(classifier, batches))) as windows:
        for batch, window, is_last in windows:
            held.append(classifier.score(window))
            if is_last:
                yield batch, Answers.concatenated(held)
                held = []


def _prepared(
    classifier: "Classifier", batches: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Any, bool]]:
    """Cut each batch's texts into windows, and prepare them; mark the last window of each batch."""
    rows = window_rows(classifier.runtime.device)
    for batch, texts in batches:
        starts = range(0, max(len(texts), 1), rows)  # no texts are one window too
        for start in starts:
            yield batch, classifier.prepare(texts.slice(start, rows)), start == starts[-1]
