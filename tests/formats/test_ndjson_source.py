import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import DataError, UsageError
from scorer.formats import ndjson as ndjson_source
from scorer.formats.ndjson import NdjsonSource
from scorer.formats.ndjson import lines as ndjson_lines
from scorer.formats.ndjson.lines import ObjectReader, split_lines
from scorer.formats.ndjson.strict import Row, TextKeys, depth, read_line
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.columns import Keys
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, answers, slices, write_scored
from tests.formats.ndjson_reference import nesting

BLANK = b'"label":null,"score":null'
OK = b'"label":"neutral","score":0.00000012'


def scored(directory: Path, content: bytes, name: str = "in.ndjson", **options: Any) -> bytes:
    """Score a file with the stub and return the output's bytes."""
    (path := directory / name).write_bytes(content)
    return write_scored(path, directory / f"out-{name}", **options).read_bytes()


def rejects(directory: Path, *lines: bytes) -> list[tuple[int, str, str]]:
    """Return what is said of lines that come after a good one."""
    (path := directory / "in.ndjson").write_bytes(b'{"text":"ok"}\n' + b"\n".join(lines))
    source = open_source(path)
    source.check_output_schema(OutputColumns("label", "score", ("a", "b")))
    found = [reject for window in source.windows(100) for reject in window.rejects]
    return [(reject.line, reject.kind, reject.reason) for reject in found]


LINES = [
    (b'{"text":"ok"}\n', b'{"text":"ok",' + OK + b"}\n"),
    (b'{"text":"ok"}\r\n', b'{"text":"ok",' + OK + b"}\r\n"),
    (b'{"text":"ok"}', b'{"text":"ok",' + OK + b"}"),
    (b' { "text" : "ok" } \t\n', b' { "text" : "ok" ,' + OK + b"} \t\n"),
    (b'\xef\xbb\xbf{"text":"ok"}\n', b'\xef\xbb\xbf{"text":"ok",' + OK + b"}\n"),
    (b'{"text":"ok","n":1e999,"m":[007]}\n'.replace(b"007", b"7.10"),
     b'{"text":"ok","n":1e999,"m":[7.10],' + OK + b"}\n"),
    (b'{"a":1,"a":2,"text":"o\\u006b"}\n', b'{"a":1,"a":2,"text":"o\\u006b",' + OK + b"}\n"),
    (b'{"text":null}\n', b'{"text":null,' + BLANK + b"}\n"),
    (b'{"text":""}\n', b'{"text":"",' + BLANK + b"}\n"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "written"), LINES)
def test_a_line_is_its_own_bytes_and_the_members(
    tmp_path: Path, line: bytes, written: bytes
) -> None:
    """White space, line ending, order and spelling stay; the members stand before the brace."""
    assert scored(tmp_path, line) == written


def test_a_missing_text_is_null_and_an_empty_object_gets_no_comma(tmp_path: Path) -> None:
    """As users of JSON expect; the first lines must have the key somewhere."""
    content = b'{"text":"ok"}\n{"id":1}\n{}\n{ }\n'
    written = [b'{"text":"ok",' + OK + b"}", b'{"id":1,' + BLANK + b"}", b"{" + BLANK + b"}"]
    assert scored(tmp_path, content) == b"\n".join([*written, b"{ " + BLANK + b"}", b""])


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.ndjson.zst"])
def test_compressed_files_stay_so(tmp_path: Path, name: str) -> None:
    """What is inside is the same as without compression."""
    content = b'{"text":"ok"}\n' * 3
    packed = gzip.compress(content) if name.endswith("gz") else pa.compress(content, "zstd")
    (path := tmp_path / name).write_bytes(packed)
    out = write_scored(path, tmp_path / f"out-{name}")
    with pa.CompressedInputStream(out.open("rb"), "gzip" if name.endswith("gz") else "zstd") as raw:
        assert raw.read() == (b'{"text":"ok",' + OK + b"}\n") * 3


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """No tweets tonight is no error: the output is empty too."""
    assert scored(tmp_path, b"") == b""


