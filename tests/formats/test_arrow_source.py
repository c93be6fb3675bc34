import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from scorer.errors import DataError, StorageError, UsageError
from scorer.formats import arrow as arrow_source
from scorer.formats.guards import arrow_messages
from scorer.formats.guards.arrow_messages import Batch, batches_of
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, answers, slices, write_scored

TEXTS = ["ok", None, "", "last", "other", "ok"]
SUFFIXES = [".arrow", ".arrows"]


def write(path: Path, *batches: pa.RecordBatch, **how: Any) -> Path:
    """Write a stream if the name says so, else a file."""
    make = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with (
        path.open("wb") as file,
        make(file, batches[0].schema, options=pa.ipc.IpcWriteOptions(**how)) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
    return path


def batch(texts: Any = TEXTS, kind: pa.DataType | None = None, **more: Any) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(texts, kind or pa.string()), **more})


def read(path: Path) -> list[pa.RecordBatch]:
    """Return a file's batches."""
    if path.suffix == ".arrows":
        return list(pa.ipc.open_stream(path.read_bytes()))
    reader = pa.ipc.open_file(path.read_bytes())
    return [reader.get_batch(i) for i in range(reader.num_record_batches)]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".ipc", ".feather"])
def test_columns_are_appended_to_the_batches(tmp_path: Path, suffix: str) -> None:
    """Whatever the windows were: batches keep their rows, those without rows too."""
    empty = batch().slice(0, 0)
    path = write(tmp_path / f"in{suffix}", empty, batch(), empty, batch().slice(4), empty)
    out = write_scored(path, tmp_path / f"out{suffix}", 5)
    found = read(out)
    assert [len(each) for each in found] == [0, 6, 0, 2, 0]
    assert found[1].schema == empty.schema.append(pa.field("label", pa.string())).append(
        pa.field("score", pa.float32())
    )
    assert found[1]["label"].to_pylist() == ["neutral", None, None, "neutral", "neg", "neutral"]
    assert found[1]["text"].equals(batch()["text"])


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_compression_is_kept(tmp_path: Path, suffix: str, codec: str | None) -> None:
    """Bodies that were compressed are compressed again, with the same codec."""
    path = write(tmp_path / f"in{suffix}", batch(["ok"] * 5000), compression=codec)
    out = write_scored(path, tmp_path / f"out{suffix}", 1000)
    assert [each.codec for each in batches_of(out)] == [codec]


def test_what_polars_writes_is_read(tmp_path: Path) -> None:
    """Its strings are views, its categories dictionaries."""
    frame = pl.DataFrame({"text": TEXTS, "c": pl.Series(["a", "b"] * 3, dtype=pl.Categorical)})
    frame.write_ipc(tmp_path / "in.arrow", compression="zstd")
    out = write_scored(tmp_path / "in.arrow", tmp_path / "out.arrow")
    assert pl.read_ipc(out).drop("label", "score").equals(frame)


KINDS = [
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.uint32(), pa.large_string())),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_texts_of_every_type_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    """Null and '' are different; a dictionary may have no values."""
    path = write(tmp_path / "in.arrows", batch(TEXTS, kind), batch([None, None], kind))
    windows = list(open_source(path).windows(4))
    assert [list(window.texts) for window in windows] == [TEXTS[:4], [*TEXTS[4:], None, None]]
    assert [window.offset for window in windows] == [0, 4]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("limit", "sizes"), [(0, []), (3, [3]), (6, [6]), (8, [6, 2]), (99, [6, 6])]
)
def test_a_limit_counts_rows(tmp_path: Path, suffix: str, limit: int, sizes: list[int]) -> None:
    """The last batch is cut."""
    path = write(tmp_path / f"in{suffix}", batch(), batch())
    out = write_scored(path, tmp_path / f"out{suffix}", 5, limit=limit)
    assert [len(each) for each in read(out)] == sizes


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_growing_dictionary_is_read(tmp_path: Path, suffix: str) -> None:
    """Later batches may add values to it, in a stream also replace it."""
    schema = pa.schema([("text", pa.dictionary(pa.int8(), pa.string()))])
    words = [["ok"], ["ok", "last"], ["ok", "last", "a"]] + (
        [["new"]] if suffix == ".arrows" else []
    )
    batches = [
        pa.record_batch([pa.array(each).dictionary_encode().cast(schema.types[0])], schema=schema)
        for each in words
    ]
    path = write(tmp_path / f"in{suffix}", *batches, emit_dictionary_deltas=True)
    out = write_scored(path, tmp_path / f"out{suffix}")
    assert [each["text"].to_pylist() for each in read(out)] == words


