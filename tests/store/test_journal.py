import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import OutputRefused, StorageError
from scorer.store.checkpoints import Journal, line_of, whole_lines
from tests.store.disk_helpers import file_size_limit

ENTRIES: list[dict[str, Any]] = [{"n": 0}, {"n": 1, "text": "ä\n"}, {"n": 2}]
CONTENT = b"".join(map(line_of, ENTRIES))


def test_entries_come_back_and_grow(tmp_path: Path) -> None:
    """What was appended is there for the next run, which appends behind it."""
    with Journal(tmp_path / "journal") as first:
        for entry in ENTRIES[:2]:
            first.append(entry)
        assert first.entries == ENTRIES[:2]
    with Journal(tmp_path / "journal") as second:
        assert second.entries == ENTRIES[:2]
        second.append(ENTRIES[2])
    assert (tmp_path / "journal").read_bytes() == CONTENT


@pytest.mark.parametrize("size", range(len(CONTENT)))
def test_a_torn_tail_is_ignored_and_overwritten(tmp_path: Path, size: int) -> None:
    """Cut off at any byte, the whole lines count, and the next one follows them."""
    path = tmp_path / "journal"
    path.write_bytes(CONTENT[:size])
    whole = CONTENT[:size].count(b"\n")
    with Journal(path) as journal:
        assert journal.entries == ENTRIES[:whole]
        journal.append({"new": True})
    with Journal(path) as journal:
        assert journal.entries == [*ENTRIES[:whole], {"new": True}]


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte_ends_what_is_believed(place: int, change: int) -> None:
    """No line that was damaged is taken for whole, nor any behind it."""
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    whole = CONTENT[:place].count(b"\n")
    assert [entry for entry, _ in whole_lines(io.BytesIO(damaged))] == ENTRIES[:whole]


def test_forgotten_entries_are_overwritten(tmp_path: Path) -> None:
    """After keep, the next line takes the place of the first one that was forgotten."""
    path = tmp_path / "journal"
    path.write_bytes(CONTENT)
    with Journal(path) as journal:
        journal.keep(1)
        assert journal.entries == ENTRIES[:1]
        journal.append({"n": 9})
    with Journal(path) as journal:
        assert journal.entries == [ENTRIES[0], {"n": 9}]


def test_an_entry_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk does not confirm a line, it is no entry."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(tmp_path / "journal") as journal:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match=r"writing .*/journal failed: input/output error"):
            journal.append({"n": 0})
        assert journal.entries == []


def test_a_line_that_did_not_fit_leaves_no_gap(tmp_path: Path) -> None:
    """A disk takes half a line and then none: with space again, the next line follows the last."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(ENTRIES[0])
        journal.append(ENTRIES[1])
        assert path.read_bytes() == line_of(ENTRIES[0]) + line_of(ENTRIES[1])
        with (
            file_size_limit(path.stat().st_size + 5),
            pytest.raises(StorageError, match=r"writing .*/journal failed: file too large"),
        ):
            journal.append({"n": "lost"})
        assert path.stat().st_size == len(line_of(ENTRIES[0]) + line_of(ENTRIES[1])) + 5
        journal.append(ENTRIES[2])
        assert journal.entries == ENTRIES
        assert path.read_bytes() == CONTENT


def test_a_journal_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """The message has the path, not a traceback."""
    with pytest.raises(OutputRefused, match=r"/none/journal cannot be written"):
        Journal(tmp_path / "none" / "journal")
