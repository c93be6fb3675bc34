"""The texts of `tweetscore text`: arguments, or the lines of files and of standard input."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import cast

from scorer.cli.log import log_message
from scorer.errors import DataError, UsageError, is_unicode
from scorer.hints import path_word
from scorer.os_errors import reading

_DASH = "-"
_BLOCK = 1 << 20  # bytes that are read at once: some 10,000 tweets
_LONGEST = 1 << 20  # bytes of a line
_MARK = b"\xef\xbb\xbf"  # of UTF-8, at the beginning of a file


def windows_of_texts(texts: Sequence[str], files: Sequence[Path]) -> Iterator[list[str]]:
    """Return the texts in windows; of a pipe, a window is what has come.

    Raises:
        UsageError: There are none, or it is not clear which.
    """
    from_stdin = _DASH in texts or Path(_DASH) in files
    if (texts and files) or (_DASH in texts and len(texts) > 1):
        raise UsageError(
            "there is more than one kind of input", "give texts, or - alone, or --file FILE"
        )
    if texts and not from_stdin:
        return iter([_checked(texts)])
    if not (texts or files):
        raise UsageError(
            "there are no texts",
            "give them as arguments, - for the lines of standard input, or --file FILE",
        )
    return _lines_of(files or [Path(_DASH)])


def _checked(texts: Sequence[str]) -> list[str]:
    """Return arguments that are Unicode; warn of those that look like a file."""
    for number, each in enumerate(texts, start=1):
        if not is_unicode(each):
            raise UsageError(f"text {number} is not valid UTF-8", "put it into a file")
        if _is_file(each):
            meant = (
                f"its rows: tweetscore run {path_word(each)}"
                if _has_rows(each)
                else f"the lines of the file: tweetscore text --file {path_word(each)}"
            )
            log_message("warning", "warning", f"{each} is scored as a text; for {meant}")
    return list(texts)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # it is too long for a name, say
        return False


def _has_rows(name: str) -> bool:
    """Tell whether `run` would read a file of that name: its lines are no texts."""
    from scorer.formats.registry import format_of

    try:
        format_of(Path(name))
    except UsageError:
        return False
    return True


def _lines_of(files: Sequence[Path]) -> Iterator[list[str]]:
    for path in files:
        with ExitStack() as stack:
            if path == Path(_DASH):
                # polars lets the system go on with a read that Ctrl-C has interrupted.
                signal.siginterrupt(signal.SIGINT, True)
                yield from _windows(cast("BufferedReader", sys.stdin.buffer), "standard input")
                continue
            with reading(path):
                file = stack.enter_context(path.open("rb"))
            if _has_rows(path.name):
                log_message(
                    "warning",
                    "warning",
                    f"each line of {path} is scored as a text, the header and other columns too; "
                    f"for its rows: tweetscore run {path_word(path)}",
                )
            yield from _windows(file, str(path))


def _windows(file: "BufferedReader", name: str) -> Iterator[list[str]]:
    """Yield lines without their ends as they come; the last one need not have an end."""
    held, number = b"", 1
    while True:
        block = _read(file, name)
        if number == 1 and not held:
            block = block.removeprefix(_MARK)
        held += block
        whole, end, rest = held.rpartition(b"\n") if block else (held, b"", b"")
        if len(rest) > _LONGEST:
            raise DataError(
                f"{name}, line {number}: it has no end within {_LONGEST:,} bytes",
                "is it a file of one text a line?",
            )
        held = rest
        if end or (whole and not block):
            lines = whole.split(b"\n")
            yield [_decoded(line, name, number + place) for place, line in enumerate(lines)]
            number += len(lines)
        if not block:
            return


def _read(file: "BufferedReader", name: str) -> bytes:
    with reading(Path(name)):
        return file.read1(_BLOCK)


def _decoded(line: bytes, name: str, number: int) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}, line {number}: bytes that are not UTF-8",
            "a CSV of another encoding: tweetscore run FILE --encoding NAME",
        ) from error