def test_long_texts_are_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view or a dictionary may repeat a long text for ever: it is never spread out at once."""
    monkeypatch.setattr(arrow_source, "BYTES_AT_ONCE", 10)
    monkeypatch.setattr(arrow_source, "TEXTS_AT_ONCE", 3)
    texts = ["x" * 20, "abcd", "efgh", "ijkl", "", None, "", "", "y" * 11]
    kind = pa.dictionary(pa.int8(), pa.string())
    source = arrow_source.ArrowSource(
        write(tmp_path / "in.arrow", batch(texts, kind)), InputSpec("text")
    )
    found = source._texts_of(source._read([0]), source._text)
    assert [len(texts) for texts in found] == [1, 2, 3, 2, 1]
    monkeypatch.setattr(arrow_source, "MOST_TEXT", 19)
    with pytest.raises(DataError, match=r"a text of .*in.arrow takes 0 MiB; leave it out"):
        list(source.windows(9))


def test_a_name_that_exists_is_an_error(tmp_path: Path) -> None:
    """Before any work; so is one that no Arrow file can hold."""
    source = open_source(write(tmp_path / "in.arrow", batch(label=pa.array([1] * 6))))
    with pytest.raises(UsageError, match="'label' exists already"):
        source.check_output_schema(SCHEMA)
    with pytest.raises(UsageError, match="cannot be written in the encoding utf-8"):
        source.check_output_schema(OutputColumns("\ud800", "s", ()))


@pytest.mark.parametrize("kind", [pa.binary(4), pa.int64(), pa.list_(pa.string())], ids=str)
def test_a_column_that_is_no_text_is_an_error(tmp_path: Path, kind: pa.DataType) -> None:
    """The column and its type are named."""
    path = write(tmp_path / "in.arrow", batch([None], kind))
    with pytest.raises(DataError, match=r"column 'text' of .* is .*, not text"):
        open_source(path)


CHANGED = {
    "another text": [batch([*TEXTS[:5], "new"]), batch()],
    "a row less": [batch(), batch().slice(1)],
    "a batch more": [batch(), batch(), batch()],
    "a column more": [batch(more=pa.nulls(6)), batch(more=pa.nulls(6))],
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_change_between_the_passes_is_noticed(tmp_path: Path, name: str) -> None:
    """Another text, schema or number of rows."""
    path = write(tmp_path / "in.arrow", batch(), batch())
    source = open_source(path)
    results = slices(source, 4)
    write(path, *CHANGED[name])
    with pytest.raises(DataError, match="changed while it was scored"):
        source.write_scored(tmp_path / "out.arrow", SCHEMA, results)


def test_a_file_that_changes_while_it_is_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its headers are read before its batches."""
    path = write(tmp_path / "in.arrow", batch())
    source = open_source(path)
    monkeypatch.setattr(arrow_source, "batches_of", lambda _: iter([Batch(7, None)]))
    with pytest.raises(DataError, match="changed while it was scored"):
        list(source.windows(9))


