"""One input to its output, where one of them is an object.

    lock -> up to date? -> is the output ours? -> fetch -> score -> upload -> clear the directory

Scoring is the run of a local file. Before the upload the output is untouched; what is done stays
in the work directory, where the next run of the same output goes on.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from msgspec import UNSET, structs

from scorer.errors import (
    DeviceUnavailable,
    GateFailed,
    InvalidBundle,
    MissingExtra,
    OutputLocked,
    TweetscoreError,
    UsageError,
)
from scorer.inference.bundle import Bundle
from scorer.inference.loading import ModelHandle
from scorer.monitor.drift import outside
from scorer.monitor.report_types import (
    CompleteReport,
    Outcome,
    ReportedFailure,
    ReportedInput,
    RunReport,
    decoded,
)
from scorer.monitor.run_report import RunRecord, describe_input
from scorer.options import RunOptions
from scorer.os_errors import reading
from scorer.records import OnProgress
from scorer.remote.search import ListedObject, Place
from scorer.remote.stores import Stores
from scorer.remote.urls import Object, Url
from scorer.remote.work_dir import Delivery, WorkDir, describes
from scorer.run import cache_keys, pipeline
from scorer.store.commit import report_on, write_json
from scorer.store.found import Input
from scorer.store.lock import Lock, locked
from scorer.store.paths import report_path
from scorer.store.state import forget_failure, write_failed_report

AnyReport = TypeVar("AnyReport", bound=RunReport)
_OF_ALL = (DeviceUnavailable, GateFailed, InvalidBundle, MissingExtra)


@dataclass(frozen=True, slots=True)
class ObjectRun:
    """One input on its way to its output, where at least one of them is an object."""

    source: Input[Place]
    options: RunOptions
    stores: Stores
    work_dir: WorkDir
    delivery: Delivery | None  # of an output that is an object
    seen: Mapping[Url, Object] | None  # what a listing said of the outputs; None: none was made
    table_version: int | None = None  # of the Delta table that has the input

    def run(self, model: ModelHandle, progress: OnProgress) -> Outcome:
        """Bring the output up to date.

        An error of this input is in what comes back; one that concerns all inputs is raised.
        """
        try:
            with self.work_dir.lock(self.options.lock_wait) as lock:
                outcome = self._run(model, lock, progress)
        except TweetscoreError as error:
            outcome = self._failed(error)
            if model.error or isinstance(error, _OF_ALL):
                raise
        return replace(
            outcome,
            output=self.work_dir.output,
            url=str(self.delivery.url) if self.delivery else "",
            input_url=str(self.source.place) if isinstance(self.source.place, Url) else "",
            outside=outside(
                outcome.report.drift if outcome.report else None, self.options.fail_on_drift
            ),
        )

    def _run(self, model: ModelHandle, lock: Lock, progress: OnProgress) -> Outcome:
        if report := self._up_to_date(model.bundle):
            there = Outcome(self.work_dir.input, self.work_dir.output, report, up_to_date=True)
            return replace(there, warnings=tuple(self._leave_alone()))
        if self.delivery:
            self.delivery.check_owner()
        fetched_before = self.work_dir.fetch(self.stores)
        wanted = replace(self.options, inputs=(self.work_dir.input,), output=self.work_dir.output)
        (outcome,) = pipeline.run(
            wanted,
            model=model,
            progress=progress,
            # An output of another content with the same size and time is none of this input.
            outdated=not fetched_before,
        )
        warnings = tuple(map(self.work_dir.localize, outcome.warnings))
        outcome = replace(outcome, warnings=warnings, up_to_date=False)
        if outcome.error:
            return self._failed(outcome.error, outcome)
        report = self._localize_report(outcome.complete)
        if self.delivery:
            lock.check()
            report = self.delivery.send(self.work_dir.output, report)
        return replace(outcome, report=report, warnings=(*warnings, *self._finish(report)))

    def _finish(self, report: CompleteReport) -> Iterator[str]:
        """Do what comes after the commit, so that what fails is a warning, and done next time."""
        output = self.work_dir.output
        if self.delivery:
            yield from self._move_earlier(self.delivery)
        try:
            if self.delivery:
                tag = self.delivery.send_report(output, report)
                self.work_dir.remember(report.as_json(), tag)
            else:  # it names places, not the work directory
                write_json(report_path(output), report.as_json(), beside=output)
            self.work_dir.clear()
            if self.delivery:
                self.delivery.forget_failure()
        except TweetscoreError as error:
            why = self.work_dir.localize_error(error)
            where = self.delivery.url if self.delivery else output
            yield f"{where} is complete, but not all is tidy ({why}); the next run sees to it"

    def _localize_report(self, report: AnyReport) -> AnyReport:
        source = report.input
        if source and isinstance(self.source.place, Url):
            tag = self.work_dir.tag
            source = structs.replace(source, path=str(self.source.place), etag=tag or UNSET)
        if source and self.table_version is not None:
            source = structs.replace(source, table_version=self.table_version)
        warnings = [self.work_dir.localize(warning) for warning in report.warnings]
        return structs.replace(report, input=source, warnings=warnings)

    def _up_to_date(self, bundle: Bundle) -> CompleteReport | None:
        """Return the report of an output that holds what this run would write."""
        report = decoded(self._report_there()) if self.options.incremental else None
        if not report or not (source := self._as_now(report.input)):
            return None
        key = cache_keys.digest(cache_keys.result_key(source, bundle, self.options))
        return report if cache_keys.is_up_to_date(report, key, self.options) else None

    def _as_now(self, source: ReportedInput) -> dict[str, Any]:
        """Return what a report says of its input, as it is now; {} where it is another one."""
        match self.source:
            case ListedObject(place=url, seen=seen):
                known = seen.tag and (seen.size, seen.tag) == (source.size, source.etag)
                return source.as_json() if known and source.path == str(url) else {}
            case Input(place=Path() as path):
                with reading(path):
                    return describe_input(path, format=source.format)
        return {}

    def _leave_alone(self) -> Iterator[str]:
        """Do what is left for an output that is up to date, and yield what cannot be done."""
        if not self.delivery:
            with locked(self.work_dir.output, wait=self.options.lock_wait) as lock:
                yield from lock.warnings
                forget_failure(self.work_dir.output)
            return
        yield from self._move_earlier(self.delivery)
        self._forget_failure(self.delivery)

    def _move_earlier(self, delivery: Delivery) -> Iterator[str]:
        try:
            delivery.move_earlier(self.seen)
        except TweetscoreError as error:
            yield f"what version 0.1 put beside {delivery.url} cannot be moved ({error})"

    def _forget_failure(self, delivery: Delivery) -> None:
        """Remove the report of a failure that was mended; where that cannot be, it stays."""
        if self.seen is None or any(url in self.seen for url in delivery.failed_urls):
            with suppress(TweetscoreError):
                delivery.forget_failure()

    def _report_there(self) -> dict[str, Any] | None:
        """Return the report that describes the output as it is."""
        if not self.delivery:
            return report_on(self.work_dir.output)
        if self.seen is None:
            there = self.delivery.head()
            report = self.delivery.report()[0] if there else {}
        else:
            there = self.seen.get(self.delivery.url)
            places = (self.delivery.report_url, self.delivery.earlier_report_url)
            beside = next(filter(None, map(self.seen.get, places)), None)
            if there is None or beside is None:
                return None
            report = self.work_dir.remembered(beside.tag) or {}
            if not report:
                report, tag = self.delivery.report()
                self.work_dir.remember(report, tag)
        return report if there and describes(report, there) else None

    def _failed(self, error: TweetscoreError, outcome: Outcome | None = None) -> Outcome:
        """Report a failure, also beside the good output, which stays as it is."""
        error = self.work_dir.localize_error(error)
        too_early = outcome is not None and not outcome.was_checked
        record = RunRecord(self.options.as_json(), self.options.options_from)
        outcome = outcome or Outcome(self.work_dir.input, self.work_dir.output, None)
        words = ReportedFailure(type(error).__name__, str(error))
        report = self._localize_report(outcome.report or record.failed(error))
        report = structs.replace(report, error=words, exit_code=error.exit_code)
        # The error itself matters more than that it cannot be reported, for whatever reason.
        with suppress(Exception):
            if too_early or isinstance(error, (UsageError, OutputLocked)):
                pass  # as for files: what was wrong before any work touches nothing
            elif self.delivery:
                self.delivery.send_failure(report)
                if report.counters.rejected:
                    self.delivery.send_rejects(self.work_dir.output)
            else:
                write_failed_report(self.work_dir.output, report.as_json())
        return replace(outcome, report=report, error=error)
