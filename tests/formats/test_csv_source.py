import gzip
import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import DataError, InputMissing, UsageError
from scorer.formats import csv as csv_source
from scorer.formats.base import RECORD_CAP
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text import cells as file_cells
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, scored, slices, write_scored


def texts(path: Path, rows: int = 1000, **options: object) -> list[str | None]:
    windows = list(open_source(path, InputSpec(**options)).windows(rows))  # type: ignore[arg-type]
    return [text for window in windows for text in window.texts]


def test_rows_are_their_own_bytes_plus_cells(tmp_path: Path) -> None:
    """Zeros, long ids, quotes, null, '' and every record's own line ending come out unchanged."""
    path = tmp_path / "in.csv"
    content = (
        b'\xef\xbb\xbfid,"text",x\r\n007,"a ""b"", c",\n99999999999999999999,,""\r\n'
        b'1,"",\xf0\x9f\x98\x80\n2,"two\r\nlines","q"\n3,5" disk, "\r4\n4,last,line'
    )
    path.write_bytes(content)
    assert texts(path) == ['a "b", c', None, "", "two\r\nlines", '5" disk', "last"]
    out = write_scored(path, tmp_path / "out.csv")
    assert out.read_bytes() == (
        b'\xef\xbb\xbfid,"text",x,label,score\r\n007,"a ""b"", c",,neg,0.5\n'
        b'99999999999999999999,,"",,\r\n1,"",\xf0\x9f\x98\x80,,\n'
        b'2,"two\r\nlines","q","po,s",0.25\n3,5" disk, "\r4,neg,0.5\n4,last,line,neutral,0.00000012'
    )


def as_cell(value: str | None, quote: bool) -> str:
    if value is None:
        return ""
    if quote or not value or any(c in value for c in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value


cells = (
    st.none() | st.text(st.characters(codec="utf-8"), max_size=8) | st.text(',"\n\r ', max_size=4)
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, st.booleans(), st.sampled_from("\n \r\n".split(" ")))),
    window=st.integers(1, 5),
    compression=st.sampled_from(["", ".gz", ".zst"]),
)
def test_any_table_comes_back_record_by_record(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str | None, str | None, bool, str]],
    window: int,
    compression: str,
) -> None:
    """Any values, quoted or not, are read as they are and written as the same bytes plus cells."""
    directory = tmp_path_factory.mktemp("t")
    records = [(f"{as_cell(a, q)},{as_cell(b, q)}", end) for a, b, q, end in rows]
    content = "other,text\n" + "".join(record + end for record, end in records)
    path = directory / f"in.csv{compression}"
    path.write_bytes(compressed(content.encode(), compression))
    assert texts(path, window) == [b for _, b, _, _ in rows]
    out = write_scored(path, directory / f"out.csv{compression}", window)
    answers = scored([b for _, b, _, _ in rows])
    expected = "other,text,label,score\n" + "".join(
        record + answer + end for (record, end), answer in zip(records, answers, strict=True)
    )
    assert decompressed(out.read_bytes(), compression).decode() == expected


def compressed(content: bytes, extension: str) -> bytes:
    if extension == ".gz":
        return gzip.compress(content)
    return pa.compress(content, "zstd", asbytes=True) if extension == ".zst" else content


def decompressed(content: bytes, extension: str) -> bytes:
    if extension == ".gz":
        return gzip.decompress(content)
    if extension == ".zst":
        read: bytes = pa.CompressedInputStream(io.BytesIO(content), "zstd").read()
        return read
    return content


