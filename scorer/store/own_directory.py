"""`.tweetscore/` beside outputs: as open as the directory that it is in, and no more.

Whoever may put an output into a directory may put there what belongs to it. What decides (a state
directory) is private all the same, see `own_files.why_not_private`.
"""

import os
import stat
from pathlib import Path

from scorer.errors import OutputRefused
from scorer.hints import word
from scorer.os_errors import kind_of, writing
from scorer.store.commit import fsync_directory
from scorer.store.own_files import keep_attributes
from scorer.store.paths import own_directory

_OTHERS = 0o022  # may write


def make_own_directory(output: Path) -> None:
    """Make the directory, if it is not there, with the owner, mode and access list of its parent.

    Raises:
        OutputRefused: It cannot be made, or is none that may be used.
    """
    directory = own_directory(output)
    if os.path.lexists(directory):
        check_own_directory(output)
        return
    with writing(directory):
        try:
            directory.mkdir(mode=output.parent.stat().st_mode & 0o777)  # less what the umask takes
        except FileExistsError:  # another run was faster
            return
        parent = Path(
            os.path.realpath(output.parent)
        )  # a link is open to all, what it leads to not
        keep_attributes(parent, directory)  # what it cannot keep is not worth a warning
        fsync_directory(output.parent)


def check_own_directory(output: Path) -> None:
    """Raise OutputRefused if the directory is there and may not be used."""
    directory = own_directory(output)
    with writing(directory):
        parent = output.parent.stat()
        try:
            found = directory.lstat()
        except FileNotFoundError:
            return
    name, beside = word(str(directory)), word(str(output.parent))
    if not stat.S_ISDIR(found.st_mode):
        raise OutputRefused(
            f"{directory} is {kind_of(found.st_mode) or 'a file'}, not a directory",
            f"mv -- {name} {word(f'{directory}.old')}",
        )
    if _is_foreign(found, parent):
        raise OutputRefused(
            f"{directory} belongs to another user (uid {found.st_uid}), who could change in it "
            f"what belongs to others",
            f"sudo chown --reference={beside} -- {name}, or choose another directory",
        )
    if _is_more_open(found, parent):
        raise OutputRefused(
            f"{directory} may be written to by more users than {output.parent}",
            f"chmod --reference={beside} -- {name}",
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise OutputRefused(
            f"{directory} cannot be written to", f"sudo chmod --reference={beside} -- {name}"
        )


def _is_foreign(found: os.stat_result, parent: os.stat_result) -> bool:
    """Tell whether its owner is one who could not change others' files in the parent either."""
    open_to_all = parent.st_mode & _OTHERS and not parent.st_mode & stat.S_ISVTX
    return not open_to_all and found.st_uid not in {os.geteuid(), 0, parent.st_uid}


def _is_more_open(found: os.stat_result, parent: os.stat_result) -> bool:
    if not found.st_mode & _OTHERS:
        return False
    return bool(
        (found.st_mode & _OTHERS) & ~parent.st_mode
        or parent.st_mode & ~found.st_mode & stat.S_ISVTX
    )
