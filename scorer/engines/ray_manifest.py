"""`_tweetscore.json`: written last, it names all outputs of a run that scored all of its inputs.

A reader that waits for it sees all or nothing. It goes before the first output changes, and
comes back when the last one is complete.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scorer.monitor.versions import tweetscore_version
from scorer.options import Outcome
from scorer.store.commit import read_report, write_json

NAME = "_tweetscore.json"  # readers of folders pass over names that begin with an underscore
SCHEMA_VERSION = 1
_LARGEST = 256 << 20  # bytes of one that is still compared: a million files
_COUNTED = ("read", "rows", "scored", "blank", "truncated", "rejected")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(slots=True)
class Manifest:
    """What the outcomes of a run add up to."""

    folder: Path  # that holds all outputs
    engine: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0
    _started: str = field(default_factory=_now)
    _files: list[dict[str, Any]] = field(default_factory=list)
    _counters: Counter[str] = field(default_factory=Counter)
    _labels: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count a file."""
        if outcome.error:
            self.failed += 1
            return
        report = outcome.report
        output = report["output"]
        self._files.append(
            {
                "output": os.path.relpath(outcome.output, self.folder),
                "input": report["input"]["path"],
                "result_key": report["result_key"],
                **{name: output[name] for name in ("rows", "size", "sha256")},
            }
        )
        self._counters.update({name: report["counters"][name] for name in _COUNTED})
        for label in report["labels"]:
            self._labels[label["written_as"]] += label["rows"]

    def publish(self) -> None:
        """Write it durably, unless one that names the same files is there already."""
        path = self.folder / NAME
        files = sorted(self._files, key=lambda file: str(file["output"]))
        if (read_report(path, _LARGEST) or {}).get("files") == files:
            return
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                "tool": {"name": "tweetscore", "version": tweetscore_version()},
                "started": self._started,
                "finished": _now(),
                "engine": dict(self.engine),
                "model": dict(self.model),
                "counters": dict(self._counters),
                "labels": dict(self._labels),
                "files": files,
            },
        )