def test_names_and_labels_are_spelled_as_json(tmp_path: Path) -> None:
    """Quotes in names cannot break a line."""
    schema = OutputColumns('la"bel', "sc\\ore", ('n"o', "é", "\n"), ("a", "b", "c"))
    line = scored(tmp_path, b'{"text":"ok"}\n{"text":"two\\r\\nlines"}\n{}\n', schema=schema)
    first, second, third = map(json.loads, line.splitlines())
    assert list(first) == ["text", 'la"bel', "sc\\ore", "a", "b", "c"]
    assert (first['la"bel'], second['la"bel'], third["a"]) == ("é", "\n", None)


BROKEN = [
    (b"", "not-json", "a blank line"),
    (b" \t ", "not-json", "a blank line"),
    (b'{"text":"a"', "not-json", "no JSON at character 12: expecting ',' delimiter"),
    (b'{"text":"a"} x', "not-json", "no JSON at character 14: extra data"),
    (b'{"text":"a"}{}', "not-json", "no JSON at character 13: extra data"),
    (b"NaN", "not-json", "NaN is no JSON"),
    (b'[{"x":-Infinity}]', "not-json", "-Infinity is no JSON"),
    (b'{"text":NaN}', "not-text", "the value of 'text' is NaN, not a string"),
    (b'{"text":"a","score":NaN}', "key-taken", "it has a key 'score' already"),
    (b'{"text":"a","x":nan}', "not-json", "no JSON at character 17: expecting value"),
    (b'{"text":"a","x":+Infinity}', "not-json", "no JSON at character 17: expecting value"),
    (b'{"text":"a","x":-NaN}', "not-json", "no JSON at character 17: expecting value"),
    (b'{"text":"a\tb"}', "not-json", "no JSON at character 11: invalid control character at"),
    (b'{"text":"a"}\0', "not-json", "no JSON at character 13: extra data"),
    (b'[{"text":"a"}]', "not-object", "it is an array, not an object"),
    (b"null", "not-object", "it is null, not an object"),
    (b"7", "not-object", "it is a number, not an object"),
    (b'"text"', "not-object", "it is a string, not an object"),
    (b'{"text":7}', "not-text", "the value of 'text' is a number, not a string"),
    (b'{"text":true}', "not-text", "the value of 'text' is true, not a string"),
    (b'{"text":{}}', "not-text", "the value of 'text' is an object, not a string"),
    (b'{"text":"\\ud83d"}', "not-text", "the value of 'text' holds half of a surrogate pair"),
    (b'{"text":"a","text":"a"}', "duplicate-key", "it has the key 'text' twice"),
    (b'{"text":null,"t\\u0065xt":"a"}', "duplicate-key", "it has the key 'text' twice"),
    (b'{"text":"a","score":1}', "key-taken", "it has a key 'score' already"),
    (b'{"text":"a","l\\u0061bel":1}', "key-taken", "it has a key 'label' already"),
    (b"[" * 201 + b"]" * 201, "too-deep", "nested more than 200 deep"),
    (b'{"text":"\xff"}', "encoding", "bytes that are not UTF-8"),
    (b'{"text":"\xed\xa0\x80"}', "encoding", "bytes that are not UTF-8"),
]


@pytest.mark.parametrize(("line", "kind", "reason"), BROKEN)
def test_a_broken_line_is_a_reject(tmp_path: Path, line: bytes, kind: str, reason: str) -> None:
    """With its line and the reason, and its neighbours are rows."""
    # Beyond the lines whose keys are looked at before any work.
    before = [b'{"text":"ok"}'] * ndjson_source.LOOKED_AT
    found = rejects(tmp_path, *before, line, b'{"text":"ok"}')
    assert found == [(ndjson_source.LOOKED_AT + 2, kind, reason)]


GOOD = [
    b'{"x":"\\ud83d","text":"a"}',
    b'{"text":"\\ud83d\\ude42"}',
    b'{"x":' + b"[" * 199 + b"]" * 199 + b"}",
    b'{"x":"' + b"[" * 500 + b'"}',
    b'{"n":' + b"9" * 5000 + b"}",
    b'{"text":"NaN, Infinity: [NaN]"}',
    b'{"labels":1,"x":"label"}',
    b'{"x":{"label":1,"text":7}}',
    b'{"x":"\\u0000"}',
    b'{"text":"a","retweeted":{"text":"b","label":{"text":"c"}}}',
    b'{"x":["text","text"],"type":"text","text":"a"}',
    b'{"text":"a","x":"\\u00e9\\u0026"}',
]


