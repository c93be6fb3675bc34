"""Writes a directory as a whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import OutputLocked, OutputRefused
from scorer.hints import path_word
from scorer.os_errors import writing
from scorer.store.own_directory import make_own_directory
from scorer.store.own_files import keep_attributes, why_not_private
from scorer.store.paths import making_directory, own_directory

_STAGE, _OLD = "new", "old"  # in the directory of what is being made


@dataclass(frozen=True, slots=True)
class Making:
    """What is being made of a directory, beside it, by this process alone."""

    destination: Path
    directory: Path  # a function of the destination's path: a killed process leaves nothing else

    def fresh(self, name: str = _STAGE) -> Path:
        """Return an empty directory; the one of the usual name is published in the end."""
        stage = self.directory / name
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        stage.chmod(0o755)  # whatever the umask is: its files are for all who may come here
        return stage

    def publish(self) -> None:
        """Let it take the destination's place."""
        stage = self.directory / _STAGE
        for path in stage.iterdir():
            path.chmod(0o644)  # safetensors writes for the owner alone
        keep_attributes(self.destination, stage)  # the same users may enter the new one
        _swap(stage, self.destination)


@contextmanager
def staged(destination: Path, *, marker: str, overwrite: bool) -> Iterator[Path]:
    """Yield an empty directory, which takes the destination's place on success.

    Args:
        destination: Where the directory will be; an empty one may stand there.
        marker: The file by which a directory of this kind is known; no other is replaced.
        overwrite: Replace one that holds the marker.

    Raises:
        OutputRefused: The destination is there already, or cannot be created.
        OutputLocked: Another process is making it.
    """
    with making(destination, marker=marker, overwrite=overwrite) as made:
        yield made.fresh()
        made.publish()


@contextmanager
def making(
    destination: Path,
    *,
    marker: str,
    overwrite: bool,
    keeps: Callable[[Path], bool] = lambda _: False,
) -> Iterator[Making]:
    """Yield the place of what is being made of a directory, as `staged` does.

    Args:
        destination: As of `staged`.
        marker: Likewise.
        overwrite: Likewise.
        keeps: Whether what a failed attempt left there is of use to the next one.
    """
    destination = destination.absolute()
    directory = making_directory(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused(
            f"{destination} cannot be created ({error.strerror})", "choose another directory"
        ) from error
    make_own_directory(destination)
    with _held(directory):
        try:
            if (directory / _OLD).exists() and not os.path.lexists(destination):
                (directory / _OLD).replace(destination)  # a kill came between the two renames
            _refuse(destination, marker, overwrite=overwrite)
            yield Making(destination, directory)
        finally:
            shutil.rmtree(directory / _STAGE, ignore_errors=True)  # gone if it was published
            if not keeps(directory):
                shutil.rmtree(directory, ignore_errors=True)
                with suppress(OSError):  # something else is in there
                    own_directory(destination).rmdir()


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Make a directory, unless a dead process left it, and keep other processes out of it."""
    with writing(directory):
        if reason := why_not_private(directory):
            raise OutputRefused(f"{directory} {reason}", f"rm -r -- {path_word(directory)}")
        directory.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = directory.stat().st_ino == os.fstat(descriptor).st_ino
        except (BlockingIOError, FileNotFoundError):
            alone = False  # another process holds it, or was just done
        if not alone:
            raise OutputLocked(
                f"another process is working in {directory}", "wait for it, or choose another -o"
            )
        yield
    finally:
        os.close(descriptor)


def _refuse(destination: Path, marker: str, *, overwrite: bool) -> None:
    if not os.path.lexists(destination):
        return
    directory = destination.is_dir() and not destination.is_symlink()
    if directory and not any(destination.iterdir()):
        return
    if not directory or not (destination / marker).is_file():
        raise OutputRefused(
            f"{destination} exists and holds no {marker}", "choose another directory"
        )
    if not overwrite:
        raise OutputRefused(f"{destination} exists", "use --overwrite to replace it")


def _swap(stage: Path, destination: Path) -> None:
    """Put the stage in place; a reader finds old or new, or for an instant nothing."""
    if not destination.exists():
        stage.replace(destination)
        return
    old = stage.with_name(_OLD)
    destination.replace(old)
    try:
        stage.replace(destination)
    except BaseException:
        if not destination.exists():  # else the signal came after the rename
            old.replace(destination)
        raise
    shutil.rmtree(old, ignore_errors=True)  # the new one is there: what cannot go is litter
