"""What follows a run where one end is a URL: manifests, and outputs whose input is gone.

The rules are those of local files (`scorer.run.prune`). An object is deleted only where it is what
its report describes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scorer.monitor.report_types import CompleteReport, decoded
from scorer.remote.search import Pair, Place
from scorer.remote.stores import Stores
from scorer.remote.urls import Url, beside, parse_url, recorded_name
from scorer.remote.work_dir import Delivery, WorkDir, describes
from scorer.run.prune import (
    REPORT,
    Departed,
    IsGone,
    departed_below,
    gone_from,
    output_directories,
    remove,
)
from scorer.run.table_manifest import is_same, manifest, write_manifest
from scorer.store.commit import json_text
from scorer.store.found import Found, Input, LakeTable
from scorer.store.paths import report_path, table_manifest_path


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

    def finish(self, output: Place | None, *, prune: bool) -> Iterator[Departed]:
        """Write the manifests of tables, remove outputs whose input is gone, and yield each.

        Args:
            output: The directory of all outputs, where the call names one.
            prune: Whether files that are gone from plain directories count.
        """
        tables = [(each, _table_directory(each, output)) for each in self.found.tables]
        for table, where in tables:
            if table.whole:
                self._write_manifest(table, where)
        tops = output_directories(output, self.found) if prune else [where for _, where in tables]
        yield from self._below(tops, self._gone_from(prune=prune))

    def _write_manifest(self, table: LakeTable[Place], where: Place) -> None:
        start, out = _start(table.place), _start(where)
        named = [(recorded_name(each.place), recorded_name(output)) for each, output in self.pairs]
        files = (
            (source.removeprefix(start), output.removeprefix(out))
            for source, output in named
            if source in table.live
        )
        name = str(table.place) if isinstance(table.place, Url) else start.rstrip("/")
        content = manifest(name, table.version, files)
        if isinstance(where, Path):
            write_manifest(where, content)
            return
        store = self.stores.writable(where)
        url = where.with_key(where.key + table_manifest_path(Path()).as_posix())
        if not is_same(self._json(url), content):
            store.write(json_text(content).encode("ascii"), url)

    def _below(self, tops: Sequence[Place], is_gone: IsGone) -> Iterator[Departed]:
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

    def _gone_from(self, *, prune: bool) -> IsGone:
        is_gone_here = gone_from(self.found, prune=prune)
        tables = [(str(each.place), each.live) for each in self.found.tables]
        places = [each.place for each in self.found.searched]
        there = tuple(str(each) for each in places if prune and isinstance(each, Url))

        def is_gone(name: str) -> bool:
            for place, live in tables:
                if "://" in place and name.startswith(place):
                    return name not in live
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
            if output is None:
                continue
            delivery = Delivery(self.stores.writable(output), output, overwrite=False)
            if url in {delivery.report_url, delivery.earlier_report_url}:  # and no copy of another
                source: Input[Place] = Input(output, PurePosixPath(output.name), output)
                with WorkDir(self.work, source, output).lock(self.wait):
                    removed = self._remove(delivery, is_gone)
                if removed:
                    yield Departed(Path(output.name), report.input.path, str(output))

    def _report(self, url: Url) -> CompleteReport | None:
        return decoded(self._json(url))

    def _json(self, url: Url) -> dict[str, Any]:
        """Return a small object; {} where there is none, or no JSON."""
        content, _ = self.stores.writable(url).read(url) or (b"", "")
        try:
            found = json.loads(content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _remove(self, delivery: Delivery, is_gone: IsGone) -> bool:
        """Delete an output and what belongs to it; return whether it was there."""
        report = decoded(delivery.report()[0])
        if report is None or not is_gone(report.input.path):
            return False
        there = delivery.head()
        if there and not (
            describes(report.as_json(), there) or there.sha256 == report.output.sha256
        ):
            return False
        delivery.store.delete(delivery.url)
        delivery.forget()
        return there is not None


def _table_directory(table: LakeTable[Place], output: Place | None) -> Place:
    """Return the directory that mirrors a table."""
    if output is None:
        return table.mirror
    if isinstance(output, Path):
        return output / table.below
    top = f"{output.key.rstrip('/')}/" if output.key else ""
    below = "".join(f"{part}/" for part in table.below.parts)
    return output.with_key(f"{top}{below}")


def _start(place: Place) -> str:
    """Return how the names of all that lies in a directory begin."""
    return str(place) if isinstance(place, Url) else f"{os.path.abspath(place)}{os.sep}"
