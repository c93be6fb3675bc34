"""Texts as Python programs hold them: the right answer, or an error of ours that names the item."""

import datetime as dt
from collections import UserList, deque
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer import DataError, Scorer, TweetscoreError, UsageError, predict_sentiment

TEXTS = ["I love this song", None, "stuck again", "", "see you \U0001f600"]
NAN = float("nan")


class Subclass(str):
    """A str that is not what it says."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Hostile:
    """A value whose every question is an error."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __len__ = __iter__ = __float__ = __bool__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


HOLDERS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "deque": deque,
    "UserList": UserList,
    "values of a dict": lambda texts: dict(enumerate(texts)).values(),
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "polars String": lambda texts: pl.Series("x", texts, dtype=pl.String),
    "polars Categorical": lambda texts: pl.Series("x", texts, dtype=pl.Categorical()),
    "polars Object": lambda texts: pl.Series("x", texts, dtype=pl.Object),
    "pandas default": pd.Series,
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas string": lambda texts: pd.Series(texts, dtype="string"),
    "pandas string[pyarrow]": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "pandas string[python]": lambda texts: pd.Series(texts, dtype="string[python]"),
    "pandas Arrow": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
    "pandas category": lambda texts: pd.Series(texts, dtype="category"),
    "pandas Index": lambda texts: pd.Index(texts, dtype=object),
    "pandas array": lambda texts: pd.array(texts, dtype="string"),
    "pandas with an index": lambda texts: pd.Series(texts, index=list("bbaaz")),
    "pyarrow Array": pa.array,
    "pyarrow ChunkedArray": lambda texts: pa.chunked_array([texts[:2], [], texts[2:]]),
    "pyarrow large_string": lambda texts: pa.array(texts, pa.large_string()),
    "pyarrow string_view": lambda texts: pa.array(texts, pa.string_view()),
    "pyarrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "pyarrow slice": lambda texts: pa.array(["x", *texts, "y"]).slice(1, len(texts)),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_whatever_holds_texts_gives_the_same_answers(tiny: Scorer, holder: Any) -> None:
    """Order, missing texts and scores are those of a list."""
    assert tiny.score(holder(TEXTS)).equals(tiny.score(TEXTS))