@pytest.mark.parametrize("line", GOOD)
def test_what_is_only_unusual_is_a_row(tmp_path: Path, line: bytes) -> None:
    """Other keys are their own business."""
    assert rejects(tmp_path, line) == []


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b'[1, {"y": NaN}]'])
def test_floats_that_are_no_numbers_pass_through_and_are_counted(
    tmp_path: Path, value: bytes
) -> None:
    """As `json.dumps` writes them: the line keeps its bytes, in whatever window its row is."""
    line = b'{"text":"ok","x":' + value
    content = b'{"text":"ok"}\n' + line + b'}\n{"text":"NaN"}\n' + line + b"}\nx\n"
    (path := tmp_path / "in.ndjson").write_bytes(content)
    for rows, counts in ((1, [2, 0, 0, 0, 0]), (9, [2])):
        windows = list(open_source(path).windows(rows))
        assert [window.not_finite for window in windows] == counts
    assert sum(w.not_finite for w in open_source(path, InputSpec(limit=2)).windows(9)) == 1
    assert (b"\n" + line + b"," + OK + b"}\n") in write_scored(
        path, tmp_path / "out.ndjson"
    ).read_bytes()


def test_what_writers_of_such_floats_make_is_read(tmp_path: Path) -> None:
    """Python's own, and DuckDB's; polars writes null."""
    nan = float("nan")
    with (tmp_path / "python.ndjson").open("w") as file:
        file.write(json.dumps({"text": "ok", "x": nan, "y": [-float("inf")]}))
    path = tmp_path / "duckdb.ndjson"
    duckdb.execute(f"COPY (SELECT 'ok' AS text, 'nan'::DOUBLE AS x) TO '{path}' (FORMAT json)")
    pl.DataFrame({"text": ["ok"], "x": [nan]}).write_ndjson(tmp_path / "polars.ndjson")
    counts = {}
    for path in tmp_path.iterdir():
        (window,) = open_source(path).windows(9)
        assert (window.texts.to_list(), window.rejects) == (["ok"], ())
        counts[path.stem] = window.not_finite
    assert counts == {"python": 1, "duckdb": 1, "polars": 0}


def test_a_line_may_be_as_long_as_a_record(tmp_path: Path) -> None:
    """One byte more is a reject, cut where a character ends, and the next line is a row."""
    lines = [
        b'{"text":"ok"}',
        b'{"text":"' + b"\xc3\xa9" * 20 + b'"}',
        b'{"text":"' + b"x" * 28 + b'"}',
    ]
    (path := tmp_path / "in.ndjson").write_bytes(b"\r\n".join([*lines, b'{"text":"last"}']))
    [window] = NdjsonSource(path, InputSpec("text"), cap=40).windows(9)
    assert window.texts.to_list() == ["ok", "x" * 28, "last"]
    [reject] = window.rejects
    assert (reject.line, reject.kind, reject.raw) == (2, "record-too-long", lines[1][:39])
    assert reject.reason == "the line is longer than 40 bytes"


def test_a_key_that_the_first_lines_have_is_an_error(tmp_path: Path) -> None:
    """Before any work, as for columns; names can be chosen."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{"text":"ok"}\n{"score":1}\n')
    with pytest.raises(UsageError, match="'score' exists already"):
        open_source(path).check_output_schema(SCHEMA)


def test_a_text_that_no_object_has_is_an_error(tmp_path: Path) -> None:
    """A wrong name must not make all rows blank; the likeliest is named."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{"id":1}\n{"body":"a"}\n')
    with pytest.raises(DataError, match=r"no column 'text', only: id, body; did you mean .* body"):
        open_source(path)


