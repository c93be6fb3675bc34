"""What 0.1 left beside an output, moved to where it belongs now.

Each thing is moved by one rename, the lock file goes last. A run that is killed in between leaves
the rest to the next one.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from scorer.os_errors import writing
from scorer.store.commit import fsync_directory
from scorer.store.own_files import discard, why_not_private
from scorer.store.paths import (
    MANIFEST,
    EarlierPlaces,
    earlier_state,
    failed_report_path,
    manifest_path,
    own_directory,
    rejects_path,
    report_path,
    state_directory,
)


def move_earlier(output: Path) -> tuple[str, ...]:
    """Move what lies beside an output; call it under the locks of both places.

    What an old version wrote after a run that moved everything is newer, and replaces it.

    Returns:
        A line on an unfinished run that is lost; none otherwise.
    """
    places = EarlierPlaces.of(output)
    if not any(map(os.path.lexists, places)):
        return ()
    with writing(output):
        lost = _move_state(output, places.state)
        _move_file(places.rejects, rejects_path(output))
        _move_file(places.failed_report, failed_report_path(output))
        _move_file(places.report, report_path(output))
        for path in (places.report_temporary, places.failed_temporary):
            with suppress(OSError):
                path.unlink()
        fsync_directory(own_directory(output))  # first: nothing may be in neither of them
        fsync_directory(output.parent)
        with suppress(OSError):  # of another user: then it stays, and is locked each time
            places.lock.unlink(missing_ok=True)
    return lost


def move_earlier_manifest(folder: Path) -> None:
    """Move the manifest that lies among the outputs; call it under its lock."""
    with writing(folder):
        _move_file(folder / MANIFEST, manifest_path(folder))


def _move_file(old: Path, new: Path) -> None:
    """Move a file, unless a newer one is there; what is no file was not written by us."""
    try:
        status = old.lstat()
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        return
    if not os.path.lexists(new) or new.lstat().st_mtime_ns < status.st_mtime_ns:
        os.replace(old, new)
    old.unlink(missing_ok=True)


def _move_state(output: Path, old: Path) -> tuple[str, ...]:
    if not os.path.lexists(old):
        return ()
    if reason := why_not_private(old):
        try:
            discard(old)
        except OSError:  # the directory of another user, who alone may empty and move it
            aside = earlier_state(output, secrets.token_hex(4))
            old.rename(aside)
            reason += f"; it is {aside} now"
        return (f"the unfinished run of {output} is not taken up: {old} {reason}",)
    for path in old.glob("rejects.ndjson"):
        path.rename(path.with_suffix(""))
    discard(state_directory(output))
    old.rename(state_directory(output))
    return ()
