"""Dialects: quotes that are data, backslashes that escape, no header, sep= lines, blank ends."""

import csv
import io
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import DataError, UsageError
from scorer.formats import csv as csv_source
from scorer.formats.csv import rows as csv_rows
from scorer.formats.csv import splitter as csv_records
from scorer.formats.csv.rows import TrailingBlanks, texts_of
from scorer.formats.csv.splitter import RecordSplitter
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.dialects import Dialect, quoted_if_needed, unquoted
from scorer.options import CsvOptions, InputSpec
from scorer.readback import Comparison
from tests.formats.files_helpers import SCHEMA, scored, write_scored

UNQUOTED = CsvOptions(quote="none")
USUAL = CsvOptions()
SPARK = CsvOptions(escape="backslash")


def texts(path: Path, csv: CsvOptions = USUAL, limit: int | None = None) -> list[str | None]:
    windows = list(open_source(path, InputSpec(csv=csv, limit=limit)).windows(3))
    assert not any(window.rejects for window in windows)
    return [text for window in windows for text in window.texts]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def agrees(path: Path, out: Path, csv: CsvOptions, schema: OutputColumns = SCHEMA) -> None:
    """Hold an output against its input, as verify does."""
    source = open_source(path, InputSpec(csv=csv))
    comparison = Comparison(source, out, schema, InputSpec(csv=csv))
    assert list(comparison.columns()) == []
    assert [finding for block in comparison.rows() for finding in block.findings] == []


def test_quotes_are_data_where_there_is_no_quoting(tmp_path: Path) -> None:
    """Each line is a row: nothing spans lines, nothing is unquoted."""
    content = b'id\ttext\n1\t"what a day\n2\tI hate\n3\tshe "said" so"\n4\t""\n5\t\n6\t"\n'
    path = write(tmp_path / "in.tsv", content)
    found = ['"what a day', "I hate", 'she "said" so"', '""', None, '"']
    assert texts(path, UNQUOTED) == found
    out = write_scored(path, tmp_path / "out.tsv", csv=UNQUOTED, schema=SCHEMA)
    lines = content.decode().splitlines()
    cells = ["\tlabel\tscore", *(cell.replace(",", "\t").replace('"po\ts"', "po,s")
                                 for cell in scored(found))]  # fmt: skip
    assert out.read_text().splitlines() == [a + b for a, b in zip(lines, cells, strict=True)]
    agrees(path, out, UNQUOTED)


@pytest.mark.parametrize("name", ["po\ts", "a\nb", "a\rb"])
def test_a_name_that_needs_quotes_is_refused_where_there_are_none(
    tmp_path: Path, name: str
) -> None:
    """Before any work."""
    path = write(tmp_path / "in.tsv", b"id\ttext\n1\ta\n")
    source = open_source(path, InputSpec(csv=UNQUOTED))
    for schema in (OutputColumns("label", "score", (name,)), OutputColumns(name, "score", ())):
        with pytest.raises(UsageError, match="cannot be written without quotes"):
            source.check_output_schema(schema)


PIECES = ['"', "\\", ",", "a", "é", '\\"', "\\\\", '""', "\n", "\r\n", ' "', "\\n"]
values = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