def test_an_output_that_lacks_rows_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last look at what was written."""
    source = open_source(write(tmp_path / "in.arrow", batch()))
    results = slices(source, 9)
    rows = {"in.arrow": 6, "out.arrow": 5}
    stub = lambda path: iter([Batch(rows[path.name], None)])  # noqa: E731 - a stub of one line
    monkeypatch.setattr(arrow_source, "batches_of", stub)
    with pytest.raises(StorageError, match="holds 5 rows instead of 6"):
        source.write_scored(tmp_path / "out.arrow", SCHEMA, results)


@pytest.mark.parametrize("column", ["text", "other"])
def test_offsets_that_lead_out_of_a_column_are_bad_data(tmp_path: Path, column: str) -> None:
    """A reader takes them on trust: the text is checked in the first pass, all in the second."""
    other = pa.array(["abc", "defgh"])
    good = write(tmp_path / "in.arrow", batch(["ok", "last"], other=other))
    offsets = struct.pack("<iii", 0, 2, 6) if column == "text" else struct.pack("<iii", 0, 3, 8)
    content = good.read_bytes()
    assert content.count(offsets) == 1
    good.write_bytes(content.replace(offsets, struct.pack("<iii", 0, 1 << 30, 6)))
    source = open_source(good)
    with pytest.raises(DataError, match=r"record batch 1 of .* is damaged"):
        source.write_scored(tmp_path / "out.arrow", SCHEMA, slices(source, 9))


def test_text_that_is_not_utf8_is_bad_data(tmp_path: Path) -> None:
    """Strings are taken on trust too."""
    path = write(tmp_path / "in.arrow", batch(["caf\u00e9!"]))
    path.write_bytes(path.read_bytes().replace(b"\xc3\xa9!", b"\xc3!!"))
    with pytest.raises(DataError, match=r"record batch 1 of .* is damaged"):
        list(open_source(path).windows(9))


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:-size]


def number(old: int, new: int, kind: str = "<q") -> Callable[[bytes], bytes]:
    """Put another number in the place of one that is there, wherever it is."""
    return lambda content: content.replace(struct.pack(kind, old), struct.pack(kind, new))


ROWS = 12_345  # a number that stands nowhere else
FORGED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (".arrow", lambda _: b"", "is empty; an Arrow file begins with a schema"),
    (".arrow", lambda c: b"FEA1" + c, "is Feather version 1; write it again as version 2"),
    (".arrow", cut(1), "is not complete: its footer is missing"),
    (".arrow", lambda c: c[:-10] + struct.pack("<i", -5) + c[-6:], "its footer is missing"),
    (".arrow", lambda c: c[:-10] + struct.pack("<i", 8) + c[-6:], "is damaged"),
    (".arrow", lambda c: b"ARROW1", "is damaged: an offset leads out of the file"),
    (".arrows", cut(8), "it ends without the mark of a stream's end; fetch it again"),
    (".arrows", cut(3), "it ends without the mark of a stream's end"),
    (".arrows", cut(20), "is not complete: it ends in a batch"),
    (".arrows", lambda c: c + b"x", "goes on after the end of the stream"),
    (".arrows", lambda c: c + c, "goes on after the end of the stream"),
    (".arrows", lambda _: b"text,label", "is CSV, not Arrow IPC; rename it: mv "),
    (".arrows", lambda _: b"what is it", "is damaged: a header has [0-9,]+ bytes"),
    (".arrows", number(ROWS, -1), "a record batch of .* has -1 rows"),
    (".arrows", number(ROWS, 1 << 40), "has 1,099,511,627,776 rows; write it again"),
    (".arrows", number(4 * ROWS + 4, 1 << 50), "is damaged: a buffer lies outside of its message"),
    (".arrow", number(4 * ROWS + 4, -1), "is damaged: a buffer lies outside of its message"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "forge", "words"), FORGED)
def test_a_damaged_file_is_refused(
    tmp_path: Path, suffix: str, forge: Callable[[bytes], bytes], words: str
) -> None:
    """With what is wrong, before anything is written."""
    path = write(tmp_path / f"in{suffix}", batch(["ok"] * ROWS))
    path.write_bytes(forge(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        list(open_source(path).windows(1 << 20))


@pytest.mark.parametrize(
    ("claimed", "words"),
    [(1 << 40, "would take 1,048,576 MiB of memory"), (-7, "a buffer has -7 bytes")],
)
def test_a_buffer_that_claims_to_expand_is_refused(
    tmp_path: Path, claimed: int, words: str
) -> None:
    """Before the memory is asked for."""
    path = write(tmp_path / "in.arrows", batch(["ok"] * ROWS), compression="zstd")
    size = struct.pack("<q", 4 * ROWS + 4)
    assert path.read_bytes().count(size) == 1
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<q", claimed)))
    with pytest.raises(DataError, match=words):
        open_source(path)


def test_a_compression_that_is_unknown_is_refused(tmp_path: Path) -> None:
    """There are two."""
    with pytest.raises(ValueError, match="there is a compression 5"):
        arrow_messages._codec_of(_Stub(_Stub(None, 5), 0))  # type: ignore[arg-type]  # a stub


class _Stub:
    """Stands in for a table with one number and one table in it."""

    def __init__(self, inner: Any, found: int) -> None:
        self.table = lambda _: inner
        self.number = lambda *_: found


def test_a_message_without_header_is_refused() -> None:
    """It says that it is a batch, and is nothing."""
    with pytest.raises(ValueError, match="a message has no header"):
        arrow_messages._present(None)


def test_dictionaries_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is replaced counts once, one that grows with all of its parts."""
    coded = [
        batch([f"{i} {j}" * 50 for j in range(20)]).columns[0].dictionary_encode() for i in range(4)
    ]
    batches = [pa.record_batch({"text": each}) for each in coded]
    path = write(tmp_path / "in.arrows", *batches)
    monkeypatch.setattr(arrow_messages, "MOST_BATCH", 6000)
    assert len(list(batches_of(path))) == 4
    monkeypatch.setattr(arrow_messages, "MOST_BATCH", 3000)
    with pytest.raises(DataError, match=r"the dictionaries of .* would take 0 MiB of memory"):
        list(batches_of(path))
    whole = pa.concat_arrays([each.dictionary for each in coded])
    parts = [
        pa.record_batch(
            {"text": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), whole[:n])}
        )
        for n in (20, 40, 60)
    ]
    write(path, *parts, emit_dictionary_deltas=True)
    monkeypatch.setattr(arrow_messages, "MOST_BATCH", 6000)
    with pytest.raises(DataError, match="the dictionaries of"):
        list(batches_of(path))