def test_blanks_around_a_key_are_no_part_of_its_name(tmp_path: Path) -> None:
    """The key that is meant is read, as it stands in the lines; ids too."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{" text":"ok","id ":"7"}\n{" text":"last"}\n')
    source = open_source(path)
    assert [text for window in source.windows(9) for text in window.texts] == ["ok", "last"]
    assert [value for piece in source.values("id") for value in piece] == ["7", None]


def test_few_bytes_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TextKeys are looked for in so many lines and bytes; those of longer lines do not count."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{"text":"a"}\n{"b":1}\n{"c":1}\n')
    assert open_source(path).columns == ("text", "b", "c")
    assert NdjsonSource(path, InputSpec("b"), cap=8).columns == ("b", "c")
    monkeypatch.setattr(ndjson_source, "_BYTES_LOOKED_AT", 19)
    assert open_source(path).columns == ("text", "b")


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_is_named(tmp_path: Path, mark: bytes) -> None:
    """Its lines would all be rejects; the file is refused instead."""
    (path := tmp_path / "in.ndjson").write_bytes(mark + '{"text":"a"}'.encode("utf-16-le"))
    with pytest.raises(DataError, match="is UTF-16, not NDJSON; try: iconv "):
        open_source(path)


@pytest.mark.parametrize("option", ["encoding", "delimiter"])
def test_options_of_csv_are_refused(tmp_path: Path, option: str) -> None:
    """They would do nothing."""
    (path := tmp_path / "in.ndjson").write_bytes(b"")
    with pytest.raises(UsageError, match=f"is NDJSON; leave --{option} out, which only CSV has"):
        open_source(path, InputSpec(csv=CsvOptions(**{option: ";"})))  # type: ignore[arg-type]  # one of two


@pytest.mark.parametrize(("limit", "rows"), [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3)])
def test_a_limit_counts_rows(tmp_path: Path, limit: int, rows: int) -> None:
    """Rejects among the first rows are reported, those after them are not read."""
    content = b'{"text":"ok"}\nx\n{"text":"ok"}\n{"text":"ok"}\nx\n'
    (path := tmp_path / "in.ndjson").write_bytes(content)
    windows = list(open_source(path, InputSpec(limit=limit)).windows(2))
    assert sum(len(window.texts) for window in windows) == rows
    found = [reject.line for window in windows for reject in window.rejects]
    assert found == ([2, 5] if limit > 3 else [2] if limit > 1 else [])


CHANGES = [
    b'{"text":"ok"}\n{"text":"changed"}\n',
    b'{"text":"ok"}\n',
    b'{"text":"ok"}\n{"text":"ok"}\n{"text":"ok"}\n',
]


@pytest.mark.parametrize("content", CHANGES)
def test_a_change_between_the_passes_is_noticed(tmp_path: Path, content: bytes) -> None:
    """Another text, a row less, a row more."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{"text":"ok"}\n{"text":"ok"}\n')
    source = open_source(path)
    results = slices(source, 2)
    path.write_bytes(content)
    with pytest.raises(DataError, match="changed while it was scored"):
        source.write_scored(tmp_path / "out.ndjson", SCHEMA, results)


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r\n", b"x" * 30])), st.data())
def test_lines_do_not_depend_on_blocks(blocks: list[bytes], data: st.DataObject) -> None:
    """However the content is cut, the same lines with the same numbers, long ones cut alike."""
    content = b"".join(blocks)
    cap = data.draw(st.integers(2, 20))

    def seen(pieces: list[bytes]) -> list[tuple[int, bytes]]:
        return [
            (lines.first + i, lines.content(i)[: cap + 1])
            for lines in split_lines(pieces, cap)
            for i in range(len(lines))
        ]

    assert (
        seen(blocks) == seen([content]) == seen([content[i : i + 1] for i in range(len(content))])
    )


def test_many_lines_come_in_bounded_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of nothing but line ends is not held at once."""
    monkeypatch.setattr(ndjson_lines, "LINES_AT_ONCE", 3)
    assert [(len(x), x.first) for x in split_lines([b"\n" * 7], 9)] == [(3, 1), (3, 4), (1, 7)]


NAMES = st.sampled_from(["text", "label", "score", "x", "é", 'a"b', "sl/ash"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["NaN", ',"label":', "\ud800", '{"', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Return a line that is nearly always JSON: keys may come twice, NaN may stand in it."""
    members = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    ascii_only = draw(st.booleans())
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", "\t:")]))
    cells = [
        json.dumps(name, ensure_ascii=ascii_only)
        + colon
        + json.dumps(value, ensure_ascii=ascii_only)
        for name, value in members
    ]
    line = "{" + comma.join(cells) + draw(st.sampled_from(["}", " }", "} ", "}}", ""]))
    if draw(st.booleans()):
        line = line.replace("label", "l\\u0061bel").replace("text", "t\\u0065xt")
    return line.encode("utf-8", "replace")


