"""The upload of a complete output, which is the commit, and then of its report.

The object carries the hash of its content. So a run that was killed between the two, or whose
report is lost, leaves an object that the next run knows as ours, from whichever machine it runs.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from scorer.errors import OutputRefused, TweetscoreError
from scorer.files.discover import failed_report_path, rejects_path, report_path
from scorer.files.publish import json_text
from scorer.remote.store import WritableStore
from scorer.remote.urls import Object, Url


class Delivery:
    """The objects that belong to one output."""

    def __init__(self, store: WritableStore, url: Url, *, overwrite: bool) -> None:
        self._store = store
        self.url = url
        self._overwrite = overwrite
        self.report_url = self._beside(report_path)
        self.failed_url = self._beside(failed_report_path)

    def _beside(self, named: Any) -> Url:
        return self.url.with_name(named(Path(self.url.name)).name)

    def report(self) -> tuple[dict[str, Any], str]:
        """Return the report that lies beside the output, and its tag; {} where there is none."""
        content, tag = self._store.read(self.report_url) or (b"{}", "")
        try:
            found = json.loads(content)
        except ValueError:
            return {}, ""
        return (found, tag) if isinstance(found, dict) else ({}, "")

    def head(self) -> Object | None:
        """Return what is there."""
        return self._store.head(self.url)

    def check_owner(self) -> Object | None:
        """Return what is there; OutputRefused if it is not ours and may not be overwritten."""
        there = self.head()
        if there is None or self._overwrite or there.mark or describes(self.report()[0], there):
            return there
        raise OutputRefused(
            f"{self.url} exists and was not written by tweetscore, or was changed since",
            "remove it, choose another output, or use --overwrite",
        )

    def send(self, output: Path, report: dict[str, Any]) -> dict[str, Any]:
        """Upload the output, which is the commit, and return the report that tells where it is."""
        mark = report["output"]["sha256"]
        there = self.check_owner()
        if there is None or there.mark != mark or there.size != output.stat().st_size:
            self._store.upload(output, self.url, mark, there)
            there = None
            with suppress(TweetscoreError):  # a report without a tag is sent again the next time
                there = self.head()
        tag = there.tag if there and there.mark == mark else ""
        return report | {"output": report["output"] | {"path": str(self.url), "etag": tag}}

    def send_report(self, output: Path, report: dict[str, Any]) -> str:
        """Upload the list of rejects, then the report, and return the tag of that."""
        self.send_rejects(output)
        return self._store.write(json_text(report).encode("ascii"), self.report_url)

    def send_rejects(self, output: Path) -> None:
        """Upload the list of rejects, or remove last night's where there are none."""
        rejects, url = rejects_path(output), self._beside(rejects_path)
        if rejects.exists():
            self._store.write(rejects.read_bytes(), url)
        else:
            self._remove(url)

    def send_failure(self, report: dict[str, Any]) -> None:
        """Upload the report of a failure beside the good output, which stays as it is."""
        self._store.write(json_text(report).encode("ascii"), self.failed_url)

    def forget_failure(self) -> None:
        """Remove the report of an earlier failure."""
        self._remove(self.failed_url)

    def _remove(self, url: Url) -> None:
        if self._store.head(url):  # who may not delete can do without, as long as nothing is there
            self._store.delete(url)


def describes(report: dict[str, Any], there: Object) -> bool:
    """Tell whether a report is about the object as it is."""
    match report.get("output"):
        case {"size": size, "etag": str(tag)}:
            return bool(tag) and (size, tag) == (there.size, there.tag)
    return False
