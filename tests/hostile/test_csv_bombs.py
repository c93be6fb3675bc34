"""Small files that are large inside, and headers that are none: bounded memory, clear answers."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scorer.errors import DataError
from scorer.formats.base import RECORD_CAP
from scorer.formats.csv import splitter as csv_records
from scorer.formats.csv.scan import Spans, scan
from scorer.formats.open import open_source
from scorer.formats.text import cells
from scorer.formats.text.dialects import Failure, Record, read_record
from tests.formats.files_helpers import write_scored
from tests.hostile.csv_factory import bomb

MIB, GIB = 1 << 20, 1 << 30
LARGEST = 600 * MIB  # resident memory of a process that scores with a stub, its libraries included
SECONDS = 240  # a watchdog: linear work on a GiB takes a few

# Both passes in a process of its own, so that its memory is the input's doing.
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from scorer.errors import TweetscoreError
from scorer.formats.open import open_source
from scorer.formats.base import RECORD_CAP
from scorer.formats.base import ScoredSlice, text_digest
from scorer.formats.output_columns import OutputColumns

seen = {"rows": 0, "windows": 0, "rejects": [], "error": ""}

def stub(window):
    rows = len(window.texts)
    seen["rows"] += rows
    seen["windows"] += 1
    seen["rejects"] += [(r.line, r.kind, len(r.raw)) for r in window.rejects][: 9]
    scores = np.full((rows, 2), 0.5, np.float32)
    return ScoredSlice(np.zeros(rows, np.int16), scores, window.offset, text_digest(window.texts))

try:
    source = open_source(Path(sys.argv[1]))
    parts = map(stub, open_source(Path(sys.argv[1])).windows(16_384))
    schema = OutputColumns("label", "score", ("negative", "positive"))
    seen["written"] = source.write_scored(Path(sys.argv[2]), schema, parts).rows
except TweetscoreError as error:
    seen["error"] = str(error)
status = Path("/proc/self/status").read_text()
seen["peak"] = 1024 * int(status.split("VmHWM:")[1].split()[0])
print(json.dumps(seen))
"""


def both_passes(path: Path) -> dict[str, Any]:
    """Score a file with a stub in another process; return what it saw and its peak memory."""
    out = path.with_name(f"out-{path.name}")
    arguments = [sys.executable, "-c", CHILD, str(path), str(out)]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=True)
    seen: dict[str, Any] = json.loads(ended.stdout)
    assert seen["peak"] < LARGEST
    out.unlink(missing_ok=True)
    return seen


HEAD = b"id,text\n1,ok\n2,"
LINES = {
    "letters": (HEAD, b"a", b"\n3,ok\n"),
    "zeros": (HEAD, b"\0", b"\n3,ok\n"),
    "open quote": (HEAD + b'"', b"a", b"\n3,ok\n"),
    "quotes": (HEAD, b'"', b"\n3,ok\n"),
    "commas": (HEAD, b",", b"\n3,ok\n"),
    "bytes that are no text": (HEAD, b"\xff", b"\n3,ok\n"),
}


@pytest.mark.parametrize(
    ("name", "extension"), [("letters", "gz"), *((name, "zst") for name in LINES)]
)
@pytest.mark.ci
def test_a_gigabyte_on_one_line_is_one_reject(name: str, extension: str, tmp_path: Path) -> None:
    """The rows around it are scored, the line is cut at the cap, memory stays flat."""
    head, unit, tail = LINES[name]
    path = bomb(tmp_path / f"in.csv.{extension}", head, unit, GIB, tail)
    assert path.stat().st_size < 16 * MIB
    seen = both_passes(path)
    assert (seen["error"], seen["rows"], seen["written"]) == ("", 2, 2)
    [[line, kind, raw]] = seen["rejects"]
    assert (line, kind) == (3, "record-too-long")
    assert raw <= RECORD_CAP


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    """Nobody unpacks a gigabyte to learn that line 1 is no header."""
    path = bomb(tmp_path / "in.csv.zst", b"text", b"a", GIB)
    seen = both_passes(path)
    assert "the header of" in seen["error"]
    assert "longer than the cap" in seen["error"]
    assert seen["peak"] < LARGEST // 2


