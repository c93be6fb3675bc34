"""The work directory of one output: what is fetched, scored and not yet uploaded.

::

    WORK/DIGEST/
        in/[KEY=VALUE/...]NAME     the input, complete
        in.json                    what its store said of it
        out/NAME                   the output, its report, its state, as beside any output
        sent.json                  the report that was uploaded, and its object's tag

The digest is that of the output's name, so that the next run of the same output finds what a
killed one left. After an upload only the lock and `sent.json` stay.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scorer.errors import InputMissing, OutputLocked, OutputRefused, StorageError, TweetscoreError
from scorer.files.inputs import Input
from scorer.files.lock import locked
from scorer.files.own import why_not_private
from scorer.files.publish import commit, read_report, write_json
from scorer.files.storage import writing
from scorer.remote.faults import changed_meanwhile
from scorer.remote.search import Place
from scorer.remote.store import Stores
from scorer.remote.urls import Object, Url


def default_work_directory() -> Path:
    """Return the work directory of a call that names none."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tweetscore"


class WorkDir:
    """The directory in which one input becomes one output."""

    def __init__(self, work: Path, source: Input[Place], output: Place) -> None:
        name = output.address if isinstance(output, Url) else str(output.absolute())
        self.root = work / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._source = source.place
        self._output = output
        self._noted = self.root / "in.json"
        self._sent = self.root / "sent.json"
        # Under its partitions, which the run takes for columns.
        parts = [part for part in source.below.parent.parts if "=" in part]
        input_path = self.root.joinpath("in", *parts, source.place.name)
        self.input = input_path if isinstance(source.place, Url) else source.place
        self.output = self.root / "out" / output.name if isinstance(output, Url) else output

    @contextmanager
    def lock(self, wait: float) -> Iterator[None]:
        """Hold the lock; OutputLocked if another run of this box holds it."""
        with writing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if reason := why_not_private(self.root):  # what it holds would be scored, and believed
                raise OutputRefused(
                    f"{self.root} {reason}, and holds the work on {self._output}",
                    "name a directory of your own with --work-dir",
                )
        try:
            with locked(self.root / "desk", wait=wait):  # the name by which earlier versions lock
                yield
        except OutputLocked as error:
            raise OutputLocked(
                f"another run is writing {self._output}", "wait with --lock-wait 3600"
            ) from error

    def fetch(self, stores: Stores) -> bool:
        """Fetch the input; return whether it was here already."""
        with writing(self.root):
            (self.root / "out").mkdir(exist_ok=True)
        if isinstance(self._source, Path):
            return True
        store = stores.of(self._source)
        there = store.head(self._source)
        if there is None:
            raise InputMissing(f"{self._source} is gone since it was found", "run again")
        if self.input.exists() and read_report(self._noted) == self._note(there):
            return True
        partial = self.root / "partial"
        with writing(self.root):
            self._noted.unlink(missing_ok=True)
            shutil.rmtree(self.root / "in", ignore_errors=True)
            partial.unlink(missing_ok=True)
            self.input.parent.mkdir(parents=True)
        store.fetch(there, partial)
        now = store.head(self._source)
        if now is None or (there.tag and not there.is_same(now)):
            raise changed_meanwhile(self._source)
        with writing(self.input):
            # The time is a part of what the input is known by, so it must outlast a kill.
            modified = there.modified_ns or (0 if there.tag else time.time_ns())
            os.utime(partial, ns=(modified, modified))
            commit(partial, self.input)
        if there.tag:
            write_json(self._noted, self._note(there))
        return False

    def _note(self, there: Object) -> dict[str, Any]:
        return {"path": str(there.url), "size": there.size, "etag": there.tag}

    @property
    def tag(self) -> str:
        """What the input's store called the content that is here; empty if it did not."""
        return str((read_report(self._noted) or {}).get("etag", ""))

    def remember(self, report: dict[str, Any], tag: str) -> None:
        """Keep a report that was uploaded, so that the next run need not fetch it."""
        write_json(self._sent, {"tag": tag, "report": report})

    def remembered(self, tag: str) -> dict[str, Any] | None:
        """Return the report that an object of this tag holds, if it came from here."""
        match read_report(self._sent):
            case {"tag": str(known), "report": dict(report)} if known and known == tag:
                return report
        return None

    def clear(self) -> None:
        """Remove the input and the output, which is elsewhere now."""
        with writing(self.root):
            self._noted.unlink(missing_ok=True)
            for name in ("in", "out"):
                shutil.rmtree(self.root / name, ignore_errors=True)

    def localize(self, text: str) -> str:
        """Return a text with the names of the call in the place of those in the work directory."""
        if isinstance(self._output, Url):
            text = text.replace(f"{self.output.parent}{os.sep}", str(self._output.parent))
        if isinstance(self._source, Url):
            text = text.replace(str(self.input), str(self._source))
        return text

    def localize_error(self, error: TweetscoreError) -> TweetscoreError:
        """Return an error with the names of the call; a full disk is that of this machine."""
        if isinstance(error, StorageError):
            return error
        return error.reworded(self.localize)