@pytest.mark.parametrize(
    "texts",
    [
        np.array(["a", "bc"]),
        np.array(["a", "bc"], dtype="T"),
        [np.str_("a"), Subclass("bc")],
        {"a": 1, "bc": 2}.keys(),
        iter(["a", "bc"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_string_is_its_letters(tiny: Scorer, texts: Any) -> None:
    """Also of numpy, and of a subclass that prints something else."""
    assert tiny.score(texts).equals(tiny.score(["a", "bc"]))


@pytest.mark.parametrize(
    "missing",
    [
        None, NAN, np.nan, np.float32("nan"), np.float16("nan"), pd.NA, pd.NaT, Decimal("NaN"),
        Decimal("sNaN"), np.datetime64("NaT"), np.timedelta64("NaT"), np.ma.masked,
    ],
    ids=repr,
)  # fmt: skip
def test_what_says_missing_is_null(tiny: Scorer, missing: Any) -> None:
    """Neither label nor score, as for None."""
    expected = tiny.score(["fine", None])
    assert tiny.score(["fine", missing]).equals(expected)
    if missing is not np.ma.masked:
        frame = pd.DataFrame({"text": pd.Series(["fine", missing], dtype=object)})
        assert tiny.score_frame(frame)["label"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "texts",
    [
        [], (), np.array([]), pd.Series([]), pd.Series([], dtype="string"), pl.Series([]),
        pa.array([], pa.string()), pa.chunked_array([], pa.string()), iter([]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_nothing_in_nothing_out(tiny: Scorer, texts: Any) -> None:
    assert tiny.score(texts).schema == tiny.score(["a"]).schema
    assert tiny.score(texts).height == 0


@pytest.mark.parametrize(
    "texts",
    [
        [None, None], [NAN, pd.NaT], np.array([NAN, NAN]), pd.Series([NAN, NAN]),
        pd.Series([pd.NaT, pd.NaT]), pd.Series([None, None]), pl.Series([None, None]),
        pa.array([None, None]), pd.Series([pd.NA, None], dtype="string"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_texts_that_are_all_missing_are_null(tiny: Scorer, texts: Any) -> None:
    """Pandas makes numbers or dates of such a column; it is one of texts all the same."""
    assert tiny.score(texts)["label"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("item", "is_"),
    [
        (b"bytes", "b'bytes' (bytes), not text; decode it, as with .decode('utf-8'), or None"),
        (3, "3 (int), not text; make it a text, or None"),
        (10**400, "of the type int, not text"),
        (0.5, "0.5 (float), not text"),
        (True, "True (bool), not text"),
        (float("inf"), "inf (float), not text"),
        (["a"], "of the type list, not text"),
        ({"text": "a"}, "of the type dict, not text"),
        (np.int64(3), "of the type int64, not text"),
        (np.bytes_(b"a"), "of the type bytes_, not text"),
        (dt.date(2026, 1, 1), "of the type date, not text"),
        (pd.Timestamp("2026-01-01"), "of the type Timestamp, not text"),
        (pa.scalar("a"), "of the type StringScalar, not text"),
        (Hostile(), "of the type Hostile, not text"),
        (Hostile, "of the type type, not text"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("holder", [list, iter, pd.Series])
def test_an_item_that_is_no_text_is_named(tiny: Scorer, item: Any, is_: str, holder: Any) -> None:
    """By its position, and what it is; nothing is turned into a text silently."""
    items = ["fine", None, item, 7]
    texts = pd.Series(items, dtype=object) if holder is pd.Series else holder(items)
    with pytest.raises(DataError) as caught:
        tiny.score(texts)
    assert str(caught.value).startswith(f"item 2 of the texts, counted from 0, is {is_}")


@pytest.mark.parametrize("text", ["cut emoji \ud83d", "\udcff", "\ud83d\ude00"])
def test_a_lone_surrogate_is_named_with_its_cure(tiny: Scorer, text: str) -> None:
    """The error names the item; what it advises mends the text."""
    for texts in (["ok", text], np.array(["ok", text], dtype=object)):
        with pytest.raises(DataError) as caught:
            tiny.score(texts)
        assert str(caught.value).startswith("item 1 of the texts, counted from 0, has half an emo")
    cure = caught.value.remedy.removeprefix("mend it with ")
    tiny.score([eval(cure, {"text": text})])  # noqa: S307 - that it can be pasted is the claim


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("great", "a single text is no sequence of texts; put it into a list"),
        (b"great", "a single text is no sequence of texts; put it into a list"),
        (None, "the texts are None; give a list of texts"),
        (7, "the texts are 7 (int); give a list of texts"),
        (object(), "the texts are of the type object; give a list of texts"),
        ({"a": "b"}, "the texts are of the type dict; give a list, as with list(D.values())"),
        (np.array("a"), "the texts are of the type ndarray; give a list of texts"),
        (np.array([["a"]]), "item 0 of the texts, counted from 0, is of the type ndarray, not tex"),
        (pd.DataFrame({"text": ["a"]}), "a DataFrame is no sequence of texts; call score_frame(fr"),
        (pl.DataFrame({"text": ["a"]}), "a DataFrame is no sequence of texts; call score_frame(fr"),
        (pl.LazyFrame({"text": ["a"]}), "a LazyFrame is no sequence of texts; call score_frame(fr"),
        (pa.table({"text": ["a"]}), "the texts are records with columns; call score_frame(table,"),
        (pa.record_batch({"text": ["a"]}), "the texts are records with columns; call score_frame("),
        (pl.Series([1, 2]), "the texts are Int64, not text; choose a column of texts"),
        (pl.Series([["a"]]), "the texts are List(String), not text; choose a column of texts"),
        (pa.array([1]), "the texts are int64, not text; choose a column of texts"),
        (pa.array([b"a", b"\xff"]), "the texts are not all UTF-8: item 1, counted from 0, is not"),
        (pd.Series([1, 2]), "item 0 of the texts, counted from 0, is 1 (int), not text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_error_without_texts_says_what_to_call(tiny: Scorer, texts: Any, says: str) -> None:
    with pytest.raises(TweetscoreError) as caught:
        tiny.score(texts)
    assert str(caught.value).startswith(says)


def test_arrow_texts_that_are_no_utf8_are_refused(tiny: Scorer) -> None:
    """Before polars takes the bytes as they are."""
    offsets = pa.py_buffer(np.array([0, 1], np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])
    for texts in (broken, pa.chunked_array([["fine"], broken])):
        with pytest.raises(DataError, match=r"the texts are damaged: .*Invalid UTF8 sequence"):
            tiny.score(texts)
    with pytest.raises(DataError, match="column 'text' of the table are damaged"):
        tiny.score_frame(pa.table({"text": broken}))


def test_the_callers_own_error_comes_out_as_it_is(tiny: Scorer) -> None:
    """What an iterator of the caller raises is no affair of ours."""

    def failing() -> Any:
        yield "fine"
        raise ConnectionError("the source has gone")

    with pytest.raises(ConnectionError, match="the source has gone"):
        tiny.score(failing())


@pytest.mark.parametrize("text", [["a"], 3, b"a", pd.Series(["a"]), Hostile()], ids=type)
def test_one_text_is_a_string(text: Any) -> None:
    with pytest.raises(UsageError, match=r"the text is .*, not a string; for several call Scorer"):
        predict_sentiment(text)


def test_one_missing_text_has_no_sentiment() -> None:
    anything: list[Any] = [NAN, None, pd.NA]
    for missing in anything:
        assert predict_sentiment(missing) == {"label": None, "score": None}
    with pytest.raises(DataError, match="lone surrogate"):
        predict_sentiment("\ud83d")


GOOD = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from([None, NAN, pd.NA, pd.NaT, Decimal("NaN"), np.float32("nan")]),
)
BAD = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.binary(max_size=3),
    st.booleans(),
    st.dates(),
    st.complex_numbers(),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2),
    st.sampled_from([Hostile(), Hostile, len, ..., np.int8(1), pa.scalar(1), pd.Timestamp(0)]),
)
HOLDERS_OF_ANYTHING: dict[str, Any] = {
    "list": list,
    "iterator": iter,
    "numpy": lambda column: column,
    "pandas": lambda column: pd.Series(column, dtype=object),
    "frame": lambda column: pd.DataFrame({"text": pd.Series(column, dtype=object)}),
}


@given(
    items=st.lists(GOOD, max_size=4),
    bad=st.none() | st.tuples(st.integers(0, 4), BAD),
    holder=st.sampled_from(["list", "iterator", "numpy", "pandas", "frame"]),
)
def test_an_answer_or_an_error_of_ours(tiny: Scorer, items: Any, bad: Any, holder: str) -> None:
    """Whatever is among the items: each text is answered, or the first that is none is named."""
    position = bad and min(bad[0], len(items))
    if bad:
        items = [*items[:position], bad[1], *items[position:]]
    column = np.empty(len(items), dtype=object)
    column[:] = items
    held = HOLDERS_OF_ANYTHING[holder](column)
    score = tiny.score_frame if holder == "frame" else tiny.score
    if bad:
        with pytest.raises(DataError, match=f"^item {position} of "):
            score(held)
        return
    scored = score(held)
    texts = [item if isinstance(item, str) else None for item in items]
    labels = [label if isinstance(label, str) else None for label in scored["label"]]
    assert labels == tiny.score(texts)["label"].to_list()


def test_bytes_of_arrow_are_read_where_they_are_text(tiny: Scorer) -> None:
    """As Impala and ClickHouse write texts, and a run reads them."""
    texts = ["I love it", None, "¿qué?"]
    stored = pa.array([text and text.encode() for text in texts], pa.binary())
    assert tiny.score(stored).equals(tiny.score(texts))
