"""`.tweetscore/OUTPUT.state/`: the state of an unfinished run, from which the next one resumes.

::

    plan.json          what was to be done; only the same plan may use the rest
    journal            one line per checkpoint that is complete
    part-*             checkpoints: the results of one window each
    rejects            the records that are no rows, to be published when it is complete
    join/              what the earlier output knows; the next run makes it anew
    *.tmp              what is about to become the output or its report
    report.json        the commit record: written last, when OUTPUT is about to be replaced

With the commit record there and OUTPUT the file that it describes, the run was published, and
the next one only tidies up. Everything else is a cache: what does not match is thrown away.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scorer.errors import NotResumable, TweetscoreError
from scorer.options import Resume
from scorer.os_errors import writing
from scorer.store.checkpoints import Checkpoints, Journal
from scorer.store.commit import (
    commit,
    fsync_directory,
    is_trusted,
    read_report,
    replace_json,
    report_on,
    write_json,
)
from scorer.store.own_directory import make_own_directory
from scorer.store.own_files import discard, keep_attributes, why_not_private
from scorer.store.paths import (
    EarlierPlaces,
    commit_record_path,
    failed_report_path,
    own_directory,
    rejects_path,
    report_path,
    state_aside,
    state_directory,
    temporary_sibling,
    there,
)

_PLAN = "plan.json"
_REJECTS = "rejects"
_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """The open state of one run."""

    directory: Path
    checkpoints: Checkpoints
    started: str  # ISO time at which the work in it began
    warning: str = ""  # why the work of an earlier run was thrown away

    @property
    def rejects(self) -> Path:
        """Where rejects are collected."""
        return self.directory / _REJECTS

    @property
    def join(self) -> Path:
        """Where the rows of an earlier output are looked up."""
        return self.directory / "join"


@contextmanager
def open_state(output: Path, plan: Mapping[str, Any], resume: Resume = "auto") -> Iterator[State]:
    """Take up the unfinished run of this plan, or begin a new one.

    The state stays when the block is left by an error, unless it holds no results.

    Args:
        output: The file to be written, not a link to it.
        plan: What decides whether stored results may be used: plain JSON.
        resume: `require` an unfinished run of this plan; `never` take one up.

    Raises:
        NotResumable: There is no unfinished run of this plan, and one was required.
    """
    directory = state_directory(output)
    found = _read_plan(directory)
    warning = _not_private(output) or _why_not(output, found, plan)
    if resume == "require" and (warning or found is None):
        raise NotResumable(
            warning or f"{output} has no unfinished run", "leave out --resume require"
        )
    if resume == "never" or warning or found is None:
        moved = _clear(output)
        warning = warning + moved if moved or resume != "never" else ""
        found = {"version": _SCHEMA_VERSION, "started": _now(), "plan": dict(plan)}
        with writing(directory):
            directory.mkdir(mode=0o700)
            fsync_directory(
                directory.parent
            )  # or a power cut could keep the output, not its record
        # Like the checkpoints' names, its own may be lost with the power: then all is scored again.
        replace_json(directory / _PLAN, found)
    with Journal(directory / "journal") as journal:
        try:
            yield State(directory, Checkpoints(directory, journal), found["started"], warning)
        except BaseException:
            if not journal.entries and not commit_record_path(output).exists():
                with suppress(TweetscoreError):  # the error itself matters more
                    remove_state(output)
            raise


def unfinished_since(output: Path, result: Mapping[str, Any]) -> str | None:
    """Return when an unfinished run of this result key began; None where there is none."""
    found = _read_plan(there(state_directory(output), EarlierPlaces.of(output).state))
    if found is None or not result.items() <= found["plan"].items():
        return None
    return str(found["started"])


def scratch(output: Path) -> Path:
    """Return a free name in the state directory for a file that is about to get another one.

    Never the same one: should two runs meet, because somebody deleted the lock, neither may
    publish what the other one is writing.
    """
    return state_directory(output) / f"{secrets.token_hex(8)}.tmp"


def write_commit_record(output: Path, report: Mapping[str, Any]) -> None:
    """Write the commit record: once `output` is what the report says, the run is complete."""
    write_json(commit_record_path(output), report, temporary=scratch(output))


def recover(output: Path) -> tuple[str, ...]:
    """Finish what an interrupted run of this output left; call it under the lock.

    A published output gets its report and loses its state; otherwise temporary files go, and
    what can be used again stays. What others may have written is for `open_state` to refuse.

    Returns:
        A line on why the state of an earlier run was thrown away; none if it was not.
    """
    directory = state_directory(output)
    with suppress(OSError):  # the use of the name raises the error
        temporary_sibling(failed_report_path(output)).unlink(missing_ok=True)
    if why_not_private(directory):
        return ()
    with writing(output):
        for path in directory.glob("*.tmp"):
            discard(path)
    if record := report_on(output, commit_record_path(output)):
        finish(output, record)
        return ()
    if read_report(directory / _PLAN) is None:
        broken = os.path.lexists(directory / _PLAN)
        remove_state(output)
        return (_unreadable(output),) if broken else ()
    with writing(output):
        discard(commit_record_path(output))
    return ()


def finish(output: Path, report: Mapping[str, Any]) -> None:
    """Do what is left after the commit; doing it twice does no harm.

    A power cut may undo renames that no fsync has followed, in any order. So the output is safe
    before its report says that it is there, and everything is before the state goes.
    """
    with writing(output):
        fsync_directory(output.parent)
    replace_json(report_path(output), report, temporary=scratch(output), beside=output)
    publish_rejects(output, report["counters"]["rejected"])
    with writing(failed_report_path(output)):
        failed_report_path(output).unlink(missing_ok=True)
    with writing(output):
        fsync_directory(own_directory(output))
    remove_state(output)


def write_failed_report(output: Path, report: Mapping[str, Any]) -> None:
    """Report a failure; call it with the lock or without."""
    make_own_directory(output)
    write_json(failed_report_path(output), report, beside=output)


def forget_failure(output: Path) -> None:
    """Remove the report of a failure that was mended; where that cannot be, it stays."""
    with suppress(OSError):
        failed_report_path(output).unlink(missing_ok=True)


def publish_rejects(output: Path, count: int) -> None:
    """Give the collected rejects their name, or remove last night's file where there are none."""
    collected = state_directory(output) / _REJECTS
    with writing(rejects_path(output)):
        if count == 0:
            rejects_path(output).unlink(missing_ok=True)
        elif collected.exists():
            if is_trusted(rejects_path(output), output):
                keep_attributes(rejects_path(output), collected)
            commit(collected, rejects_path(output))


