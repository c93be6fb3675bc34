"""Directories as the version before left them, and the command of this version."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from scorer.cli import tweetscore
from scorer.store.commit import report_there
from tests.upgrade.cases import BUNDLE, FIXTURES, MADE_IN, TIMES

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Box:
    """A directory of the version before, on the box that was upgraded."""

    directory: Path

    def call(self, *words: str | Path) -> Result:
        """Call this version's command in the directory; it never ends with 73."""
        environment = {name: None for name in os.environ if name.startswith("TWEETSCORE_")}
        before = dict(os.environ)
        with contextlib.chdir(self.directory):
            result = CliRunner(env=environment).invoke(
                tweetscore, list(map(str, words)), prog_name="tweetscore"
            )
        os.environ.clear()  # a command sets how many threads libraries may have
        os.environ.update(before)
        assert result.exit_code != 73, result.output
        return result

    def run(self, *words: str | Path) -> list[str]:
        """Call it, and return what it says on standard error; it has to succeed."""
        result = self.call(*words)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        return result.stderr.splitlines()

    def bytes_of(self, name: str) -> bytes:
        """Return a file's content."""
        return (self.directory / name).read_bytes()

    def report(self, output: str) -> dict[str, Any]:
        """Return an output's run report."""
        return read_json(report_there(self.directory / output))

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        """Return each file's content, time and inode, but of locks."""
        every = (path for path in self.directory.rglob("*") if path.suffix != ".lock")
        found = sorted(path for path in every if path.is_file())
        return {
            str(path.relative_to(self.directory)): (
                path.read_bytes(),
                path.stat().st_mtime_ns,
                path.stat().st_ino,
            )
            for path in found
        }

    def names(self) -> set[str]:
        """Return the names of all files."""
        return set(self.files())


def moved(files: Mapping[str, T]) -> dict[str, T]:
    """Return what the version before left, as it lies after the first run of this one.

    The report of a failure is not among it: a run that is well removes that.
    """
    return {
        re.sub(r"([^/]*(\.run\.json|\.rejects\.ndjson))$", r".tweetscore/\1", name): seen
        for name, seen in files.items()
        if not name.endswith(".run.failed.json")
    }


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a file of JSON in place."""
    content = read_json(path)
    change(content)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")


def computing(report: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the last bits of an answer, from a run report, as a plan has it."""
    names = ("provider", "device", "precision", "instruction_set")
    return {
        "runtime": {name: report["runtime"][name] for name in names},
        "libraries": {"tweetscore": report["tool"]["version"], **report["libraries"]},
    }


def adapt(night: Box, here: dict[str, Any]) -> None:
    """Write this box's processor and libraries into reports and plans."""
    facts = {name: here[name] for name in ("tool", "runtime", "libraries")}
    for path in night.directory.glob("*.run.json"):
        change_json(path, lambda report: report.update(facts))
    for path in night.directory.glob(".*/plan.json"):
        change_json(path, lambda found: found["plan"].update(computing(here)))


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the report of a run on this box, with the processor and the libraries that it has."""
    night = Box(tmp_path_factory.mktemp("here"))
    model = BUNDLE.replace("../bundle", str(FIXTURES / "bundle"))
    night.run("run", FIXTURES / "csv" / "tweets.csv", "-o", "out.csv", *model.split())
    return night.report("out.csv")


@pytest.fixture
def box(tmp_path: Path) -> Callable[..., Box]:
    """Return a function that gives a fixture, as if it had been made where it is now."""
    (tmp_path / "bundle").symlink_to(FIXTURES / "bundle")
    times = read_json(FIXTURES / TIMES)

    def of(name: str, copy: str = "") -> Box:
        directory = tmp_path / (copy or name)
        shutil.copytree(FIXTURES / name, directory)
        for path in (*directory.rglob("*.run.json"), *directory.glob(".*/report.json")):
            text = path.read_text("ascii")
            path.write_text(text.replace(f"{MADE_IN}/{name}", str(directory)), "ascii")
        for path in directory.rglob("*"):
            if time := times.get(f"{name}/{path.relative_to(directory)}"):
                os.utime(path, ns=(time, time))
        for state in directory.glob(".*.tweetscore"):
            state.chmod(0o700)  # which git does not keep either
        return Box(directory)

    return of
