"""The manifest of a Delta table's outputs: which of them are one version of the table.

It is written when all outputs of a version are there, and before those of files that left the table
go. So whoever reads by it finds all of its files, while their directory may hold more for a moment.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scorer.monitor.versions import tweetscore_version
from scorer.os_errors import writing
from scorer.store.commit import read_report, write_json
from scorer.store.own_directory import make_own_directory
from scorer.store.paths import table_manifest_path

_SCHEMA_VERSION = 1
_LARGEST = 256 << 20  # bytes of a manifest that is still compared: a million files


def manifest(table: str, version: int, files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the content of a manifest.

    Args:
        table: The path or the URL of the table.
        version: That of the table.
        files: The paths of each live file and of its output below their directories.
    """
    return {
        "schema_version": _SCHEMA_VERSION,
        "tool": {"name": "tweetscore", "version": tweetscore_version()},
        "written": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "table": {"format": "delta", "path": table, "version": version},
        "files": [{"input": source, "output": output} for source, output in sorted(files)],
    }


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two manifests name the same files of the same version."""
    return all(one.get(name) == other.get(name) for name in ("table", "files"))


def write_manifest(directory: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest durably, unless it is there already."""
    path = table_manifest_path(directory)
    if not is_same(read_report(path, _LARGEST) or {}, content):
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=True)  # a table without files has no outputs
        make_own_directory(directory / path.name)
        write_json(path, content)
