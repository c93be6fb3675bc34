"""Tables of any values as CSV of every kind: what was not touched is what it was."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scorer.formats.open import open_source
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, answers, label_of
from tests.hostile.csv_factory import LABELS, SCORES, compressed, decompressed

BOMS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


@dataclass(frozen=True)
class Table:
    """Values, and how they are written."""

    rows: list[list[str]]
    quoting: Literal[0, 1, 2]
    delimiter: str
    ending: str
    last_ending: bool
    text_column: int
    codec: str
    marked: bool
    extension: str

    @property
    def names(self) -> list[str]:
        """Return the header's cells."""
        names = ["a", "b", "c"]
        names[self.text_column] = "text"
        return names

    @property
    def bom(self) -> bytes:
        """Return the mark that the file begins with, if any."""
        return BOMS.get(self.codec, b"") if self.marked else b""

    def lines(self) -> list[str]:
        """Return the records without their line endings, as Python's own writer makes them."""
        lines = []
        for row in [self.names, *self.rows]:
            sink = io.StringIO()
            csv.writer(sink, delimiter=self.delimiter, quoting=self.quoting).writerow(row)
            lines.append(sink.getvalue().removesuffix("\r\n"))
        return lines

    def encoded(self, lines: list[str]) -> bytes:
        """Return the file that holds these records."""
        text = self.ending.join(lines) + self.ending * self.last_ending
        return self.bom + text.encode(self.codec)

    def texts(self) -> list[str]:
        """Return the values to be scored."""
        return [row[self.text_column] for row in self.rows]

    def cells(self, text: str) -> str:
        """Return what a record with this text gets."""
        number = label_of(text)
        if number < 0:
            return 2 * self.delimiter
        label = LABELS[number]
        label = f'"{label}"' if self.delimiter in label else label
        return f"{self.delimiter}{label}{self.delimiter}{SCORES[number]}"


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Return a table that its encoding can hold."""
    codec = draw(st.sampled_from(["utf-8", "utf-8", "utf-16-le", "utf-16-be", "latin-1", "koi8-r"]))
    delimiter = draw(st.sampled_from(",,\t;|"))
    signs = st.sampled_from([*',;|\t"\r\n \0\x1a0', '""', '",', '"\n', "\r\n", "007", "ok", "last"])
    value = st.text(st.characters(codec=codec), max_size=6) | st.lists(signs, max_size=5).map(
        "".join
    )
    rows = draw(st.lists(st.lists(value, min_size=3, max_size=3), max_size=8))
    return Table(
        rows,
        draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        delimiter,
        draw(st.sampled_from(["\n", "\r\n"])),
        draw(st.booleans()),
        draw(st.integers(0, 2)),
        codec,
        draw(st.booleans()),
        draw(st.sampled_from([".csv", ".csv.gz", ".csv.zst", ".tsv"])),
    )


def check(table: Table, directory: Path) -> None:
    """Score a table and compare texts, bytes and, read by Python's own reader, every column."""
    path, out = directory / f"in{table.extension}", directory / f"out{table.extension}"
    content = table.encoded(table.lines())
    path.write_bytes(compressed(content, table.extension))
    out.unlink(missing_ok=True)
    assume(table.codec not in {"latin-1", "koi8-r"} or not is_foreign_utf8(content))
    named = None if table.bom or table.codec == "utf-8" else table.codec
    source = open_source(path, InputSpec(csv=CsvOptions(named, table.delimiter)))
    windows = list(source.windows(3))
    assert not any(window.rejects for window in windows)
    found = [text for window in windows for text in window.texts]
    assert [text or "" for text in found] == table.texts()
    source.write_scored(out, SCHEMA, answers(windows))
    header, *lines = table.lines()
    added = ["label", "score"]
    scored = [table.delimiter.join([header, *added])]
    scored += [line + table.cells(text) for line, text in zip(lines, table.texts(), strict=True)]
    written = decompressed(out.read_bytes(), table.extension)
    assert written == table.encoded(scored)
    text = written.removeprefix(table.bom).decode(table.codec)
    records = list(csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter))
    assert [record[:3] for record in records] == [table.names, *table.rows]


def is_foreign_utf8(content: bytes) -> bool:
    """Tell whether bytes in another encoding happen to be UTF-8: such a file is refused."""
    try:
        return not content.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def round_trips(directory: Path, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tables())
    def any_table(table: Table) -> None:
        check(table, directory)

    any_table()


def test_some_tables_come_back_as_they_were(tmp_path: Path) -> None:
    """Every untouched column is equal after a run, and its bytes are the same."""
    round_trips(tmp_path, 150)


@pytest.mark.ci
@pytest.mark.long
def test_thousands_of_tables_come_back_as_they_were(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """Whatever values, quotes, delimiters, line endings, encodings and compression."""
    round_trips(tmp_path, count(2_000, 20_000))
