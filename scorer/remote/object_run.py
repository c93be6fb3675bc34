"""One input on its way to its output, where at least one of them is an object.

    lock -> up to date? -> is the output ours? -> fetch -> score -> upload -> clear the directory

Scoring is the run of a local file. Before the upload the output is untouched; what is done stays
in the work directory, where the next run of the same output goes on.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
from scorer.remote.search import ListedObject, Place
from scorer.remote.store import Stores
from scorer.remote.urls import Object, Url
from scorer.remote.work_dir import Delivery, WorkDir, describes
from scorer.run import cache_keys, pipeline
from scorer.store.commit import report_on, write_json
from scorer.store.inputs import Input
from scorer.store.paths import failed_report_path, report_path
from scorer.store.state import forget_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scorer.inference.bundle import Bundle


AnyReport = TypeVar("AnyReport", bound=RunReport)
_OF_ALL = (DeviceUnavailable, GateFailed, InvalidBundle, MissingExtra)


class ObjectRun:
    """One input, its output, and what became of them."""

    def __init__(
        self,
        source: Input[Place],
        output: Place,
        options: RunOptions,
        stores: Stores,
        work_dir: WorkDir,
        seen: "Mapping[Url, Object] | None",
    ) -> None:
        self._source = source
        self._output = output
        self._options = options
        self._stores = stores
        self._work_dir = work_dir
        self._seen = seen  # what a listing said of the outputs; None where none was asked for
        self._delivery = (
            Delivery(stores.writable(output), output, overwrite=options.overwrite)
            if isinstance(output, Url)
            else None
        )

    def run(self, model: ModelHandle, progress: Callable[[int], object]) -> Outcome:
        """Bring the output up to date.

        An error of this input is in what comes back; one that concerns all inputs is raised.
        """
        try:
            with self._work_dir.lock(self._options.lock_wait):
                outcome = self._run(model, progress)
        except TweetscoreError as error:
            outcome = self._failed(error)
            if model.error or isinstance(error, _OF_ALL):
                raise
        return replace(
            outcome,
            output=self._work_dir.output,
            url=_shown(self._output),
            input_url=_shown(self._source.place),
            outside=outside(
                outcome.report.drift if outcome.report else None, self._options.fail_on_drift
            ),
        )

    def _run(self, model: ModelHandle, progress: Callable[[int], object]) -> Outcome:
        if report := self._up_to_date(model.bundle):
            self._forget_failure()
            return Outcome(self._work_dir.input, self._work_dir.output, report, up_to_date=True)
        if self._delivery:
            self._delivery.check_owner()
        fetched_before = self._work_dir.fetch(self._stores)
        wanted = replace(
            self._options, inputs=(self._work_dir.input,), output=self._work_dir.output
        )
        (outcome,) = pipeline.run(
            wanted,
            model=model,
            progress=progress,
            # An output of another content with the same size and time is none of this input.
            outdated=not fetched_before,
        )
        warnings = tuple(map(self._work_dir.localize, outcome.warnings))
        outcome = replace(outcome, warnings=warnings, up_to_date=False)
        if outcome.error:
            return self._failed(outcome.error, outcome)
        report = self._localize_report(outcome.complete)
        if self._delivery:
            report = self._delivery.send(self._work_dir.output, report)
        return replace(outcome, report=report, warnings=(*warnings, *self._finish(report)))

    def _finish(self, report: CompleteReport) -> Iterator[str]:
        """Do what comes after the commit, so that what fails is a warning, and done next time."""
        output = self._work_dir.output
        try:
            if self._delivery:
                tag = self._delivery.send_report(output, report)
                self._work_dir.remember(report.as_json(), tag)
            else:  # it names places, not the work directory
                write_json(report_path(output), report.as_json(), beside=output)
            self._work_dir.clear()
            if self._delivery:
                self._delivery.forget_failure()
        except TweetscoreError as error:
            why = self._work_dir.localize_error(error)
            yield (
                f"{self._output} is complete, but not all is tidy ({why}); the next run sees to it"
            )

    def _localize_report(self, report: AnyReport) -> AnyReport:
        source = report.input
        if source and isinstance(self._source.place, Url):
            tag = self._work_dir.tag
            source = structs.replace(source, path=str(self._source.place), etag=tag or UNSET)
        warnings = [self._work_dir.localize(warning) for warning in report.warnings]
        return structs.replace(report, input=source, warnings=warnings)

    def _up_to_date(self, bundle: "Bundle") -> CompleteReport | None:
        """Return the report of an output that holds what this run would write."""
        report = decoded(self._report_there()) if self._options.incremental else None
        if not report or not (source := self._as_now(report.input)):
            return None
        key = cache_keys.digest(cache_keys.result_key(source, bundle, self._options))
        return report if cache_keys.is_up_to_date(report, key, self._options) else None

    def _as_now(self, source: ReportedInput) -> dict[str, Any]:
        """Return what a report says of its input, as it is now; {} where it is another one."""
        match self._source:
            case ListedObject(place=url, seen=seen):
                known = seen.tag and (seen.size, seen.tag) == (source.size, source.etag)
                return source.as_json() if known and source.path == str(url) else {}
            case Input(place=Path() as path):
                with reading(path):
                    return describe_input(path, format=source.format)
        return {}

    def _forget_failure(self) -> None:
        """Remove the report of a failure that was mended; where that cannot be, it stays."""
        if not self._delivery:
            forget_failure(self._work_dir.output)
        elif self._seen is None or self._delivery.failed_url in self._seen:
            with suppress(TweetscoreError):
                self._delivery.forget_failure()

    def _report_there(self) -> dict[str, Any] | None:
        """Return the report that describes the output as it is."""
        if not self._delivery:
            return report_on(self._work_dir.output)
        if self._seen is None:
            there = self._delivery.head()
            report = self._delivery.report()[0] if there else {}
        else:
            there, beside = (
                self._seen.get(u) for u in (self._delivery.url, self._delivery.report_url)
            )
            if there is None or beside is None:
                return None
            report = self._work_dir.remembered(beside.tag) or {}
            if not report:
                report, tag = self._delivery.report()
                self._work_dir.remember(report, tag)
        return report if there and describes(report, there) else None

    def _failed(self, error: TweetscoreError, outcome: Outcome | None = None) -> Outcome:
        """Report a failure, also beside the good output, which stays as it is."""
        error = self._work_dir.localize_error(error)
        too_early = outcome is not None and not outcome.was_checked
        record = RunRecord(self._options.as_json(), self._options.options_from)
        outcome = outcome or Outcome(self._work_dir.input, self._work_dir.output, None)
        words = ReportedFailure(type(error).__name__, str(error))
        report = self._localize_report(outcome.report or record.failed(error))
        report = structs.replace(report, error=words, exit_code=error.exit_code)
        # The error itself matters more than that it cannot be reported, for whatever reason.
        with suppress(Exception):
            if too_early or isinstance(error, (UsageError, OutputLocked)):
                pass  # as for files: what was wrong before any work touches nothing
            elif self._delivery:
                self._delivery.send_failure(report)
                if report.counters.rejected:
                    self._delivery.send_rejects(self._work_dir.output)
            else:
                write_json(failed_report_path(self._work_dir.output), report.as_json())
        return replace(outcome, report=report, error=error)


def _shown(place: Place) -> str:
    return str(place) if isinstance(place, Url) else ""