def spark_cell(value: str) -> str:
    """Write a value as Spark does: quotes where it has a quote, a delimiter or a line end."""
    if not value:
        return '""'
    if not any(c in value for c in '",\r\n'):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(values, values), max_size=8),
    block=st.sampled_from([1, 3, 17, 1 << 20]),
    window=st.sampled_from([1, 4, 1 << 18]),
)
def test_what_spark_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], block: int, window: int
) -> None:
    """Any value, wherever blocks and scans are cut; and its bytes come back."""
    directory = tmp_path_factory.mktemp("t")
    lines = [f"{spark_cell(a)},{spark_cell(b)}" for a, b in rows]
    content = "other,text\n" + "".join(line + "\n" for line in lines)
    path = write(directory / "in.csv", content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "BLOCK_SIZE", block)
        patch.setattr(csv_records, "_LARGE_SCAN", window)
        patch.setattr(csv_records, "_SMALL_SCAN", 1)
        found = texts(path, SPARK)
        assert [text or "" for text in found] == [b for _, b in rows]
        out = write_scored(path, directory / "out.csv", csv=SPARK)
    expected = [line + cells for line, cells in zip(lines, scored(found), strict=True)]
    assert out.read_bytes().decode() == "\n".join(["other,text,label,score", *expected, ""])
    agrees(path, out, SPARK)
    reader = csv.reader(io.StringIO(content, newline=""), escapechar="\\", doublequote=False)
    if not any("\\" in value and '"' not in spark_cell(value) for row in rows for value in row):
        assert [row[1] for row in reader][1:] == [b for _, b in rows]  # Python's own reader agrees


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (rb'"a\"b"', r'a"b'), (rb'"a\\b"', r"a\b"), (rb'"a\nb"', r"a\nb"), (rb'"a\xb"', r"a\xb"),
        (rb'"tail\\"', "tail\\"), (rb'"a\\\"b"', r'a\"b'), (rb'a\"b', r'a\"b'), (rb"a\\b", r"a\\b"),
        (rb"\N", r"\N"), (rb'"\\\\"', r"\\"),
    ],
)  # fmt: skip
def test_a_backslash_is_what_spark_takes_it_for(tmp_path: Path, cell: bytes, value: str) -> None:
    """As Spark 4.3 reads these very cells with its defaults."""
    path = write(tmp_path / "in.csv", b"id,text,z\n1," + cell + b",z\n2,next,z\n")
    assert texts(path, SPARK) == [value, "next"]


soup = st.lists(
    st.sampled_from([b'"', b"\\", b",", b"\n", b"\r\n", b"a", b'\\"', b"\xff", b'"x\ny"', b'""']),
    max_size=40,
).map(b"".join)
DIALECTS = [Dialect(44, quoting=False), Dialect(44, escape=True), Dialect(44, 13, escape=True)]


def split(
    content: bytes, cuts: list[int], dialect: Dialect, window: int
) -> tuple[list[tuple[bytes, str | None]], list[tuple[int, str, bytes]]]:
    splitter = RecordSplitter(dialect, cells=2, text_cell=1, cap=64)
    splitter._window = window
    bounds = [0, *sorted(min(i, len(content)) for i in cuts), len(content)]
    rows: list[tuple[bytes, str | None]] = []
    rejects: list[tuple[int, str, bytes]] = []
    for number, (a, b) in enumerate(itertools.pairwise(bounds)):
        for part in splitter.split(content[a:b], final=number == len(bounds) - 2):
            spans = part.spans
            raw = [part.data[x:y] for x, y in zip(spans.starts, spans.stops, strict=True)]
            rows += zip(raw, texts_of(part), strict=True)
            rejects += [(reject.line, reject.kind, reject.raw) for _, reject in part.rejects]
    return rows, rejects


@settings(max_examples=300, deadline=None)
@given(soup, st.lists(st.integers(0, 60), max_size=4), st.sampled_from(DIALECTS))
def test_rows_do_not_depend_on_where_blocks_and_scans_are_cut(
    content: bytes, cuts: list[int], dialect: Dialect
) -> None:
    """Whatever the bytes: read at once, one record at a time, or in pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_SMALL_SCAN", 1)
        whole = split(content, [], dialect, 1 << 18)
        assert split(content, cuts, dialect, 1 << 18) == whole
        assert split(content, cuts, dialect, 1) == whole


@settings(max_examples=200, deadline=None)
@given(soup)
def test_without_quoting_lines_and_delimiters_are_all_there_is(content: bytes) -> None:
    """As Python's own splitting has it."""
    rows, rejects = split(content, [], Dialect(44, quoting=False), 1 << 18)
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    lines = lines[:-1] if content.endswith(b"\n") or not content else lines
    short = [line for line in lines if len(line) <= 60 and b"\xff" not in line]
    sound = [line.split(b",") for line in short if line.count(b",") == 1]
    assert len(rows) + len(rejects) == len(lines)
    found = [text for raw, text in rows if len(raw) <= 60]
    assert [text or "" for text in found] == [cells[1].decode() for cells in sound]