@settings(max_examples=300)
@given(
    st.lists(objects() | st.binary(max_size=8), min_size=1, max_size=6),
    st.sampled_from([("text",), ("é",), ('a"b',), ("x",), ("x", "text"), ("text", "x", "é")]),
    st.sampled_from([("label", "score"), ("é", "sl/ash"), ('a"c', "score"), ()]),
)
def test_lines_at_once_are_what_they_are_one_by_one(
    lines: list[bytes], text: Keys, appended: tuple[str, ...]
) -> None:
    """The vectorised reading and the strict one agree on every line."""
    content = b"\n".join(line.replace(b"\n", b"") for line in lines)
    keys = TextKeys(text, appended)
    for piece in split_lines([content], 1 << 20):
        found = ObjectReader(keys, 1 << 20).read(piece)
        wanted, lost, odd = [], [], []
        for i in range(len(piece)):
            line = piece.content(i)
            try:
                line.decode()
            except UnicodeDecodeError:
                lost.append((piece.first + i, "encoding"))
                continue
            one = read_line(line, keys)
            if isinstance(one, Row):
                wanted.append((int(piece.starts[i]) + one.brace, one.bare, one.text))
                odd.append(one.not_finite)
            else:
                lost.append((piece.first + i, one.kind))
        rows = zip(found.braces.tolist(), found.bare.tolist(), found.texts, strict=True)
        assert list(rows) == wanted
        assert [(reject.line, reject.kind) for _, reject in found.rejects] == lost
        assert found.not_finite.tolist() == odd
        assert np.all(found.stops > found.braces)


@given(st.text('[]{}"\\ax', max_size=40))
def test_depth_is_that_of_brackets_outside_of_strings(line: str) -> None:
    """Whatever the line, broken ones too."""
    deep = "[" * 300
    assert depth((deep + line).encode()) == nesting(deep + line)


def test_windows_end_where_rejects_pile_up(tmp_path: Path) -> None:
    """A reject belongs to the window of the row after it."""
    (path := tmp_path / "in.ndjson").write_bytes(b'x\n{"text":"ok"}\n{"text":"ok"}\nx\n')
    windows = list(open_source(path).windows(1))
    assert [(len(w.texts), len(w.rejects)) for w in windows] == [(1, 1), (1, 0), (0, 1)]
    assert answers(windows)


ODD = [
    b'{"text":"a"}', b'{"id":1}', b"{}", b'{"text":null}', b'{"text":"a","text":"b"}', b"}",
    b'{"text":"a"}{"text":"b"}', b'{"a":{}', b'{"x":{"text":"q"}}', b'{"text":"a"},{"b":2}',
    b'{"text":"q","y":"\\"text\\""}', b'{"text":1}', b'{"text":"\\ud800"}', b'{"n":NaN}',
    b'{"a":[{}', b"{}]}", b'{"text":"a" }', b'{"label":1}', b'{"\\u0074ext":"z"}', b'{"t":"}',
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ODD[:6] + ODD), min_size=1, max_size=6))
def test_lines_together_are_judged_as_each_alone(lines: list[bytes]) -> None:
    """No line changes what its neighbour is, though all may be decoded in one go."""
    reader = ObjectReader(TextKeys(("text",), ("label", "score")), 1 << 20)

    def judged(content: bytes) -> list[tuple[str, object]]:
        (piece,) = [reader.read(each) for each in split_lines([content + b"\n"], 1 << 20)]
        rows: list[tuple[str, object]] = [("row", text) for text in piece.texts]
        for before, reject in reversed(piece.rejects):
            rows.insert(before, (reject.kind, reject.reason))
        return rows

    alone = [judged(line) for line in lines]
    assert judged(b"\n".join(lines)) == [verdict for verdicts in alone for verdict in verdicts]