def remove_state(output: Path) -> None:
    """Remove the state directory, the commit record last: the rest means nothing without it."""
    directory = state_directory(output)
    with writing(directory):
        if directory.is_dir() and not directory.is_symlink():
            for path in directory.iterdir():
                if path != commit_record_path(output):
                    discard(path)
        discard(directory)


def _clear(output: Path) -> str:
    """Free the name of the state directory; return a clause where something was moved away."""
    directory = state_directory(output)
    try:
        remove_state(output)
    except TweetscoreError:
        # The directory of another user, who alone may empty it; its name can be taken from it.
        aside = state_aside(output, secrets.token_hex(4))
        with writing(directory):
            directory.rename(aside)
        return f"; it is {aside} now"
    return ""


def _not_private(output: Path) -> str:
    """Return why a state directory is not used, whatever it holds; nothing where it is ours."""
    directory = state_directory(output)
    reason = why_not_private(directory)
    return reason and f"the unfinished run of {output} is not taken up: {directory} {reason}"


def _unreadable(output: Path) -> str:
    plan = state_directory(output) / _PLAN
    return f"the unfinished run of {output} is not taken up: {plan} is not what a run wrote there"


def _read_plan(directory: Path) -> dict[str, Any] | None:
    """Return what an earlier run wrote in `open_state`; None where nothing can be used."""
    if why_not_private(directory):
        return None
    found = read_report(directory / _PLAN) or {}
    usable = found.get("version") == _SCHEMA_VERSION and {"started", "plan"} <= found.keys()
    return found if usable else None


def _why_not(output: Path, found: dict[str, Any] | None, plan: Mapping[str, Any]) -> str:
    """Return why the work of an earlier run cannot be used; nothing where it can, or is none."""
    if found is None or found["plan"] == plan:
        return ""
    changed = ", ".join(differences(found["plan"], plan))
    return (
        f"the unfinished run of {output} (since {found['started']}) is not taken up: "
        f"{changed} changed since"
    )


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yield the dotted names of what differs between two pieces of JSON."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        if old != new:
            yield name
        return
    for key in dict.fromkeys((*old, *new)):
        yield from differences(old.get(key), new.get(key), f"{name}.{key}".removeprefix("."))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
