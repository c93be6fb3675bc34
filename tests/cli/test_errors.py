"""From errors to exit codes, in the one place where that happens."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from scorer.cli import LazyGroup
from scorer.cli.common_options import debug_option
from scorer.errors import (
    DataError,
    DeviceUnavailable,
    GateFailed,
    InputMissing,
    InvalidBundle,
    OutputRefused,
    StorageError,
    Terminated,
    UsageError,
)

Invoke = Callable[..., Result]


class StubPanic(BaseException):
    """What polars raises when Rust panics is no Exception either."""


ENDINGS = [
    (UsageError("a", "b"), 2, "a; b"),
    (DataError("a", "b"), 65, "a; b"),
    (InputMissing("a"), 66, "a"),
    (DeviceUnavailable("a", "b"), 69, "a; b"),
    (OutputRefused("a", "b"), 73, "a; b"),
    (StorageError("a", "b"), 74, "a; b"),
    (GateFailed("a", "b"), 76, "a; b"),
    (InvalidBundle("a", "b"), 78, "a; b"),
    (OSError(errno.ENOSPC, "No space left", "/out"), 74, "ENOSPC: No space left: /out"),
    (OSError("a library's words"), 74, "a library's words"),
    (
        KeyboardInterrupt(),
        130,
        "interrupted; nothing is half-written, run the same command again",
    ),
    (Terminated(), 143, "interrupted; nothing is half-written, run the same command again"),
    (
        ValueError("two\nlines"),
        70,
        "a bug of ours: ValueError: two\\nlines; please report it with what --debug shows",
    ),
    (
        StubPanic("oh"),
        70,
        "a bug of ours: StubPanic: oh; please report it with what --debug shows",
    ),
]


def end_with(error: BaseException, *args: str) -> Result:
    @click.command()
    @debug_option
    def fail() -> None:
        raise error

    class Stub(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return fail

    group = Stub(name="tweetscore", commands_from={"fail": "nowhere:fail"})
    return CliRunner().invoke(group, ["fail", *args])


@pytest.mark.parametrize(("error", "code", "line"), ENDINGS, ids=lambda e: type(e).__name__)
def test_every_error_has_its_code_and_one_line(error: Any, code: int, line: str) -> None:
    """An error is one line on stderr and an exit code: nothing on stdout, no traceback."""
    result = end_with(error)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"tweetscore: {line}\n"


def test_debug_adds_the_traceback() -> None:
    """With --debug the traceback comes before the line."""
    result = end_with(ValueError("oops"), "--debug")
    assert result.exit_code == 70
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.splitlines()[-1].startswith("tweetscore: a bug of ours: ")


@pytest.mark.parametrize(("error", "code", "line"), ENDINGS, ids=lambda e: type(e).__name__)
def test_parsing_is_guarded_too(error: Any, code: int, line: str) -> None:
    """What goes wrong before there is a command ends in the same way."""

    def fail(*_: Any) -> None:
        raise error

    option = click.Option(["--early"], is_flag=True, is_eager=True, callback=fail)
    group = LazyGroup(name="tweetscore", commands_from={}, params=[option])
    result = CliRunner().invoke(group, ["--early"])
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"tweetscore: {line}\n"


def _no_input(folder: Path) -> list[str]:
    return ["run"]


def _unknown_option(folder: Path) -> list[str]:
    return ["run", "in.csv", "--colour"]


def _unknown_command(folder: Path) -> list[str]:
    return ["score"]


def _no_chunk(folder: Path) -> list[str]:
    return ["run", "in.csv", "--chunk-rows", "0"]


def _no_name(folder: Path) -> list[str]:
    return ["run", "in.csv", "--label-names", "a,,b"]


def _unknown_format(folder: Path) -> list[str]:
    (folder / "in.xlsx").touch()
    return ["run", "in.xlsx"]


def _taken_column(folder: Path) -> list[str]:
    (folder / "in.csv").write_text("text,label\nhi,1\n")
    return ["run", "in.csv"]


def _empty_directory(folder: Path) -> list[str]:
    return ["run", "."]


def _no_text_column(folder: Path) -> list[str]:
    (folder / "in.csv").write_text("id,tweet\n1,hi\n")
    return ["run", "in.csv"]


def _empty(folder: Path) -> list[str]:
    (folder / "in.csv").touch()
    return ["run", "in.csv"]


def _no_parquet(folder: Path) -> list[str]:
    (folder / "in.parquet").write_text("text\nhi\n")
    return ["run", "in.parquet"]


def _no_file(folder: Path) -> list[str]:
    return ["run", "in.csv"]


def _no_directory(folder: Path) -> list[str]:
    (folder / "in.csv").write_text("text\nhi\n")
    return ["run", "in.csv", "-o", "missing/out.csv"]


def _not_ours(folder: Path) -> list[str]:
    (folder / "in.csv").write_text("text\nhi\n")
    (folder / "out.csv").write_text("precious")
    return ["run", "in.csv", "-o", "out.csv"]


def _no_bundle(folder: Path) -> list[str]:
    (folder / "in.csv").write_text("text\nhi\n")
    return ["run", "in.csv", "--model", "missing"]


CALLS = [
    (_no_input, 2, "Missing argument 'INPUT...'"),
    (_unknown_option, 2, "No such option '--colour'"),
    (_unknown_command, 2, "No such command 'score'"),
    (_no_chunk, 2, "--chunk-rows: '0' is not a whole number"),
    (_no_name, 2, "has an empty name"),
    (_unknown_format, 2, "is an Excel workbook; save it as CSV UTF-8"),
    (_taken_column, 2, "--label-column"),
    (_no_text_column, 65, "--text-column tweet"),
    (_empty, 65, "is empty"),
    (_no_parquet, 65, "in.parquet is CSV, not Parquet; rename it: mv "),
    (_no_file, 66, "in.csv does not exist"),
    (_empty_directory, 66, "no file to score in .; check the names"),
    (_no_directory, 73, "does not exist"),
    (_not_ours, 73, "--overwrite"),
    (_no_bundle, 78, "not a model bundle"),
]


@pytest.mark.parametrize(("call", "code", "words"), CALLS, ids=lambda c: getattr(c, "__name__", ""))
def test_every_wrong_call_ends_as_documented(
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Path], list[str]],
    code: int,
    words: str,
) -> None:
    """The exit code is the documented one, and the message says what to do."""
    monkeypatch.chdir(tmp_path)
    result = invoke(*call(tmp_path))
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
