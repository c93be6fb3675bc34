import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from scorer.errors import DataError, InputMissing, OutputRefused, StorageError, UsageError
from scorer.formats import registry
from scorer.formats.open import open_source
from scorer.os_errors import reading, writing
from scorer.store.commit import replacing
from scorer.store.inputs import find_inputs
from scorer.store.output_plan import plan_outputs
from tests.formats.files_helpers import SCHEMA, slices
from tests.store.disk_helpers import file_size_limit

EXTENSIONS = ["csv", "csv.gz", "csv.zst", "parquet"]


@pytest.fixture(params=EXTENSIONS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an input that does not compress to nothing, in each format."""
    path = tmp_path / f"in.{request.param}"
    frame = pl.DataFrame({"n": range(20_000), "text": [f"{i * i * 7919}" for i in range(20_000)]})
    if request.param == "parquet":
        frame.write_parquet(path)
        return path
    content = frame.write_csv().encode()
    codec = {"csv.gz": "gzip", "csv.zst": "zstd"}.get(request.param)
    path.write_bytes(pa.compress(content, codec, asbytes=True) if codec else content)
    return path


def test_a_write_that_fails_leaves_nothing_behind(source: Path) -> None:
    """One line with exit code 74, the old output untouched, no temporary file."""
    output = source.with_name("out.csv")
    output.write_text("old")
    opened = open_source(source)
    parts = slices(opened, 3000)

    def publish() -> None:
        temporary = output.with_name("temporary")
        with replacing(output, temporary):
            opened.write_scored(temporary, SCHEMA, parts)

    with file_size_limit(20_000), pytest.raises(StorageError, match="file too large"):
        publish()
    assert output.read_text() == "old"
    assert sorted(path.name for path in source.parent.iterdir()) == [source.name, "out.csv"]


def test_a_directory_is_no_file(source: Path) -> None:
    """Whatever its name says, and also where it was a file a moment ago."""
    opened = open_source(source)
    source.unlink()
    source.mkdir()
    for read in (lambda: open_source(source), lambda: list(opened.windows(10))):
        with pytest.raises(InputMissing, match="is a directory"):
            read()


def test_what_cannot_be_read_twice_is_refused(tmp_path: Path) -> None:
    """A pipe would be empty the second time, and opening it could wait for ever."""
    for name, call in (
        ("in.csv", "cat {0} | tweetscore run - --format csv"),
        ("in.jsonl.gz", "zcat < {0} | tweetscore run - --format ndjson"),
        ("two words.tsv", "cat '{0}' | tweetscore run - --format tsv"),
    ):
        os.mkfifo(path := tmp_path / name)
        with pytest.raises(DataError) as caught:
            open_source(path)
        assert str(caught.value) == f"{path} is a pipe, not a regular file; {call.format(path)}"


@pytest.mark.parametrize(
    ("name", "kind", "call"),
    [
        ("/dev/null", "a device", "cat /dev/null | tweetscore run - --format csv"),
        ("{fd}", "a pipe", "send it to standard input: ... | tweetscore run - --format csv"),
        ("fifo", "a pipe", "cat {0}/fifo | tweetscore run - --format csv"),
        ("/dev/stdin", "a device", "tweetscore run - --format csv"),
    ],
)
def test_a_stream_without_an_extension_is_told_how_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, call: str
) -> None:
    """What a shell makes of <(...) has a number for a name: no format is looked for there."""
    os.mkfifo(tmp_path / "fifo")
    reader, writer = os.pipe()
    monkeypatch.setattr(registry, "_STDIN", {Path("/dev/stdin"), Path("/dev/zero")})
    name = name.replace("stdin", "zero")  # which is a device wherever the tests run
    path = tmp_path / name.format(fd=f"/dev/fd/{reader}")
    with pytest.raises(UsageError) as caught:
        plan_outputs(find_inputs([path]))
    os.close(reader)
    os.close(writer)
    assert str(caught.value) == f"{path} is {kind}, not a regular file; {call.format(tmp_path)}"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "cannot be read: permission denied; check its permissions"),
        (errno.ELOOP, "cannot be found: too many levels of symbolic links; check the name"),
        (errno.ENAMETOOLONG, "cannot be found: file name too long; check the name"),
    ],
)
def test_what_cannot_be_opened_is_missing(tmp_path: Path, number: int, words: str) -> None:
    """Whatever the system's reason: 66, in its words."""
    with pytest.raises(InputMissing, match=words), reading(tmp_path / "in.csv"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "check that its directory exists and may be written to"),
        (errno.EROFS, "choose a place on another file system"),
        (errno.EBUSY, "it is mounted there, or in use: choose another output"),
        (errno.EEXIST, "remove what has the name, or choose another output"),
    ],
)
def test_a_name_that_cannot_be_had_is_a_refused_output(
    tmp_path: Path, number: int, remedy: str
) -> None:
    """73, with what helps in this very case."""
    with pytest.raises(OutputRefused) as caught, writing(tmp_path / "out.csv"):
        raise OSError(number, os.strerror(number))
    assert caught.value.remedy == remedy


@pytest.mark.parametrize("step", [reading, writing])
def test_memory_that_is_short_is_no_fault_of_a_device(
    tmp_path: Path, step: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """The system's error is raised as it is, and ends with the code for memory."""
    with pytest.raises(OSError, match="Cannot allocate memory") as caught, step(tmp_path / "x"):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    assert caught.value.errno == errno.ENOMEM


def test_results_of_other_rows_are_not_written(source: Path, tmp_path: Path) -> None:
    """A part that begins elsewhere is no part of this output."""
    opened = open_source(source)
    _, *later = slices(opened, 3000)
    with pytest.raises(StorageError, match="go on at row 3000 instead of 0; run again"):
        opened.write_scored(tmp_path / f"out{source.suffix}", SCHEMA, later)


def test_an_input_that_vanishes_is_missing(source: Path) -> None:
    """Between opening and reading, and between the passes."""
    opened = open_source(source)
    parts = slices(opened, 3000)
    source.unlink()
    with pytest.raises(InputMissing):
        list(opened.windows(10))
    with pytest.raises(InputMissing):
        opened.write_scored(source.with_name("out"), SCHEMA, parts)


def test_results_that_end_early_are_noticed(source: Path) -> None:
    """A lost window does not become a short output."""
    opened = open_source(source)
    with pytest.raises(DataError, match="changed while it was scored"):
        opened.write_scored(source.with_name("out"), SCHEMA, slices(opened, 3000)[:-1])
