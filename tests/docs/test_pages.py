"""The pages' commands are run, and what they print is compared with what the page shows.

A line ``$ command`` in a fence marked ``console`` is run by ``sh`` in a folder that holds a copy
of ``samples/``; the lines under it are its output (stdout and stderr as a terminal shows
them), where ``...`` stands for anything. Fences marked ``pycon`` are doctests that run after
the page's commands. A command ``export NAME=...`` holds for those after it.
``python tests/docs/test_pages.py PAGE`` writes the real output into a page (`make docs`).
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    ROOT / "samples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# Their commands need another environment: tests/samples/ has a test that runs them.
ELSEWHERE = {"airflow.md", "dbt.md"}


@dataclass(frozen=True)
class Command:
    """One command of a page and the output that the page shows for it."""

    line: int  # of the page, from 1
    shell: str
    shown: tuple[str, ...]
    shown_at: slice  # in the page's lines


def fences(lines: list[str], language: str) -> Iterator[range]:
    """Yield the line indices inside each fence of a language."""
    start = None
    for number, line in enumerate(lines):
        if line == f"```{language}":
            start = number + 1
        elif line == "```" and start is not None:
            yield range(start, number)
            start = None


def commands(lines: list[str]) -> Iterator[Command]:
    """Yield the commands of a page in order; a backslash continues a command."""
    exports = ""
    for fence in fences(lines, "console"):
        starts = [n for n in fence if lines[n].startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], fence.stop], strict=True):
            output = start + 1
            while lines[output - 1].endswith("\\"):
                output += 1
            shell = "\n".join([lines[start][2:], *lines[start + 1 : output]])
            if shell.startswith("export "):
                exports += f"{shell}\n"
            else:
                shown = tuple(lines[output:end])
                yield Command(start + 1, exports + shell, shown, slice(output, end))


def bench(folder: Path) -> Path:
    """Return a folder that holds what the pages' commands work on."""
    ignored = shutil.ignore_patterns("*.scored.*", "*.run.json", ".*")
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=ignored)
    return folder


@contextmanager
def lake(wanted: bool) -> Iterator[dict[str, str]]:
    """Yield the environment for commands that want the buckets `lake` and `odd`, or don't."""
    if not wanted:
        yield {}
        return
    import boto3

    from tests.remote.s3_server import environment, serving

    with serving() as (address, _):
        env = environment(address)
        client = boto3.client(
            "s3",
            region_name=env["AWS_DEFAULT_REGION"],
            endpoint_url=address,
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="lake")
        for day in (22, 23):
            key = f"in/day=2026-11-{day}/tweets.parquet"
            client.upload_file(ROOT / "samples/tweets.parquet", "lake", key)
        client.create_bucket(Bucket="odd")
        for key in ("in/tweets.csv", "in//x.csv"):
            client.upload_file(ROOT / "samples/tweets.csv", "odd", key)
        yield env


def run(shell: str, folder: Path, first: str = "", **also: str) -> str:
    """Return what a terminal 80 columns wide shows for a command; `first` leads its PATH."""
    path = f"{first}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "80"} | also
    done = subprocess.run(
        ["sh", "-c", shell],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def matches(shown: tuple[str, ...], real: str) -> bool:
    """Tell whether output is what the page shows, ``...`` standing for anything."""
    pattern = re.escape("\n".join(line.rstrip() for line in shown).strip("\n"))
    return re.fullmatch(pattern.replace(r"\.\.\.", ".*"), real.strip("\n"), re.DOTALL) is not None


def assert_true(page: Path, folder: Path, first: str = "", **also: str) -> None:
    """Fail unless each command of a page prints what stands under it; the arguments are `run`'s."""
    for command in commands(page.read_text("utf-8").splitlines()):
        real = run(command.shell, folder, first, **also)
        place = f"{page.relative_to(ROOT)}:{command.line}: $ {command.shell}"
        assert matches(command.shown, real), f"{place}\nprinted:\n{real}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in ELSEWHERE],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_shows_the_truth(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    """Each command prints what stands under it; then Python sessions give what they show."""
    lines = page.read_text("utf-8").splitlines()
    monkeypatch.chdir(bench(tmp_path))
    with lake(page.name == "remote.md") as env:
        assert_true(page, tmp_path, f"{programs}{os.pathsep}", **env)
    source = "\n\n".join("\n".join(lines[n] for n in fence) for fence in fences(lines, "pycon"))
    session = doctest.DocTestParser().get_doctest(source + "\n", {}, page.name, str(page), 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session).failed == 0


def test_a_wrong_output_is_seen() -> None:
    """The comparison can fail, and ... spans lines."""
    assert matches(("one", "...", "four"), "one\ntwo\nthree\nfour")
    assert not matches(("one", "two"), "one\ntwo\nthree")


def refresh(page: Path) -> None:
    """Write the real output under each command of a page."""
    lines = page.read_text("utf-8").splitlines()
    with TemporaryDirectory() as folder, lake(page.name == "remote.md") as env:
        bench(Path(folder))
        real = [(command, run(command.shell, Path(folder), **env)) for command in commands(lines)]
    for command, output in reversed(real):
        lines[command.shown_at] = [*output.splitlines(), ""][: None if output else 0]
    page.write_text(re.sub(r"\n\n```\n", "\n```\n", "\n".join(lines) + "\n"), "utf-8")


if __name__ == "__main__":
    refresh(Path(sys.argv[1]))
