"""Frames of pandas and tables of pyarrow: the same kind comes out, with two columns more."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer import DataError, Scorer, TweetscoreError, UsageError, options

TEXTS = ["I love this song", None, "stuck again", "", "see you at the station"]
TAKEN = "the column 'label' exists already; choose other names with label_column and score_column"
MISSING = "the frame has no column 'text', only: id, tweet; did you mean text_column='tweet'?"


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": [30, 10, 20, 40, 50], "text": TEXTS} | columns)


def test_a_frame_of_pandas_keeps_its_index_and_columns(tiny: Scorer) -> None:
    """Index, types, attributes and values stay, also under labels that are there twice."""
    given = frame(when=pd.date_range("2026-01-01", periods=5)).set_index(pd.Index([7, 7, 1, 0, 7]))
    given.attrs["source"] = "tests"
    given.columns.name = "columns"
    before = given.copy()
    scored = tiny.score_frame(given)
    assert isinstance(scored, pd.DataFrame)
    assert scored.columns.tolist() == ["id", "text", "when", "label", "score"]
    pd.testing.assert_frame_equal(scored[["id", "text", "when"]], before)
    pd.testing.assert_frame_equal(given, before)
    assert scored.attrs == {"source": "tests"}
    expected = tiny.score(TEXTS)
    assert scored["label"].isna().tolist() == expected["label"].is_null().to_list()
    assert scored["label"].dropna().tolist() == expected["label"].drop_nulls().to_list()
    assert scored["score"].dtype == "float32"
    assert scored["score"].dropna().tolist() == expected["score"].drop_nulls().to_list()
    assert scored["label"].dtype == pd.Series(["text"]).dtype


@pytest.mark.parametrize("rows", [0, 1])
def test_types_do_not_depend_on_the_rows(tiny: Scorer, rows: int) -> None:
    """No rows, or only missing texts, give the columns of texts and numbers all the same."""
    scored = tiny.score_frame(pd.DataFrame({"text": pd.Series([None] * rows, dtype="string")}))
    assert scored["label"].dtype == pd.Series(["text"]).dtype
    assert scored["score"].dtype == "float32"


@pytest.mark.parametrize("kind", ["object", "string", "string[pyarrow]", "category", "str"])
def test_every_type_of_texts_is_scored(tiny: Scorer, kind: str) -> None:
    """It comes back as it was."""
    given = frame().astype({"text": kind})
    scored = tiny.score_frame(given, all_scores=True)
    assert scored["text"].dtype == given["text"].dtype
    expected = tiny.score(TEXTS, all_scores=True)
    assert (
        scored["score_neutral"].dropna().tolist()
        == expected["score_neutral"].drop_nulls().to_list()
    )


def test_columns_are_named_as_on_the_command_line(tiny: Scorer) -> None:
    """Other columns may have any names, also one name twice."""
    given = pd.DataFrame([[1, "I love this song", 2, 3]], columns=[0, "tweet", "a", "a"])
    scored = tiny.score_frame(given, "tweet", label_column="l", score_column="s")
    assert scored.columns.tolist() == [0, "tweet", "a", "a", "l", "s"]


def levels() -> pd.DataFrame:
    return pd.DataFrame([["a"]], columns=pd.MultiIndex.from_tuples([("text", "en")]))


@pytest.mark.parametrize(
    ("given", "column", "error", "says"),
    [
        (frame().rename(columns={"text": "tweet"}), "text", DataError, MISSING),
        (frame(), "id", DataError, "item 0 of column 'id' of the frame, counted from 0, is 30 (in"),
        (frame(text=["a", 2, "c", "d", "e"]), "text", DataError, "item 1 of column 'text' of the"),
        (frame(text=["a", b"", "c", "d", "e"]), "text", DataError, "item 1 of column 'text' of th"),
        (frame(label=1), "text", UsageError, TAKEN),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "text", DataError, "the frame has "),
        (levels(), "text", UsageError, "the frame's columns have several levels; name them anew: "),
        (pd.DataFrame([["a"]]), "0", DataError, "the frame's column 0 is named by a value that is"),
        (pd.DataFrame([["a"]]), "text", DataError, "the frame has no column 'text', only: 0; name"),
        (pd.DataFrame([["a"]]), 0, UsageError, "text_column is 0 (int), not a string; name a colu"),
        (pd.DataFrame(), "text", DataError, "the frame has no column 'text', only: ; name one wit"),
    ],
)  # fmt: skip
def test_a_frame_that_does_not_fit_is_refused(
    tiny: Scorer, given: Any, column: Any, error: type[TweetscoreError], says: str
) -> None:
    """The error says what there is and what to do."""
    with pytest.raises(error) as caught:
        tiny.score_frame(given, column)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("advice", ["levels", "numbers"])
def test_what_is_advised_leads_on(tiny: Scorer, advice: str) -> None:
    """Pasted behind the frame's name, it makes a frame that is scored."""
    given, column = (levels(), "text") if advice == "levels" else (pd.DataFrame([["a"]]), "0")
    with pytest.raises(TweetscoreError) as caught:
        tiny.score_frame(given, column)
    exec(caught.value.remedy.partition(": ")[2], {"frame": given})  # noqa: S102 - the claim
    assert tiny.score_frame(given, "text_en" if advice == "levels" else "0").shape == (1, 3)


