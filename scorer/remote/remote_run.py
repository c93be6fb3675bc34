"""The pipeline for objects: what `scorer.run.pipeline` is for files, where one end is a URL.

Find the inputs (objects are listed, none is fetched); list the outputs; then each in turn: is
it up to date? If not it is fetched, scored as a file, and uploaded, before the next one is fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from scorer.errors import (
    OutputRefused,
    TweetscoreError,
)
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import (
    Outcome,
)
from scorer.options import RunOptions
from scorer.os_errors import writing
from scorer.records import OnProgress
from scorer.remote.object_outputs import list_outputs, plan
from scorer.remote.object_run import ObjectRun
from scorer.remote.search import Place, find
from scorer.remote.stores import Stores
from scorer.remote.urls import Url, recorded_name
from scorer.remote.work_dir import Delivery, WorkDir, default_work_directory, is_unfinished
from scorer.run.prune import Departed
from scorer.store.found import Found, table_versions
from scorer.store.output_plan import with_warnings


@dataclass(frozen=True, slots=True)
class Remote:
    """Runs whose inputs or outputs are objects."""

    inputs: tuple[Place, ...]
    output: Place | None
    work: Path | None = None
    _stores: Stores = field(default_factory=Stores)

    @property
    def _work(self) -> Path:
        return self.work or default_work_directory()

    def discover(self, options: RunOptions) -> Found[Place]:
        """Return the files and objects that a run is asked to score; nothing is fetched."""
        unfinished = partial(is_unfinished, self._work)
        found = find(self.inputs, self._stores, options.input_spec.format, unfinished)
        return found if self.output else with_warnings(found)

    def run(
        self,
        options: RunOptions,
        found: Found[Place] | None = None,
        *,
        model: ModelHandle | None = None,
        progress: OnProgress = lambda _: None,
    ) -> Iterator[Outcome]:
        """Bring each input's output up to date, one after the other, and yield what became of it.

        What fails for one does not keep the others from their turn; what concerns all is raised.
        """
        found = found or self.discover(options)
        pairs = plan(found, self.output, options.input_spec.format)
        urls = {url.host: url for _, url in pairs if isinstance(url, Url)}
        for url in urls.values():
            self._stores.writable(url).check(url)
        several = found.several and urls
        seen = list_outputs(pairs, self.output, self._stores) if several else None
        versions = table_versions(found)
        model = model or ModelHandle.of(options.model_spec)
        yield from (_unreadable(place, error) for place, error in found.unreadable)
        for source, output in pairs:
            delivery = None
            try:
                if isinstance(output, Url):
                    delivery = Delivery(self._stores.writable(output), output, options.overwrite)
                elif output != self.output:  # of a directory of many
                    _make(output.parent)
            except TweetscoreError as error:
                yield _unreadable(source.place, error)
                continue
            work_dir = WorkDir(self._work, source, output)
            version = versions.get(recorded_name(source.place))
            each = ObjectRun(source, options, self._stores, work_dir, delivery, seen, version)
            yield each.run(model, progress)

    def finish(
        self, options: RunOptions, found: Found[Place], *, prune: bool
    ) -> Iterator[Departed]:
        """Do what follows a run that succeeded, and yield the outputs that are removed."""
        if not (prune or found.tables):
            return iter(())
        from scorer.remote.object_prune import Pruning

        pairs = plan(found, self.output, options.input_spec.format)
        pruning = Pruning(found, pairs, self._stores, self._work, options.lock_wait)
        return pruning.finish(self.output, prune=prune)


def _make(directory: Path) -> None:
    """Make a directory; OutputRefused where a file has its name, say the output of another key."""
    with writing(directory):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise OutputRefused(
                f"{directory} cannot be made: a file has its name, or that of a directory above it",
                "choose another output with -o",
            ) from error


def _unreadable(place: Place, error: TweetscoreError) -> Outcome:
    name = str(place)
    return Outcome(Path(name), Path(name), None, error=error, input_url=name, url=name)