@settings(max_examples=200, deadline=None)
@given(values, st.sampled_from(DIALECTS[1:]))
def test_our_own_cells_are_read_back(value: str, dialect: Dialect) -> None:
    """Whatever a label is called."""
    cell = quoted_if_needed(value, dialect).encode()
    assert unquoted(cell, dialect).decode() == value


def test_a_doubled_quote_is_no_quote_behind_backslashes(tmp_path: Path) -> None:
    """Spark never writes one; what it would make of it is a row with other cells."""
    path = write(tmp_path / "in.csv", b'id,text\n1,"a ""b"" c"\n2,ok\n')
    [window] = open_source(path, InputSpec(csv=SPARK)).windows(9)
    assert [reject.kind for reject in window.rejects] == ["text-after-quote"]
    assert window.texts.to_list() == ["ok"]


def test_a_file_without_a_header_gets_none(tmp_path: Path) -> None:
    """Its names are those of the call, and its first line is a row."""
    options = CsvOptions(columns=("id", "text"))
    path = write(tmp_path / "in.csv", b"\xef\xbb\xbf1,ok\n2,last\n")
    assert open_source(path, InputSpec(csv=options)).columns == ("id", "text")
    assert texts(path, options) == ["ok", "last"]
    out = write_scored(path, tmp_path / "out.csv", csv=options)
    a, b = scored(["ok", "last"])
    assert out.read_text() == f"\ufeff1,ok{a}\n2,last{b}\n"
    agrees(path, out, options)
    assert texts(write(tmp_path / "empty.csv", b""), options) == []


@pytest.mark.parametrize(
    ("content", "names", "line"),
    [
        (b"1,a,b\n", "id,text", "3 cells, --columns names 2; name each of its cells, in order"),
        (b"1;a\n", "id,text", "IN has 1 cell, --columns names 2; did you mean --delimiter ';'?"),
        (b"id,text\n1,a\n", "id,text", "it is a header: leave --no-header and --columns out"),
        (b"1,a\n", "id,body", "only: id, body; did you mean --text-column body?"),
    ],
)  # fmt: skip
def test_names_fit_the_first_record(tmp_path: Path, content: bytes, names: str, line: str) -> None:
    """As many as it has cells, and the text column among them."""
    path = write(tmp_path / "in.csv", content)
    with pytest.raises(DataError) as caught:
        open_source(path, InputSpec(csv=CsvOptions(columns=tuple(names.split(",")))))
    assert str(caught.value).replace(str(path), "IN").endswith(line)


def test_a_header_that_looks_like_a_row_leads_to_no_header(tmp_path: Path) -> None:
    """A number or a sentence is no usual name of a column."""
    path = write(tmp_path / "in.csv", b"1,2024-01-01,I love this song\n")
    with pytest.raises(DataError, match=r"if that is a row, give --no-header and 3 names"):
        open_source(path)


def test_contradictions_are_usage_errors() -> None:
    """Said as soon as the options are known."""
    with pytest.raises(UsageError, match="--quote none"):
        CsvOptions(quote="none", escape="backslash")
    with pytest.raises(UsageError, match="both a backslash"):
        CsvOptions(delimiter="\\", escape="backslash")
    with pytest.raises(UsageError, match="names 'a' twice"):
        CsvOptions(columns=("a", "b", "a"))


@pytest.mark.parametrize("line", [b"sep=;\r\n", b"SEP=;\n", b'"sep=;"\r\n'])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_sep_line_says_the_delimiter_and_stays(tmp_path: Path, line: bytes, codec: str) -> None:
    """It is no header; its bytes come out as they were, and lines are counted with it."""
    content = line.decode() + "text;a,text\r\nok;b\r\nbad\r\n"
    path = write(tmp_path / "in.csv", content.encode(codec))
    source = open_source(path)
    assert source.found["delimiter"] == {"character": ";", "from": "sep line"}
    [window] = source.windows(9)
    assert (window.texts.to_list(), [r.line for r in window.rejects]) == (["ok"], [4])
    out = write_scored(path, tmp_path / "out.csv")
    cells = scored(["ok"])[0].replace(",", ";")
    expected = f"{line.decode()}text;a,text;label;score\r\nok;b{cells}\r\n"
    assert out.read_bytes() == expected.encode(codec)


