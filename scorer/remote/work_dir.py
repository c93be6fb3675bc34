"""The work directory of a run over URLs, and the upload of what was made in it."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from scorer.errors import InputMissing, OutputLocked, OutputRefused, StorageError, TweetscoreError
from scorer.monitor.report_types import CompleteReport, RunReport
from scorer.os_errors import exists, writing
from scorer.remote.faults import changed_meanwhile
from scorer.remote.search import Place
from scorer.remote.stores import Stores
from scorer.remote.urls import Object, Url, beside
from scorer.store.commit import commit, json_text, read_report, write_json
from scorer.store.found import Input
from scorer.store.lock import Lock, locked
from scorer.store.own_files import why_not_private
from scorer.store.paths import (
    EarlierPlaces,
    earlier_state,
    failed_report_path,
    rejects_path,
    report_path,
    state_directory,
)

if TYPE_CHECKING:
    from scorer.remote.objects import ObjectStore


def default_work_directory() -> Path:
    """Return the work directory of a call that names none."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tweetscore"


def is_unfinished(work: Path, output: Url) -> bool:
    """Tell whether a run of this box has begun an output and not come to its end."""
    there = _root(work, output) / "out" / output.name
    return exists(state_directory(there)) or exists(earlier_state(there))


def _root(work: Path, output: Place) -> Path:
    name = output.address if isinstance(output, Url) else str(output.absolute())
    return work / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24]


class WorkDir:
    """The directory in which one input becomes one output."""

    def __init__(self, work: Path, source: Input[Place], output: Place) -> None:
        self.root = _root(work, output)
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
    def lock(self, wait: float) -> Iterator[Lock]:
        """Hold the lock; OutputLocked if another run of this box holds it."""
        with writing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if reason := why_not_private(self.root):  # what it holds would be scored, and believed
                raise OutputRefused(
                    f"{self.root} {reason}, and holds the work on {self._output}",
                    "name a directory of your own with --work-dir",
                )
        try:
            with locked(self.root / "desk", wait=wait) as lock:  # a name that 0.1 locks too
                yield lock
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


@dataclass(frozen=True, slots=True)
class Delivery:
    """The objects that belong to one output."""

    store: "ObjectStore"
    url: Url
    overwrite: bool

    @property
    def report_url(self) -> Url:
        """The report of the run that wrote it."""
        return beside(self.url, report_path)

    @property
    def earlier_report_url(self) -> Url:
        """Where 0.1 put it."""
        return self._at(self._earlier.report)

    @property
    def failed_urls(self) -> tuple[Url, Url]:
        """The report of a failure since, as this version and 0.1 name it."""
        return beside(self.url, failed_report_path), self._at(self._earlier.failed_report)

    @property
    def _earlier(self) -> EarlierPlaces:
        return EarlierPlaces.of(Path(self.url.name))

    def _at(self, path: Path) -> Url:
        return self.url.with_name(str(path))

    def report(self) -> tuple[dict[str, Any], str]:
        """Return the output's report, and its tag; {} where there is none."""
        read = self.store.read
        content, tag = read(self.report_url) or read(self.earlier_report_url) or (b"{}", "")
        try:
            found = json.loads(content)
        except ValueError:
            return {}, ""
        return (found, tag) if isinstance(found, dict) else ({}, "")

    def head(self) -> Object | None:
        """Return what is there."""
        return self.store.head(self.url)

    def check_owner(self) -> Object | None:
        """Return what is there; OutputRefused if it is not ours and may not be overwritten."""
        there = self.head()
        if there is None or self.overwrite or there.sha256 or describes(self.report()[0], there):
            return there
        raise OutputRefused(
            f"{self.url} exists and was not written by tweetscore, or was changed since",
            "remove it, choose another output, or use --overwrite",
        )

    def send(self, output: Path, report: CompleteReport) -> CompleteReport:
        """Upload the output, which is the commit, and return the report that tells where it is."""
        sha256 = report.output.sha256
        there = self.check_owner()
        if there is None or there.sha256 != sha256 or there.size != output.stat().st_size:
            self.store.upload(output, self.url, sha256, there)
            there = None
            with suppress(TweetscoreError):  # a report without a tag is sent again the next time
                there = self.head()
        tag = there.tag if there and there.sha256 == sha256 else ""
        return replace(report, output=replace(report.output, path=str(self.url), etag=tag))

    def send_report(self, output: Path, report: CompleteReport) -> str:
        """Upload the list of rejects, then the report, and return the tag of that."""
        self.send_rejects(output)
        return self.store.write(json_text(report.as_json()).encode("ascii"), self.report_url)

    def send_rejects(self, output: Path) -> None:
        """Upload the list of rejects, or remove last night's where there are none."""
        rejects, url = rejects_path(output), beside(self.url, rejects_path)
        if rejects.exists():
            self.store.write(rejects.read_bytes(), url)
        else:
            self._remove(url)

    def send_failure(self, report: RunReport) -> None:
        """Upload the report of a failure beside the good output, which stays as it is."""
        self.store.write(json_text(report.as_json()).encode("ascii"), self.failed_urls[0])

    def forget_failure(self) -> None:
        """Remove the report of an earlier failure."""
        for url in self.failed_urls:
            self._remove(url)

    def move_earlier(self, seen: Container[Url] | None) -> None:
        """Move what 0.1 put beside the output, unless a newer one is where it belongs.

        Args:
            seen: What a listing found; None where none was asked for.
        """
        moves = (
            (self.earlier_report_url, self.report_url),
            (self._at(self._earlier.rejects), beside(self.url, rejects_path)),
        )
        for old, new in moves:
            before = self.store.head(old) if seen is None or old in seen else None
            if before is None:
                continue
            now = self.store.head(new)
            if now is None or (now.modified_ns or 0) < (before.modified_ns or 0):
                content, _ = self.store.read(old) or (b"", "")
                self.store.write(content, new)
            self.store.delete(old)

    def forget(self) -> None:
        """Remove all that belongs to an output that is gone, its report last."""
        own = (beside(self.url, rejects_path), *self.failed_urls, self.report_url)
        for url in (*own, self._at(self._earlier.rejects), self.earlier_report_url):
            self._remove(url)

    def _remove(self, url: Url) -> None:
        if self.store.head(url):  # who may not delete can do without, as long as nothing is there
            self.store.delete(url)


def describes(report: dict[str, Any], there: Object) -> bool:
    """Tell whether a report is about the object as it is."""
    match report.get("output"):
        case {"size": size, "etag": str(tag)}:
            return bool(tag) and (size, tag) == (there.size, there.tag)
    return False
