"""`--prune` where one end is a URL: outputs whose input is gone are removed there as well.

The rules are those of local files (`scorer.run.prune`). An object is deleted only where it is what
its report describes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scorer.monitor.report_types import CompleteReport, decoded
from scorer.remote.search import Pair, Place, Stores
from scorer.remote.urls import Url, beside, parse_url
from scorer.remote.work_dir import Delivery, WorkDir, describes
from scorer.run.prune import REPORT, Departed, IsGone, departed_below, gone_from, remove
from scorer.store.found import Found, Input
from scorer.store.paths import report_path


@dataclass(frozen=True, slots=True)
class Pruning:
    """The removal of outputs in one run.

    Attributes:
        found: What the run scores.
        pairs: Each input with its output, which stays.
        stores: Where objects are.
        work: The directory of all work directories, in which an output is locked.
        wait: Seconds for which a lock is waited for.
    """

    found: Found[Place]
    pairs: Sequence[Pair]
    stores: Stores
    work: Path
    wait: float

    def below(self, tops: Sequence[Place]) -> Iterator[Departed]:
        """Remove the outputs below some directories whose input is gone, and yield each."""
        is_gone = self._gone_from()
        outputs = [output for _, output in self.pairs]
        local = {os.path.abspath(report_path(each)) for each in outputs if isinstance(each, Path)}
        paths = [each for each in tops if isinstance(each, Path)]
        for each in departed_below(paths, local, is_gone):
            if remove(each.output, is_gone, self.wait):
                yield each
        kept = {beside(each, report_path) for each in outputs if isinstance(each, Url)}
        for top in tops:
            if isinstance(top, Url):
                yield from self._in_store(top, kept, is_gone)

    def _gone_from(self) -> IsGone:
        is_gone_here = gone_from(self.found, prune=True)
        places = [each.place for each in self.found.searched]
        there = tuple(str(each) for each in places if isinstance(each, Url))

        def is_gone(name: str) -> bool:
            if not name.startswith(there):
                return is_gone_here(name)
            url = parse_url(name)
            return url is not None and self.stores.of(url).head(url) is None

        return is_gone

    def _in_store(self, top: Url, kept: set[Url], is_gone: IsGone) -> Iterator[Departed]:
        listed = [each.url for each in self.stores.writable(top).list(top)]
        for url in listed:
            if not url.name.endswith(REPORT) or url in kept:
                continue
            report = self._report(url)
            if report is None or not is_gone(report.input.path):
                continue
            output = parse_url(report.output.path)
            if output is not None and beside(output, report_path) == url:  # and no copy of another
                source: Input[Place] = Input(output, PurePosixPath(output.name), output)
                with WorkDir(self.work, source, output).lock(self.wait):
                    removed = self._remove(output, is_gone)
                if removed:
                    yield Departed(Path(output.name), report.input.path, str(output))

    def _report(self, url: Url) -> CompleteReport | None:
        content, _ = self.stores.writable(url).read(url) or (b"", "")
        try:
            found = json.loads(content)
        except ValueError:
            return None
        return decoded(found)

    def _remove(self, output: Url, is_gone: IsGone) -> bool:
        """Delete an output and what belongs to it; return whether it was there."""
        store = self.stores.writable(output)
        delivery = Delivery(store, output, overwrite=False)
        report = self._report(delivery.report_url)
        if report is None or not is_gone(report.input.path):
            return False
        there = delivery.head()
        if there and not (
            describes(report.as_json(), there) or there.sha256 == report.output.sha256
        ):
            return False
        store.delete(output)
        delivery.forget()
        return there is not None