def test_a_footer_must_be_about_its_messages(tmp_path: Path) -> None:
    """A block that leads to a message of another kind or size is a forgery."""
    path = write(tmp_path / "in.arrow", batch())
    content = path.read_bytes()
    message = content.index(b"\xff\xff\xff\xff", content.index(b"\xff\xff\xff\xff") + 4)
    block = struct.pack("<q", message)
    assert content.count(block) == 1
    path.write_bytes(content.replace(block, struct.pack("<q", 8)))
    with pytest.raises(DataError, match="is damaged"):
        open_source(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_before_arrow_0_15_are_read(tmp_path: Path, suffix: str) -> None:
    """Their messages have no mark in front."""
    path = write(tmp_path / f"in{suffix}", batch(), use_legacy_format=True)
    assert [len(each) for each in read(write_scored(path, tmp_path / f"out{suffix}"))] == [6]


@pytest.mark.parametrize("option", ["encoding", "delimiter"])
def test_options_of_csv_are_refused(tmp_path: Path, option: str) -> None:
    """They would do nothing."""
    path = write(tmp_path / "in.arrow", batch())
    with pytest.raises(UsageError, match=f"is Arrow IPC; leave --{option} out, which only CSV has"):
        open_source(path, InputSpec(csv=CsvOptions(**{option: ";"})))  # type: ignore[arg-type]  # one of two


def test_a_file_without_batches_has_no_rows(tmp_path: Path) -> None:
    """Only a schema, with which the output begins too."""
    path = tmp_path / "in.arrows"
    with path.open("wb") as file, pa.ipc.new_stream(file, batch().schema):
        pass
    source = open_source(path)
    windows = list(source.windows(5))
    assert windows == []
    assert source.write_scored(tmp_path / "out.arrows", SCHEMA, answers(windows)).rows == 0
    assert read(tmp_path / "out.arrows") == []