@pytest.mark.parametrize(
    ("given", "is_"),
    [
        (["a"], "of the type list"),
        ({"text": ["a"]}, "of the type dict"),
        ("text.csv", "'text.csv' (str)"),
        (None, "None"),
        (pd.Series(["a"]), "of the type Series"),
        (pl.Series(["a"]), "of the type Series"),
        (pa.array(["a"]), "of the type StringArray"),
        (pl.LazyFrame({"text": ["a"]}).group_by("text"), "of the type LazyGroupBy"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_frame_is_refused(tiny: Scorer, given: Any, is_: str) -> None:
    with pytest.raises(UsageError) as caught:
        tiny.score_frame(given)
    assert str(caught.value).startswith(f"the frame is {is_}, none of polars, pandas or pyarrow; ")


def table() -> pa.Table:
    fields = [pa.field("id", pa.int16(), metadata={"unit": "row"}), pa.field("text", pa.string())]
    schema = pa.schema(fields, metadata={"source": "tests"})
    return pa.table([pa.chunked_array([[3, 1], [2, 4, 5]], pa.int16()), TEXTS], schema=schema)


def test_a_table_gives_a_table(tiny: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns, their chunks and metadata stay; the new ones come last, in chunks of their own."""
    from scorer.formats import record_batches

    monkeypatch.setattr(record_batches, "_CHUNK", 2)
    monkeypatch.setattr(options, "CPU_WINDOW", 3)
    scored = tiny.score_frame(table(), all_scores=True)
    assert scored.select(["id", "text"]).equals(table(), check_metadata=True)
    assert scored.column("id").num_chunks == 2
    scored.validate(full=True)
    expected = tiny.score(TEXTS, all_scores=True)
    assert pl.DataFrame(pl.from_arrow(scored)).select(expected.columns).equals(expected)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.null()], ids=str)
def test_every_arrow_string_is_a_text(tiny: Scorer, kind: pa.DataType) -> None:
    """Also the type of a column that is missing in all rows."""
    texts = [None, None] if kind == pa.null() else ["I love this song", None]
    given = pa.table({"text": pa.array(texts, kind)})
    scored = tiny.score_frame(given)
    assert scored["label"].to_pylist() == tiny.score(texts)["label"].to_list()


def test_a_record_batch_gives_a_record_batch(tiny: Scorer) -> None:
    [batch] = table().combine_chunks().to_batches()
    scored = tiny.score_frame(batch)
    assert isinstance(scored, pa.RecordBatch)
    assert scored.equals(next(iter(tiny.score_batches(batch))))


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_table_has_the_columns(tiny: Scorer, rows: int) -> None:
    given = table().slice(0, rows)
    assert tiny.score_frame(given).schema.names == ["id", "text", "label", "score"]
    assert tiny.score_frame(given).num_rows == rows
    assert tiny.score_frame(given.schema.empty_table()).num_rows == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (pa.table({"tweet": ["a"]}), "the table has no column 'text', only: tweet; did you mean t"),
        (pa.table({"text": [1]}), "column 'text' of the table is int64, not text; name another wi"),
        (pa.table([["a"], ["b"]], ["text", "text"]), "the table has 2 columns 'text'; rename all "),
        (pa.table({"text": ["a"], "label": [1]}), TAKEN),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused(tiny: Scorer, given: pa.Table, says: str) -> None:
    with pytest.raises(TweetscoreError) as caught:
        tiny.score_frame(given)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "given",
    [table(), table().to_batches(), table().to_reader(), pl.from_arrow(table()), frame()],
    ids=["Table", "list", "RecordBatchReader", "polars", "pandas"],
)
def test_whatever_is_a_stream_of_rows_is_scored_in_batches(tiny: Scorer, given: Any) -> None:
    """A table is one, and a frame."""
    scored = pa.Table.from_batches(tiny.score_batches(given))
    assert scored["label"].to_pylist() == tiny.score(TEXTS)["label"].to_list()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("batches", "the batches are 'batches' (str); give record batches, or a table, of pyarrow"),
        (None, "the batches are None; give record batches, or a table, of pyarrow"),
        (np.array("a"), "the batches are of the type ndarray; give record batches, or a table"),
        ({"text": ["a"]}, "the batches are of the type dict; give record batches, or a table"),
        (pa.array(["a"]), "item 0 of the batches, counted from 0, is of the type StringScalar; "),
        (pa.chunked_array([["a"]]), "the batches, of the type ChunkedArray, are no stream of rows"),
        (pl.Series(["a"]), "the batches, of the type Series, are no stream of rows"),
        (frame(text=["a", 2, "c", "d", "e"]), "the batches, of the type DataFrame, are no stream "),
        (["a"], "item 0 of the batches, counted from 0, is 'a' (str); give record batches of pyar"),
        ([table()], "item 0 of the batches, counted from 0, is of the type Table; give record bat"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_batches_is_refused(tiny: Scorer, given: Any, says: str) -> None:
    with pytest.raises(TweetscoreError) as caught:
        list(tiny.score_batches(given))
    assert str(caught.value).startswith(says)


def test_a_query_that_cannot_be_right_is_refused_at_once(tiny: Scorer) -> None:
    """The call names it; what fails while rows are read is an error of polars, in collect."""
    for query in (pl.LazyFrame({"id": [1]}).select("text"), pl.scan_csv("/nowhere/t.csv")):
        with pytest.raises(DataError) as caught:
            tiny.score_frame(query)
        assert str(caught.value).startswith("the query of the lazy frame fails: ")
        assert str(caught.value).endswith(
            "; mend it until frame.collect_schema() gives its columns"
        )
    late = pl.LazyFrame({"text": ["a"]}).with_columns(n=pl.col("text").cast(pl.Int8))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        tiny.score_frame(late).collect()


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=2),
    st.text(st.characters(), max_size=3), st.lists(st.integers(), max_size=2),
    st.sampled_from([object(), len, pd.NA, pl.Series([1]), {}, pd.Series([True, False])]),
)  # fmt: skip


@given(
    name=st.sampled_from(["text_column", "label_column", "score_column", "all_scores"]),
    junk=JUNK,
    kind=st.sampled_from([pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table]),
)
def test_arguments_are_checked(tiny: Scorer, name: str, junk: Any, kind: Any) -> None:
    """Whatever an argument is: a right answer, or an error of ours."""
    given = kind({"text": ["a"]})
    try:
        scored = tiny.score_frame(given, **{name: junk})
    except TweetscoreError:
        return
    assert type(scored) is type(given)
    assert name != "text_column" or junk == "text"


@given(name=st.sampled_from(["model", "device", "precision", "labels"]), junk=JUNK)
def test_what_a_scorer_is_made_of_is_checked(name: str, junk: Any) -> None:
    """No directory, device or language of the caller's making ends in another library's error."""
    if junk is None or (name == "model" and isinstance(junk, str)):
        return
    with pytest.raises(TweetscoreError):
        Scorer(**{name: junk})


@pytest.mark.parametrize("model", ["", "a\0b", "\ud83d", "x" * 5000, b"bundle", 3, "/dev/null"])
def test_a_model_that_is_no_directory_is_refused(model: Any) -> None:
    with pytest.raises(TweetscoreError, match="model"):
        Scorer(model)


def test_pandas_is_never_imported() -> None:
    """A frame of pandas exists only where the caller has imported pandas."""
    code = (
        "import sys; from scorer import predict_sentiment; predict_sentiment('fine');"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
