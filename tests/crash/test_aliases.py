"""Input and output that are one file, under whatever names: refused, nothing touched."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixtures
from tests.crash.harness import Zygote
from tests.crash.workspace import Workspace


def same(workspace: Workspace) -> Path:
    return Path(workspace.input.name)


def dotted(workspace: Workspace) -> Path:
    return Path("..") / workspace.directory.name / workspace.input.name


def absolute(workspace: Workspace) -> Path:
    return workspace.input.absolute()


def symbolic_link(workspace: Workspace) -> Path:
    link = workspace.directory / f"link.{workspace.kind}"
    link.symlink_to(workspace.input.name)
    return link


def link_to_a_link(workspace: Workspace) -> Path:
    link = workspace.directory / f"second.{workspace.kind}"
    link.symlink_to(symbolic_link(workspace).name)
    return link


def hard_link(workspace: Workspace) -> Path:
    link = workspace.directory / f"hard.{workspace.kind}"
    os.link(workspace.input, link)
    return link


def linked_directory(workspace: Workspace) -> Path:
    link = workspace.directory / "elsewhere"
    link.symlink_to(workspace.directory)
    return link / workspace.input.name


ALIASES = [same, dotted, absolute, symbolic_link, link_to_a_link, hard_link, linked_directory]


def picture(directory: Path) -> dict[str, tuple[str, int]]:
    """Return every file's hash and modification time."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["csv", pytest.param("parquet", marks=pytest.mark.ci)])
@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.__name__)
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["plain", "overwrite"])
def test_an_output_that_is_the_input_is_refused(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    alias: Callable[[Workspace], Path],
    kind: str,
    overwrite: list[str],
) -> None:
    """Exit 2 before any work; not a byte of the directory differs, and --overwrite is no help."""
    workspace = crash_fixture(kind).copy()
    output = alias(workspace)
    before = picture(workspace.directory)
    ended = zygote.run(["run", workspace.input.name, "-o", output, *overwrite], workspace.directory)
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(workspace.directory) == before


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.__name__)
def test_an_alias_as_the_input_is_refused_too(
    crash_fixture: CrashFixtures, zygote: Zygote, alias: Callable[[Workspace], Path]
) -> None:
    """It does not matter which of the two is the other name."""
    workspace = crash_fixture("csv").copy()
    source = alias(workspace)
    before = picture(workspace.directory)
    ended = zygote.run(
        ["run", source, "-o", workspace.input.name, "--overwrite"], workspace.directory
    )
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(workspace.directory) == before


def test_two_outputs_on_one_file_are_refused(crash_fixture: CrashFixtures, zygote: Zygote) -> None:
    """Two inputs whose outputs are two links to one file: 2, before any work."""
    workspace = crash_fixture("csv").copy()
    other = workspace.directory / "other.csv"
    other.write_bytes(workspace.input.read_bytes())
    outputs = workspace.directory / "scored"
    outputs.mkdir()
    (outputs / "in.scored.csv").symlink_to(workspace.directory / "target.csv")
    (outputs / "other.scored.csv").symlink_to(workspace.directory / "target.csv")
    before = picture(workspace.directory)
    ended = zygote.run(["run", "in.csv", "other.csv", "-o", "scored"], workspace.directory)
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(workspace.directory) == before


def test_a_link_as_the_output_stays_a_link(crash_fixture: CrashFixtures, zygote: Zygote) -> None:
    """What the link leads to is replaced, and the state lies beside that."""
    case = crash_fixture("csv")
    workspace = case.copy()
    link = workspace.directory / "latest.csv"
    link.symlink_to(workspace.output.name)
    command = [word if word != workspace.output.name else link.name for word in workspace.command]
    assert zygote.run(command, workspace.directory).code == 0
    assert link.readlink() == Path(workspace.output.name)
    assert workspace.products() == case.expected
    assert workspace.names() == case.names | {"latest.csv"}


@pytest.mark.ci
def test_a_bind_mount_of_the_input_is_refused(
    crash_fixture: CrashFixtures, tiny_bert_bundle: Path, figure: Callable[[str], None]
) -> None:
    """The same directory mounted a second time: 2, and the input is what it was.

    Where the machine denies a mount namespace, nothing is mounted and the figures say so. Names
    that differ in case only are not tried: no file system that ignores case is at hand.
    """
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        figure("no mount namespace here: not tried")
        return
    workspace = crash_fixture("csv").copy()
    (workspace.directory / "mirror").mkdir()
    before = picture(workspace.directory)
    program = Path(sys.executable).parent / "tweetscore"
    command = [str(program), "run", "in.csv", "-o", "mirror/in.csv", "--overwrite"]
    command += ["--model", str(tiny_bert_bundle), "--device", "builtin"]
    line = f"mount --bind . mirror && exec {shlex.join(command)}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", line],
        cwd=workspace.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert picture(workspace.directory) == before
