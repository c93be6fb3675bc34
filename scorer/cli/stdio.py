"""`-`: standard input and standard output, by way of temporary files.

A run reads its input twice, and its output appears when all of it is there: so what comes in is
kept first, and what goes out is sent when the run is over. A failure sends nothing.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from scorer.errors import DataError, OutputRefused, UsageError
from scorer.formats.foreign import check_content, known_format
from scorer.formats.registry import EXTENSIONS, NAMES, format_of
from scorer.options import STDIN, STDOUT, Kind, called
from scorer.os_errors import is_directory, reading, writing
from scorer.remote.urls import Url
from scorer.store.paths import rejects_path

if TYPE_CHECKING:
    from scorer.monitor.report_types import Outcome

DASH = Path("-")

_BLOCK = 1 << 20  # bytes
_TEXT = {"csv", "tsv", "ndjson"}  # what a terminal can show


@dataclass(frozen=True, slots=True)
class Files:
    """The files that a run reads and writes in the place of `-`."""

    inputs: tuple[Path | Url, ...]
    output: Path | Url | None
    stdout: IO[bytes] | None = None  # where the output goes in the end, unless it is a file
    from_stdin: bool = False
    names: Mapping[Path, str] = field(default_factory=dict)  # of the temporary files

    def deliver(self, outcome: "Outcome") -> "Outcome":
        """Send a good output to standard output, if it goes there; return the outcome to report."""
        if self.from_stdin:
            outcome = replace(outcome, input_url=STDIN)
        if self.stdout is None:
            return outcome
        if outcome.error is None:
            with outcome.output.open("rb") as file:
                shutil.copyfileobj(file, self.stdout, _BLOCK)
            self.stdout.flush()
        return _without_the_list(replace(outcome, url=STDOUT), rejects_path(outcome.output))


@contextmanager
def piped(
    inputs: tuple[Path | Url, ...],
    output: Path | Url | None,
    kind: Kind | None,
    text_column: str,
    streams: tuple[IO[bytes], IO[bytes] | None],
) -> Iterator[Files]:
    """Put temporary files in the place of `-`.

    Args:
        inputs: As they were named.
        output: Likewise.
        kind: The format of the input; None for what its name or the output's says, or CSV.
        text_column: The column that is wanted.
        streams: Standard input and output; None for an output that is closed.

    Raises:
        UsageError: `-` beside other inputs, or a terminal.
        DataError: Standard input is of another format.
    """
    stdin, stdout = streams
    from_stdin = DASH in inputs
    to_stdout = output == DASH or (from_stdin and output is None)
    if to_stdout and stdout is None:
        raise OutputRefused("standard output is closed", "send it to a file, or name one with -o")
    if not from_stdin and not to_stdout:
        yield Files(inputs, output)
        return
    if len(inputs) > 1:
        raise UsageError("- is one file, not several", "score it on its own")
    # A temporary file that cannot be removed is no error: the output is complete by then.
    with TemporaryDirectory(prefix="tweetscore-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        if from_stdin:
            spooled = directory / f"stdin{_suffix(None if to_stdout else output, kind)}"
            inputs = (spooled,)
        names: dict[Path, str] = {}
        if to_stdout and stdout is not None:
            output = directory / f"stdout{_suffix_of(inputs[0], kind)}"
            _check_terminal(stdout, output, kind)
            names[output] = STDOUT
        if from_stdin:
            names[spooled] = STDIN
            _spool(stdin, spooled)
            check_content(spooled, format_of(spooled), text_column, stream=True)
        with called(names):
            yield Files(inputs, output, stdout if to_stdout else None, from_stdin, names)


def _suffix_of(place: Path | Url, kind: Kind | None) -> str:
    """Return the extension of an input that is named."""
    if isinstance(place, Path) and place.is_file():
        return known_format(place, kind).suffix
    return format_of(Path(place.name), kind).suffix


def _suffix(output: Path | Url | None, kind: Kind | None) -> str:
    """Return the extension of standard input."""
    if output is not None and not _is_directory(output):
        try:
            named = format_of(Path(output.name))
        except UsageError:
            if kind is None:
                raise
        else:
            if kind in {None, named.kind}:
                return named.suffix
    return EXTENSIONS[kind or "csv"]


def _is_directory(output: Path | Url) -> bool:
    return output.is_directory if isinstance(output, Url) else is_directory(output)


def _check_terminal(stdout: IO[bytes], output: Path, kind: Kind | None) -> None:
    found = format_of(output, kind)
    if (found.kind not in _TEXT or found.compression != "none") and stdout.isatty():
        raise UsageError(
            f"standard output is a terminal, which cannot show {found.suffix or NAMES[found.kind]}",
            "send it to a file",
        )


def _spool(stdin: IO[bytes], path: Path) -> None:
    """Write all of standard input to a file."""
    if stdin.isatty():
        raise UsageError("standard input is a terminal", "send a file to it, or name one")
    with writing(path), path.open("xb") as file:
        while block := _block(stdin):
            file.write(block)


def _block(stdin: IO[bytes]) -> bytes:
    with reading(Path("standard input")):
        return stdin.read(_BLOCK)


def _without_the_list(outcome: "Outcome", rejects: Path) -> "Outcome":
    """Name another way to what was rejected: its list goes with the temporary files."""
    if not rejects.exists():
        return outcome
    remedy = "name an output with -o to get a list of them"
    if outcome.error is not None:
        if outcome.error.options:
            return outcome
        error = DataError(outcome.error.problem, f"allow for it with --max-rejects, or {remedy}")
        return replace(outcome, error=error)
    rejected = outcome.complete.counters.rejected
    warning = f"records that are no rows were left out: {rejected:,}; {remedy}"
    return replace(outcome, warnings=(*outcome.warnings, warning))