def test_the_option_beats_the_sep_line(tmp_path: Path) -> None:
    """Who gives it knows better."""
    path = write(tmp_path / "in.csv", b"sep=;\nid,text\n1,ok\n")
    assert texts(path, CsvOptions(delimiter=",")) == ["ok"]
    assert texts(write(path, b"sep=\t\nid\ttext\n1\tok\n")) == ["ok"]


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"\n\r\n\n", b"\r\n" * 5])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
def test_blank_lines_at_the_end_pass_through(tmp_path: Path, blank: bytes, codec: str) -> None:
    """They are no rows and no rejects; those between rows are rejects as ever."""
    options = CsvOptions(encoding=codec)
    body = "id,text\n1,ok\n\n2,last\n" + blank.decode()
    path = write(tmp_path / "in.csv", body.encode(codec))
    [window] = open_source(path, InputSpec(csv=options)).windows(9)
    assert (window.texts.to_list(), [r.line for r in window.rejects]) == (["ok", "last"], [3])
    out = write_scored(path, tmp_path / "out.csv", csv=options)
    a, b = scored(["ok", "last"])
    expected = f"id,text,label,score\n1,ok{a}\n2,last{b}\n{blank.decode()}"
    assert out.read_bytes() == expected.encode(codec)
    agrees(path, out, options)


def test_blank_lines_behind_a_limit_are_not_reached(tmp_path: Path) -> None:
    """The first rows are written, and nothing after them."""
    path = write(tmp_path / "in.csv", b"id,text\n1,ok\n2,last\n\n\n")
    assert write_scored(path, tmp_path / "a.csv", limit=2).read_bytes().endswith(b"12\n")
    assert write_scored(path, tmp_path / "b.csv", limit=3).read_bytes().endswith(b"12\n\n\n")


def test_lines_of_cr_alone_end_in_blank_ones_too(tmp_path: Path) -> None:
    """As in old Macintosh files."""
    path = write(tmp_path / "in.csv", b"id,text\r1,ok\r\r\r")
    assert texts(path) == ["ok"]
    out = write_scored(path, tmp_path / "out.csv")
    assert out.read_bytes() == b"id,text,label,score\r1,ok" + scored(["ok"])[0].encode() + b"\r\r\r"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"x", b"a,b\n", b"c\r"]), max_size=9),
    st.lists(st.integers(0, 20), max_size=4),
    st.sampled_from([10, 13]),
)
def test_only_whole_blank_lines_at_the_end_are_taken_out(
    pieces: list[bytes], cuts: list[int], ending: int
) -> None:
    """Wherever blocks are cut, as a reader of lines has it."""
    content = b"".join(pieces)
    bounds = [0, *sorted(min(i, len(content)) for i in cuts), len(content)]
    blanks = TrailingBlanks([content[a:b] for a, b in itertools.pairwise(bounds)], ending)
    found = b"".join(blanks)
    sign = bytes([ending])
    lines = [line + sign for line in content.split(sign)]
    lines = [*lines[:-1], lines[-1][:-1]] if lines[-1] != sign else lines[:-1]
    ends = {b"\n", b"\r\n"} if ending == 10 else {b"\r"}
    while lines and lines[-1] in ends:
        lines.pop()
    assert found == b"".join(lines)
    assert found + blanks.tail == content


def test_a_flood_of_blank_lines_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than a bound are rejects, so that memory stays flat; the bound is a MiB."""
    assert csv_rows._MOST == 1 << 20
    monkeypatch.setattr(csv_rows, "_MOST", 1 << 14)  # a million rejects take 17 s under coverage
    path = write(tmp_path / "in.csv", b"id,text\n1,ok\n" + b"\n" * ((1 << 14) - 1))
    count = sum(len(window.rejects) for window in open_source(path).windows(999))
    assert count == 0
    write(path, b"id,text\n1,ok\n" + b"\n" * ((1 << 14) + 9))
    count = sum(len(window.rejects) for window in open_source(path).windows(999))
    assert count == (1 << 14) + 9
