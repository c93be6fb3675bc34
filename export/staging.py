"""Writes a directory as a whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.errors import OutputRefused
from scorer.store.own_files import keep_attributes


@contextmanager
def staged(destination: Path, *, marker: str, overwrite: bool) -> Iterator[Path]:
    """Yield an empty sibling directory, which takes the destination's place on success.

    Args:
        destination: Where the directory will be; an empty one may stand there.
        marker: The file by which a directory of this kind is known; no other is replaced.
        overwrite: Replace one that holds the marker.

    Raises:
        OutputRefused: The destination is there already, or cannot be created.
    """
    destination = destination.absolute()
    _refuse(destination, marker, overwrite=overwrite)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    except OSError as error:
        raise OutputRefused(
            f"{destination} cannot be created ({error.strerror})", "choose another directory"
        ) from error
    try:
        stage.chmod(0o755)  # mkdtemp admits the owner only
        yield stage
        for path in stage.iterdir():
            path.chmod(0o644)  # safetensors writes for the owner alone
        keep_attributes(destination, stage)  # the same users may enter the new one
        _swap(stage, destination)
    finally:
        shutil.rmtree(stage, ignore_errors=True)  # gone already if it was published


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
    old = Path(tempfile.mkdtemp(prefix=f".{destination.name}.old.", dir=destination.parent))
    destination.replace(old)
    try:
        stage.replace(destination)
    except BaseException:
        if not destination.exists():  # else the signal came after the rename
            old.replace(destination)
        raise
    shutil.rmtree(old, ignore_errors=True)  # the new one is there: what cannot go is litter