@pytest.mark.parametrize("extension", [".gz", ".zst"])
def test_compressed_files_of_several_members_are_read_whole(tmp_path: Path, extension: str) -> None:
    """Files made by `cat a.gz b.gz` have all their rows."""
    path = tmp_path / f"in.csv{extension}"
    parts = [b"text\na\nb\n", b"c\nd\n"]
    path.write_bytes(b"".join(compressed(part, extension) for part in parts))
    assert texts(path) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("extension", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_damaged_compression_is_bad_data(tmp_path: Path, extension: str, damage: str) -> None:
    """A file that was not copied to its end is refused, not scored in part."""
    path = tmp_path / f"in.csv{extension}"
    whole = compressed(b"text\n" + b"".join(b"row %d\n" % (i * i) for i in range(9999)), extension)
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no such thing" * 9)
    with pytest.raises(DataError, match="is not a complete"):
        texts(path)


def test_gzip_output_depends_on_the_rows_alone(tmp_path: Path) -> None:
    """The header holds neither a time nor a name."""
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"text\na\n"))
    one = write_scored(path, tmp_path / "one.csv.gz").read_bytes()
    assert one == write_scored(path, tmp_path / "two.csv.gz").read_bytes()
    assert one[3:8] == bytes(5)  # no flags, no time


@pytest.mark.parametrize(
    ("codec", "named"),
    [("utf-16", None), ("utf-16-le", "utf-16-le"), ("utf-16-be", "UTF_16BE"), ("cp1252", "cp1252")],
)
def test_other_encodings_come_back_in_their_own_bytes(
    tmp_path: Path, codec: str, named: str | None
) -> None:
    """UTF-16 with or without a mark and one-byte encodings are scored and written as they were."""
    path = tmp_path / "in.csv"
    content = 'n,text\r\né1,"Größe ""ü"""\r\nx,€\n'
    path.write_bytes(content.encode(codec))
    csv = CsvOptions(encoding=named)
    assert texts(path, csv=csv) == ['Größe "ü"', "€"]
    out = write_scored(path, tmp_path / "out.csv", csv=csv)
    answers = scored(['Größe "ü"', "€"])
    expected = f'n,text,label,score\r\né1,"Größe ""ü"""{answers[0]}\r\nx,€{answers[1]}\n'
    assert out.read_bytes() == expected.encode(codec)


def test_utf16_with_a_lone_surrogate_rejects_one_record(tmp_path: Path) -> None:
    """Only the record with the half character is lost, and its raw bytes are the file's own."""
    path = tmp_path / "in.csv"
    bad = "b".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le")
    start, end = (part.encode("utf-16-le") for part in ("text\na\n", "\nd\n"))
    path.write_bytes(b"\xff\xfe" + start + bad + end)
    [window] = open_source(path).windows(10)
    assert window.texts.to_list() == ["a", "d"]
    assert [(r.line, r.kind, r.raw) for r in window.rejects] == [(3, "encoding", bad)]


