"""Which rows and which rejects a window has, wherever blocks, limits and sizes cut."""

from pathlib import Path

import pytest

from scorer.formats import csv as csv_source
from scorer.formats.csv.splitter import RecordSplitter
from scorer.formats.open import open_source
from scorer.formats.text import cells
from scorer.formats.text.dialects import Dialect
from scorer.options import InputSpec

CONTENT = b"n,text\n1,a\nbad\n2,b\n3,c\nbad\n4,d\nbad\n"


@pytest.fixture(params=[csv_source.BLOCK_SIZE, 8])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is read in one block or in many."""
    monkeypatch.setattr(csv_source, "BLOCK_SIZE", request.param)
    monkeypatch.setattr("scorer.formats.text.compression.READ_SIZE", request.param)
    (path := tmp_path / "in.csv").write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("rows", "windows"),
    [
        (1, [(0, "a", []), (1, "b", [3]), (2, "c", []), (3, "d", [6]), (4, "", [8])]),
        (2, [(0, "ab", [3]), (2, "cd", [6]), (4, "", [8])]),
        (3, [(0, "abc", [3]), (3, "d", [6, 8])]),
        (4, [(0, "abcd", [3, 6]), (4, "", [8])]),
        (9, [(0, "abcd", [3, 6, 8])]),
    ],
)
def test_a_reject_is_in_the_window_of_the_row_after_it(
    path: Path, rows: int, windows: list[tuple[int, str, list[int]]]
) -> None:
    """Or in the last one; and each window begins at the row behind those of the one before."""
    found = [
        (window.offset, "".join(window.texts), [reject.line for reject in window.rejects])
        for window in open_source(path).windows(rows)
    ]
    assert found == windows


@pytest.mark.parametrize(("limit", "lines"), [(0, []), (1, []), (2, [3]), (3, [3]), (9, [3, 6, 8])])
def test_a_limit_counts_rows_through_all_blocks(path: Path, limit: int, lines: list[int]) -> None:
    """What lies behind the last row is not met, whether it was read already or not."""
    windows = list(open_source(path, InputSpec(limit=limit)).windows(2))
    assert "".join(text for window in windows for text in window.texts) == "abcd"[:limit]
    assert [reject.line for window in windows for reject in window.rejects] == lines


@pytest.mark.parametrize(("held", "sizes"), [(1006, [2, 2, 1]), (1007, [3, 2]), (503, [1] * 5)])
def test_rejects_end_a_window_when_they_reach_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, sizes: list[int]
) -> None:
    """Each counts as its own three bytes and five hundred more."""
    monkeypatch.setattr(cells, "REJECTS_HELD", held)
    (path := tmp_path / "in.csv").write_bytes(b"n,text\n" + b"bad\n" * 5)
    assert [len(window.rejects) for window in open_source(path).windows(9)] == sizes


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"1,34567", b"1,34567"),
        (b"1,345678", b"1,345678"),
        (b"1,34567890", b"1,345678"),
        (b"1,34567\xc3\xa9\n", b"1,34567"),
        (b"1,345\xf0\x9f\x98\x80\n", b"1,345"),
        (b"\x80" * 20, b"\x80" * 4),
        (b"1\x80\x80" + b"\x80" * 20, b"1\x80\x80\x80"),
    ],
)
def test_a_long_line_is_cut_between_characters(line: bytes, raw: bytes) -> None:
    """Eight bytes are kept, fewer where a character would be cut; what is no text may be."""
    splitter = RecordSplitter(Dialect(ord(",")), cells=3, text_cell=1, cap=8)
    [(_, reject)] = [each for part in splitter.split(line, final=True) for each in part.rejects]
    assert reject.raw == raw
