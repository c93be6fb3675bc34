"""The pipeline for objects: what `scorer.run.pipeline` is for files, where one end is a URL.

Find the inputs (objects are listed, none is fetched); list the outputs; then each in turn: is
it up to date? If not it is fetched, scored as a file, and uploaded, before the next one is fetched.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from scorer.errors import OutputRefused, TweetscoreError
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.os_errors import writing
from scorer.remote.object_run import ObjectRun
from scorer.remote.search import Pair, Place, find, plan
from scorer.remote.store import Stores
from scorer.remote.urls import Object, Url
from scorer.remote.work_dir import WorkDir, default_work_directory
from scorer.store.inputs import Found


class Remote:
    """Runs whose inputs or outputs are objects."""

    def __init__(
        self, inputs: tuple[Place, ...], output: Place | None, work: Path | None = None
    ) -> None:
        self._inputs = inputs
        self._output = output
        self._work = work or default_work_directory()
        self._stores = Stores()

    def discover(self, options: RunOptions) -> Found[Place]:
        """Return the files and objects that a run is asked to score; nothing is fetched."""
        return find(self._inputs, self._stores, options.input_spec.format)

    def run(
        self,
        options: RunOptions,
        found: Found[Place] | None = None,
        *,
        model: ModelHandle | None = None,
        progress: Callable[[int], object] = lambda _: None,
    ) -> Iterator[Outcome]:
        """Bring each input's output up to date, one after the other, and yield what became of it.

        What fails for one does not keep the others from their turn; what concerns all is raised.
        """
        found = found or self.discover(options)
        pairs = plan(found, self._output, options.input_spec.format)
        seen = self._list_outputs(pairs, several=found.several)
        model = model or ModelHandle.of(options.model_spec)
        yield from (_unreadable(place, error) for place, error in found.unreadable)
        for source, output in pairs:
            try:
                if isinstance(output, Path) and output != self._output:  # of a directory of many
                    _make(output.parent)
            except TweetscoreError as error:
                yield _unreadable(source.place, error)
                continue
            work_dir = WorkDir(self._work, source, output)
            each = ObjectRun(source, output, options, self._stores, work_dir, seen)
            yield each.run(model, progress)

    def _list_outputs(self, pairs: list[Pair], *, several: bool) -> dict[Url, Object] | None:
        """List the outputs' directory once, instead of asking for each; None for a single one."""
        urls = [output for _, output in pairs if isinstance(output, Url)]
        for url in {url.host: url for url in urls}.values():
            self._stores.writable(url).check(url)
        if not several or not urls:
            return None
        seen: dict[Url, Object] = {}
        # Only what was named as the outputs' place may be listed as a whole: it holds them alone.
        output = self._output
        for directory in [output] if isinstance(output, Url) else _tops(urls):
            seen |= {each.url: each for each in self._stores.of(directory).list(directory)}
        return seen


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


def _tops(urls: list[Url]) -> list[Url]:
    """Return the directories that hold all outputs, none of which lies in another."""
    parents = sorted({url.parent for url in urls}, key=lambda url: (url.host, url.key))
    tops: list[Url] = []
    for parent in parents:
        last = tops[-1] if tops else None
        if not (last and parent.host == last.host and parent.key.startswith(last.key)):
            tops.append(parent)
    return tops