ROWS = {
    "line ends": (b"text\n", b"\n", 8 * MIB, 8 * MIB),
    "empty cells": (b"id,text\n", b",\n", 16 * MIB, 8 * MIB),
    "pairs of quotes": (b"id,text\n", b'1,""""""\n', 16 * MIB, 16 * MIB // 9),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.ci
def test_rows_of_next_to_nothing_do_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    """A row's offsets are larger than the row: a block of them is read in slices."""
    head, unit, size, rows = ROWS[name]
    seen = both_passes(bomb(tmp_path / "in.csv.zst", head, unit, size))
    assert seen["error"] == ""
    assert seen["rows"] == seen["written"]
    assert abs(seen["rows"] - rows) <= 32
    assert seen["rejects"] == []


@pytest.mark.ci
def test_a_window_of_the_longest_tweets_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A window ends by bytes too, or 16,384 rows of a MiB each would be one."""
    row = b"1," + b"a" * (RECORD_CAP - 100) + b"\n"
    with pa.CompressedOutputStream((tmp_path / "in.csv.zst").open("wb"), "zstd") as sink:
        sink.write(b"id,text\n")
        for _ in range(500):
            sink.write(row)
    seen = both_passes(tmp_path / "in.csv.zst")
    assert (seen["error"], seen["rows"]) == ("", 500)
    assert seen["windows"] > 10


def test_windows_of_long_texts_end_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is lost or doubled where bytes end a window, wherever blocks were cut."""
    monkeypatch.setattr(cells, "TEXTS_HELD", 100)
    (path := tmp_path / "in.csv").write_bytes(
        b"text\n" + b"".join(b"%s\n" % (b"x" * (n % 60)) for n in range(500))
    )
    windows = list(open_source(path).windows(50))
    sizes = [[len(text or "") for text in window.texts] for window in windows]
    assert [size for window in sizes for size in window] == [n % 60 for n in range(500)]
    assert all(sum(window[:-1]) <= 100 for window in sizes)
    assert [window.offset for window in windows[1:]] == [
        sum(map(len, sizes[:n])) for n in range(1, len(sizes))
    ]
    monkeypatch.setattr("scorer.formats.csv.BLOCK_SIZE", 97)
    monkeypatch.setattr("scorer.formats.text.compression.READ_SIZE", 31)
    again = [[len(text or "") for text in w.texts] for w in open_source(path).windows(50)]
    assert again == sizes
    out = write_scored(path, tmp_path / "out.csv", 50)
    assert out.read_bytes().count(b"\n") == 501


def packed(content: bytes, extension: str) -> bytes:
    if extension == "gz":
        return gzip.compress(content, mtime=0)
    return bytes(pa.compress(content, "zstd", asbytes=True))


def texts(path: Path) -> list[str | None]:
    return [text for window in open_source(path).windows(1000) for text in window.texts]


@pytest.mark.parametrize("extension", ["gz", "zst"])
def test_empty_members_are_passed_over(extension: str, tmp_path: Path) -> None:
    """Members without content end nothing, however many there are between two rows."""
    empty = packed(b"", extension)
    (path := tmp_path / f"in.csv.{extension}").write_bytes(
        empty * 3
        + packed(b"text\na\n", extension)
        + empty * 100_000
        + packed(b"b\n", extension)
        + empty
    )
    assert texts(path) == ["a", "b"]


@pytest.mark.parametrize("extension", ["gz", "zst"])
def test_members_of_a_byte_each_are_one_file(extension: str, tmp_path: Path) -> None:
    """A byte-order mark and a character may be spread over members."""
    content = b"\xff\xfe" + "text\n\U0001f602\n".encode("utf-16-le")
    members = b"".join(packed(bytes([byte]), extension) for byte in content)
    (path := tmp_path / f"in.csv.{extension}").write_bytes(members)
    assert texts(path) == ["\U0001f602"]


def test_frames_to_be_skipped_are_skipped(tmp_path: Path) -> None:
    """Zstandard's frames for other programs' notes hold no rows."""
    note = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    (path := tmp_path / "in.csv.zst").write_bytes(
        note + packed(b"text\na\n", "zst") + note + packed(b"b\n", "zst") + note
    )
    assert texts(path) == ["a", "b"]


@pytest.mark.parametrize("extension", ["gz", "zst"])
def test_a_compressed_file_cut_anywhere_is_refused(extension: str, tmp_path: Path) -> None:
    """There is no byte after which a part of a file passes for the whole."""
    whole = packed(b"text\n" + bytes(range(97, 123)) * 3 + b"\n", extension)
    path = tmp_path / f"in.csv.{extension}"
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is not a complete"):
            texts(path)
    path.write_bytes(whole)
    assert len(texts(path)) == 1


@pytest.mark.parametrize("extension", ["gz", "zst"])
@pytest.mark.parametrize("garbage", [b"g", b"garbage", b"text\na\n", b"\x1f\x8b", b"\x28\xb5\x2f"])
def test_what_follows_a_compressed_file_is_not_ignored(
    extension: str, garbage: bytes, tmp_path: Path
) -> None:
    """Bytes behind the last member may be rows that were lost."""
    path = tmp_path / f"in.csv.{extension}"
    path.write_bytes(packed(b"text\na\n", extension) + garbage)
    with pytest.raises(DataError, match="is not a complete"):
        texts(path)


def test_padding_behind_gzip_is_allowed(tmp_path: Path) -> None:
    """Tapes and block devices fill up with zeros, as gzip itself accepts."""
    (path := tmp_path / "in.csv.gz").write_bytes(packed(b"text\na\n", "gz") + bytes(1000))
    assert texts(path) == ["a"]


def test_bombs_in_members_are_no_larger_than_one(tmp_path: Path) -> None:
    """A hundred members of 4 MiB on one line are one reject with its line."""
    member = packed(b"a" * (4 * MIB), "zst")
    path = tmp_path / "in.csv.zst"
    path.write_bytes(packed(HEAD, "zst") + member * 100 + packed(b"\n3,ok\n", "zst"))
    seen = both_passes(path)
    assert (seen["rows"], seen["rejects"]) == (2, [[3, "record-too-long", RECORD_CAP]])


COLUMNS = 1_000_000
HEADERS = {
    "a million names of nothing": (b"," * (COLUMNS - 5) + b"\n", "no column 'text', only: , , "),
    "many names": (b",".join(b"c%d" % n for n in range(130_000)) + b"\n", "only: c0, c1"),
    "one name of a MiB": (b"x" * 1_000_000 + b",t\n", "only: xxx"),
    "only line ends": (b"\n" * 100_000, "is a blank line; remove"),
    "only CR": (b"\r" * 100_000, "is a blank line; remove"),
    "only CRLF": (b"\r\n" * 100_000, "is a blank line; remove"),
    "only quotes": (b'"' * (5 * MIB), "header"),
    "an odd number of quotes": (b'"' * 999, "a quoted cell is not closed"),
    "longer than the cap": (b"x" * (RECORD_CAP + 1) + b",text\n", "longer than the cap"),
    "text after a quote": (b'"text"x\n', "text follows a closing quote"),
    "the same name twice": (b"text,a,text\n1,2,3\n", "2 columns 'text'"),
    "zeros": (bytes(100_000), "no column 'text'"),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.timeout(SECONDS)
def test_a_header_that_is_none_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    """The message stays one that a person can read."""
    content, words = HEADERS[name]
    (path := tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_a_million_columns_are_columns(tmp_path: Path) -> None:
    """As wide a table as the cap allows is scored like any other."""
    (path := tmp_path / "in.csv").write_bytes(
        b"," * (COLUMNS - 1) + b"text\n" + b"," * (COLUMNS - 1) + b"ok\n" + b"," * COLUMNS + b"x\n"
    )
    [window] = open_source(path).windows(10)
    assert window.texts.to_list() == ["ok"]
    assert [(r.line, r.kind) for r in window.rejects] == [(3, "field-count")]


def test_names_that_no_one_asks_for_may_be_there_twice(tmp_path: Path) -> None:
    """Only the text column's name has to be its own."""
    (path := tmp_path / "in.csv").write_bytes(b"a,text,a\n1,ok,3\n")
    out = write_scored(path, tmp_path / "out.csv")
    assert out.read_bytes() == b"a,text,a,label,score\n1,ok,3,neutral,0.00000012\n"


@pytest.mark.parametrize(
    "content", [b"text", b"text\n", b"text\r\n", b'"text"', b"\xef\xbb\xbftext"]
)
def test_a_header_alone_has_no_rows(content: bytes, tmp_path: Path) -> None:
    """With a line ending or without, the output is a header alone."""
    (path := tmp_path / "in.csv").write_bytes(content)
    out = write_scored(path, tmp_path / "out.csv")
    assert texts(path) == []
    assert (
        out.read_bytes()
        == content.rstrip(b"\r\n") + b",label,score" + content[len(content.rstrip(b"\r\n")) :]
    )


@pytest.mark.ci
def test_an_open_quote_at_the_end_of_a_long_file_costs_its_line(tmp_path: Path) -> None:
    """A hundred megabytes before it are read as ever, and the line is named."""
    row = b'1,"some words, quoted"\n'
    rows = (100 * MIB) // (len(row) * 45_590) * 45_590
    path = bomb(tmp_path / "in.csv.zst", b"id,text\n", row, len(row) * rows, b'2,"open\n3,ok\n')
    seen = both_passes(path)
    [[line, kind, _]] = seen["rejects"]
    assert kind == "open-quote"
    assert line == seen["rows"] + 1  # the header before it, and one row behind it
    assert seen["written"] == seen["rows"] > 4_000_000


BROKEN = {
    "open quotes": b'1,"a\n',
    "quotes that close on the next line": b'x","\n',
    "blank lines": b"\n",
    "too few cells": b"1\n",
    "bytes that are no text": b"1,\xff\n",
    "text behind quotes": b'1,"a"b\n',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_of_nothing_but_rejects_is_read_in_linear_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the broken lines are twice the bytes looked at, singly or with numpy."""

    def work(lines: int) -> int:
        looked_at = 0

        def counted_scan(data: NDArray[np.uint8], *rest: Any) -> tuple[Spans, bool]:
            nonlocal looked_at
            looked_at += len(data)
            return scan(data, *rest)

        def counted_read(data: bytes, start: int, *rest: Any, at_end: bool) -> Record | Failure:
            nonlocal looked_at
            result = read_record(data, start, *rest, at_end=at_end)
            looked_at += (result.stop if isinstance(result, Record) else result.reach) - start
            return result

        (path := tmp_path / "in.csv").write_bytes(b"id,text\n" + BROKEN[name] * lines + b"1,a\n")
        with monkeypatch.context() as patch:
            patch.setattr(csv_records, "scan", counted_scan)
            patch.setattr(csv_records, "read_record", counted_read)
            rejects = sum(len(window.rejects) for window in open_source(path).windows(100))
        assert rejects == lines
        return looked_at

    few, many = work(30_000), work(60_000)
    assert many <= 2.5 * few
    assert many <= 20 * 60_000 * len(BROKEN[name])
