"""Small NDJSON files that are large inside: bounded memory, clear answers."""

from pathlib import Path

import pytest

from scorer.formats.base import RECORD_CAP
from tests.hostile.csv_factory import bomb
from tests.hostile.test_csv_bombs import GIB, MIB, both_passes

HEAD, TAIL = b'{"text":"ok"}\n{"text":"', b'"}\n{"text":"ok"}\n'
UNITS = {
    "letters": b"a",
    "zeros": b"\0",
    "brackets": b"[",
    "spaces": b" ",
    "escapes": b"\\",
    "keys": b'","text":"',
    "bytes that are no text": b"\xff",
}


@pytest.mark.ci
@pytest.mark.parametrize("name", UNITS)
def test_a_gigabyte_on_one_line_is_one_reject(name: str, tmp_path: Path) -> None:
    """The lines around it are scored, it is cut at the cap, memory stays flat."""
    path = bomb(tmp_path / "in.ndjson.zst", HEAD, UNITS[name], GIB, TAIL)
    seen = both_passes(path)
    assert (seen["error"], seen["rows"], seen["written"]) == ("", 2, 2)
    [[line, kind, raw]] = seen["rejects"]
    assert (line, kind) == (2, "record-too-long")
    assert raw <= RECORD_CAP


@pytest.mark.ci
@pytest.mark.parametrize("name", ["letters", "brackets", "escapes", "keys"])
def test_lines_just_below_the_cap_do_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    """Deep ones are rejects before a parser sees them."""
    unit = UNITS[name]
    line = b'{"x":"' + unit * ((RECORD_CAP - 40) // len(unit) // 2 * 2) + b'"}\n'
    if name == "brackets":
        line = line.replace(b'"[', b"[").replace(b'["', b"[")
    path = bomb(tmp_path / "in.ndjson.zst", b'{"text":"ok"}\n', line, 64 * MIB)
    seen = both_passes(path)
    assert seen["error"] == ""
    assert seen["rows"] + len(seen["rejects"]) > 30  # the child tells nine of each window


@pytest.mark.ci
def test_rows_of_next_to_nothing_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A row's offsets are larger than the row: a block of them is read in slices."""
    seen = both_passes(bomb(tmp_path / "in.ndjson.zst", b'{"text":"ok"}\n', b"{}\n", 8 * MIB))
    assert seen["error"] == ""
    assert seen["rows"] == seen["written"] > 2 * MIB
    assert seen["rejects"] == []