@pytest.mark.parametrize("name", ["klingon", "utf-7", "shift_jis", "base64", "rot13", "idna"])
def test_encodings_that_might_not_come_back_are_refused(tmp_path: Path, name: str) -> None:
    """What is neither UTF-8, UTF-16 nor one byte per character is a usage error."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"text\na\n")
    with pytest.raises(UsageError, match="encoding"):
        open_source(path, InputSpec(csv=CsvOptions(encoding=name)))


def test_rejects_have_their_kind_and_physical_line(tmp_path: Path) -> None:
    """Lines are counted through multi-line cells and earlier rejects."""
    path = tmp_path / "in.csv"
    long = b"6," + b"y" * (RECORD_CAP + 5)
    lines = [b'1,"a\nb"', b"2", b"3,\xff", b'4,"x"y', b"", long, b"7,ok", b'8,"open']
    path.write_bytes(b"n,text\n" + b"\n".join(lines))
    [window] = open_source(path).windows(10)
    assert window.texts.to_list() == ["a\nb", "ok"]
    assert [(r.line, r.kind) for r in window.rejects] == [
        (4, "field-count"),
        (5, "encoding"),
        (6, "text-after-quote"),
        (7, "field-count"),
        (8, "record-too-long"),
        (10, "open-quote"),
    ]
    assert [r.raw for r in window.rejects][0::5] == [b"2", b'8,"open']
    out = write_scored(path, tmp_path / "out.csv")
    assert out.read_bytes() == b'n,text,label,score\n1,"a\nb",neg,0.5\n7,ok,neutral,0.00000012\n'


def test_a_blank_line_is_a_row_where_there_is_one_column(tmp_path: Path) -> None:
    """A null text is an empty line then, and keeps its place."""
    path = tmp_path / "in.csv"
    path.write_bytes(b'text\na\n\n""\nb\n')
    assert texts(path) == ["a", None, "", "b"]


def test_cr_alone_ends_lines_only_where_there_is_no_lf(tmp_path: Path) -> None:
    """Old Macintosh files are read; elsewhere a lone CR is data."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"n,text\r1,a\r2,b")
    assert texts(path) == ["a", "b"]
    path.write_bytes(b"n,text\n1,a\rb\n")
    assert texts(path) == ["a\rb"]


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 99])
def test_limit_reads_the_first_rows_and_the_rejects_among_them(tmp_path: Path, limit: int) -> None:
    """Rejects do not count, and those behind the last wanted row are not met."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"n,text\n1,a\nbad\n2,b\n3,c\nbad\n4,d\nbad\n")
    windows = list(open_source(path, InputSpec(limit=limit)).windows(2))
    assert [t for w in windows for t in w.texts] == ["a", "b", "c", "d"][:limit]
    assert sum(len(w.rejects) for w in windows) == {0: 0, 1: 0, 3: 1, 4: 2, 99: 3}[limit]
    out = write_scored(path, tmp_path / "out.csv", limit=limit)
    assert out.read_bytes().count(b"\n") == 1 + min(limit, 4)


def test_windows_do_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets, texts and rejects are the same however the file was read."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"n,text\n" + b'1,a\n2,"b\nb"\nbad\n' * 500)

    def seen() -> list[object]:
        windows = open_source(path).windows(7)
        return [(w.offset, w.texts.to_list(), w.rejects) for w in windows]

    whole = seen()
    monkeypatch.setattr(csv_source, "BLOCK_SIZE", 97)
    monkeypatch.setattr("scorer.formats.text.compression.READ_SIZE", 31)
    assert seen() == whole


def test_a_flood_of_rejects_ends_windows_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory stays flat in a file of nothing but rejects; no reject is lost."""
    monkeypatch.setattr(file_cells, "REJECTS_HELD", 100)
    path = tmp_path / "in.csv"
    path.write_bytes(b"n,text\n" + b"broken line\n" * 1000)
    windows = list(open_source(path).windows(10))
    assert sum(len(window.rejects) for window in windows) == 1000
    assert max(len(window.rejects) for window in windows) <= 10
    assert all(window.texts.is_empty() for window in windows)


def test_a_changed_input_is_noticed(tmp_path: Path) -> None:
    """Other texts, more rows or fewer rows in the second pass are an error."""
    path = tmp_path / "in.csv"
    for number, changed in enumerate(
        [b"text\na\nX\n", b"text\na\nb\nc\n", b"text\na\n", b"t\na\nb\n"]
    ):
        path.write_bytes(b"text\na\nb\n")
        source = open_source(path)
        parts = slices(source, 10)
        path.write_bytes(changed)
        with pytest.raises(DataError, match="changed while it was scored"):
            source.write_scored(tmp_path / f"out{number}.csv", SCHEMA, parts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'"text\na\n', "header"),
        (b"t\xff,text\n", "is not utf-8, it looks like cp1252"),
        (b"text,text\na,b\n", "2 columns 'text'"),
        (b"id,Tweet\n1,a\n", "only: id, Tweet; did you mean --text-column Tweet"),
        (b"id,x\n1,a\n", "name one with --text-column"),
    ],
)
def test_unusable_headers_are_explained(tmp_path: Path, content: bytes, words: str) -> None:
    """The message says what is there and what to do."""
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert words in str(caught.value)


def test_unusable_arguments_are_usage_errors(tmp_path: Path) -> None:
    """Extension, delimiter, limit and column names are checked before any work."""
    (path := tmp_path / "in.csv").write_bytes(b"text,label\na,b\n")
    (tmp_path / "in.bin").write_bytes(b"\0")
    with pytest.raises(UsageError, match=r"supported are \.csv, \.tsv"):
        open_source(tmp_path / "in.bin")
    for delimiter in ["ab", '"', "\n", "é"]:
        with pytest.raises(UsageError, match="delimiter"):
            open_source(path, InputSpec(csv=CsvOptions(delimiter=delimiter)))
    with pytest.raises(UsageError, match="limit"):
        open_source(path, InputSpec(limit=-1))
    with pytest.raises(UsageError, match="'label' exists already"):
        SCHEMA.check_against(open_source(path).columns)
    with pytest.raises(UsageError, match="'x' exists already"):
        OutputColumns("x", "x", ()).check_against([])


