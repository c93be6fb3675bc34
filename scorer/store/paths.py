"""The output of each input, and the places that are a function of an output's path.

Everything that belongs to `D/NAME` lies in `D/.tweetscore/`. No other module spells these names.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from scorer.formats.registry import Place, default_name, format_of
from scorer.options import Kind

OWN = ".tweetscore"
MANIFEST = "_tweetscore.json"  # under its name 0.1 locked it, and kept it beside the outputs
_LONGEST = 255 - 24  # bytes of a name in the own directory, without what follows it there
_HASH = 32  # digits

P = TypeVar("P", bound=Place)


def resolved(output: Path) -> Path:
    """Return the file that an output's name leads to: a link stays, its target is replaced."""
    is_link = os.path.islink(output)  # noqa: PTH114 - Path.is_symlink raises where a name is too long
    return Path(os.path.realpath(output)) if is_link else output


def default_output(source: P, kind: Kind | None = None) -> P:
    """Return NAME.scored.EXT beside the input: x.csv.gz gives x.scored.csv.gz."""
    return source.with_name(default_name(source.name, format_of(source, kind)))


def own_directory(output: Path) -> Path:
    """Return the directory beside an output that holds all that belongs to it.

    The outputs of a directory share one, so that the directory holds nothing but outputs.
    """
    return output.with_name(OWN)


def report_path(output: Path) -> Path:
    """Return the run report of an output."""
    return _own(output, ".run.json")


def failed_report_path(output: Path) -> Path:
    """Return the report of a run that failed."""
    return _own(output, ".run.failed.json")


def rejects_path(output: Path) -> Path:
    """Return the file of an output's rejects."""
    return _own(output, ".rejects.ndjson")


def state_directory(output: Path) -> Path:
    """Return the directory that holds an unfinished run's results."""
    return _own(output, ".state")


def state_aside(output: Path, mark: str) -> Path:
    """Return another name for a state directory that can only be moved out of the way."""
    return _own(output, f".{mark}.state")


def commit_record_path(output: Path) -> Path:
    """Return the report of a run that is about to replace the output."""
    return state_directory(output) / "report.json"


def making_directory(output: Path) -> Path:
    """Return the directory that holds what becomes an output that is a directory."""
    return _own(output, ".making")


def lock_path(output: Path) -> Path:
    """Return the file that a run locks while it writes an output; it is never deleted."""
    return _own(output, ".lock")


def temporary_sibling(path: Path) -> Path:
    """Return the name beside `path` under which its next content is written.

    Always the same one: what a killed run left there is found without searching the directory.
    """
    if path.parent.name == OWN:
        return path.with_name(f"{path.name}.tmp")
    return path.with_name(f".{path.name}{OWN}.tmp")


def _own(output: Path, suffix: str) -> Path:
    """Return a name in the own directory; a long one has a hash in the place of its end."""
    name, content = output.name, os.fsencode(output.name)
    if len(content) > _LONGEST:
        start = content[: _LONGEST - _HASH - 1].decode("utf-8", "ignore")
        name = f"{start}-{hashlib.sha256(content).hexdigest()[:_HASH]}"
    return own_directory(output) / f"{name}{suffix}"


def manifest_path(folder: Path) -> Path:
    """Return the manifest of a directory of outputs."""
    return own_directory(folder / MANIFEST) / MANIFEST


def table_manifest_path(folder: Path) -> Path:
    """Return the manifest of the outputs of a Delta table, in the directory that mirrors it."""
    return own_directory(folder / "x") / "delta.json"


class EarlierPlaces(NamedTuple):
    """Where 0.1 kept what belongs to an output: beside it."""

    report: Path
    failed_report: Path
    rejects: Path
    state: Path
    report_temporary: Path
    failed_temporary: Path
    lock: Path

    @classmethod
    def of(cls, output: Path) -> Self:
        """Return the names that an output had around it; none of them needs to exist."""
        report = output.with_name(f"{output.name}.run.json")
        failed = output.with_name(f"{output.name}.run.failed.json")
        return cls(
            report,
            failed,
            output.with_name(f"{output.name}.rejects.ndjson"),
            earlier_state(output),
            temporary_sibling(report),
            temporary_sibling(failed),
            output.with_name(f".{output.name}{OWN}.lock"),
        )


def earlier_state(output: Path, mark: str = "") -> Path:
    """Return the state directory of 0.1, or with a mark, the name of one that was put aside."""
    return output.with_name(f".{output.name}{mark and f'.{mark}'}{OWN}")


def there(path: Path, earlier: Path) -> Path:
    """Return the place of something before and after the first run that moves it."""
    return earlier if os.path.lexists(earlier) and not os.path.lexists(path) else path