def test_missing_inputs_and_directories_are_told_apart(tmp_path: Path) -> None:
    """66 for both, and the line says which it is."""
    with pytest.raises(InputMissing, match="does not exist"):
        open_source(tmp_path / "none.csv")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(InputMissing, match="is a directory"):
        open_source(tmp_path / "dir.csv")


def test_names_that_the_encoding_lacks_are_refused_before_writing(tmp_path: Path) -> None:
    """A label that latin-1 cannot hold does not fail half-way."""
    (path := tmp_path / "in.csv").write_bytes(b"text\na\n")
    source = open_source(path, InputSpec(csv=CsvOptions(encoding="latin-1")))
    with pytest.raises(UsageError, match="cannot be written"):
        source.write_scored(tmp_path / "o.csv", OutputColumns("label", "score", ("→",)), [])
    assert not (tmp_path / "o.csv").exists()


def test_other_delimiters(tmp_path: Path) -> None:
    """TSV has tabs, and --delimiter names any other."""
    (tsv := tmp_path / "in.tsv").write_bytes(b'n\ttext\n1\tsaid "hi", he\n')
    assert texts(tsv) == ['said "hi", he']
    (csv := tmp_path / "in.csv").write_bytes(b"n;text\n1;a,b\n")
    assert texts(csv, csv=CsvOptions(delimiter=";")) == ["a,b"]
    out = write_scored(csv, tmp_path / "o.csv", csv=CsvOptions(delimiter=";"))
    assert out.read_bytes().endswith(b"b;neg;0.5\n")


@pytest.mark.ci
def test_real_tweets_come_back_unchanged(tmp_path: Path) -> None:
    """All records of the training file are their own bytes plus two cells; texts are polars'."""
    path = Path(__file__).parents[3] / "shared/data/train.csv"
    assert texts(path) == pl.read_csv(path)["text"].to_list()
    out = write_scored(path, tmp_path / "out.csv", 5000)
    frame = pl.read_csv(out)
    assert frame.drop("label", "score").equals(pl.read_csv(path))


def test_long_texts_end_windows_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window holds so many bytes of text and one more row, whatever the rows that it may have."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"id,text\n" + b"".join(b"%d,%s\n" % (n, b"x" * n) for n in range(9)))
    monkeypatch.setattr(file_cells, "TEXTS_HELD", 10)
    windows = list(open_source(path).windows(100))
    assert [window.texts.str.len_bytes().to_list() for window in windows] == [
        [None, 1, 2, 3, 4, 5], [6, 7], [8],
    ]  # fmt: skip
    assert [window.offset for window in windows] == [0, 6, 8]


def test_a_flood_of_blank_lines_ends_windows_early(tmp_path: Path) -> None:
    """A reject costs memory though its record is empty: no window holds them all."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"id,text\n" + b"\n" * 100_000 + b"1,a\n")
    counts = [len(window.rejects) for window in open_source(path).windows(16_384)]
    assert sum(counts) == 100_000
    assert max(counts) < 50_000


def test_rows_that_quotes_may_have_merged_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as were looked at; each pass over the file counts anew."""
    (path := tmp_path / "in.tsv").write_bytes(b'id\ttext\n1\t"a\n2\tb"\n3\tc\n' * 2)
    source = open_source(path)
    words = (
        "line ends in quotes and as many cells on each line as a row; "
        "if quotes are data there, add --quote none"
    )

    def remarks() -> list[str]:
        assert [len(window.texts) for window in source.windows(9)] == [5]
        return list(source.remarks)

    assert not source.remarks
    assert remarks() == remarks() == [f"{path}: 2 records have {words}"]
    monkeypatch.setattr(csv_source, "_SPREAD", 1)
    assert remarks() == [f"{path}: at least 1 record has {words}"]
