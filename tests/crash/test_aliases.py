"""Input and output that are one file, under whatever names: refused, nothing touched."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.harness import Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import Theatre

Theatres = Callable[[str], Theatre]


def same(scene: Scene) -> Path:
    return Path(scene.input.name)


def dotted(scene: Scene) -> Path:
    return Path("..") / scene.directory.name / scene.input.name


def absolute(scene: Scene) -> Path:
    return scene.input.absolute()


def symbolic_link(scene: Scene) -> Path:
    link = scene.directory / f"link.{scene.kind}"
    link.symlink_to(scene.input.name)
    return link


def link_to_a_link(scene: Scene) -> Path:
    link = scene.directory / f"second.{scene.kind}"
    link.symlink_to(symbolic_link(scene).name)
    return link


def hard_link(scene: Scene) -> Path:
    link = scene.directory / f"hard.{scene.kind}"
    os.link(scene.input, link)
    return link


def linked_directory(scene: Scene) -> Path:
    link = scene.directory / "elsewhere"
    link.symlink_to(scene.directory)
    return link / scene.input.name


ALIASES = [same, dotted, absolute, symbolic_link, link_to_a_link, hard_link, linked_directory]


def picture(directory: Path) -> dict[str, tuple[str, int]]:
    """Return every file's hash and modification time."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.iterdir()
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["csv", pytest.param("parquet", marks=pytest.mark.ci)])
@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.__name__)
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["plain", "overwrite"])
def test_an_output_that_is_the_input_is_refused(
    theatre: Theatres,
    zygote: Zygote,
    alias: Callable[[Scene], Path],
    kind: str,
    overwrite: list[str],
) -> None:
    """Exit 2 before any work; not a byte of the directory differs, and --overwrite is no help."""
    scene = theatre(kind).copy()
    output = alias(scene)
    before = picture(scene.directory)
    ended = zygote.run(["run", scene.input.name, "-o", output, *overwrite], scene.directory)
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(scene.directory) == before


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.__name__)
def test_an_alias_as_the_input_is_refused_too(
    theatre: Theatres, zygote: Zygote, alias: Callable[[Scene], Path]
) -> None:
    """It does not matter which of the two is the other name."""
    scene = theatre("csv").copy()
    source = alias(scene)
    before = picture(scene.directory)
    ended = zygote.run(["run", source, "-o", scene.input.name, "--overwrite"], scene.directory)
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(scene.directory) == before


def test_two_outputs_on_one_file_are_refused(theatre: Theatres, zygote: Zygote) -> None:
    """Two inputs whose outputs are two links to one file: 2, before any work."""
    scene = theatre("csv").copy()
    other = scene.directory / "other.csv"
    other.write_bytes(scene.input.read_bytes())
    outputs = scene.directory / "scored"
    outputs.mkdir()
    (outputs / "in.scored.csv").symlink_to(scene.directory / "target.csv")
    (outputs / "other.scored.csv").symlink_to(scene.directory / "target.csv")
    before = picture(scene.directory)
    ended = zygote.run(["run", "in.csv", "other.csv", "-o", "scored"], scene.directory)
    assert (ended.code, ended.loaded) == (2, False), ended.stderr
    assert picture(scene.directory) == before


def test_a_link_as_the_output_stays_a_link(theatre: Theatres, zygote: Zygote) -> None:
    """What the link leads to is replaced, and the state lies beside that."""
    play = theatre("csv")
    scene = play.copy()
    link = scene.directory / "latest.csv"
    link.symlink_to(scene.output.name)
    command = [word if word != scene.output.name else link.name for word in scene.command]
    assert zygote.run(command, scene.directory).code == 0
    assert link.readlink() == Path(scene.output.name)
    assert scene.products() == play.expected
    assert scene.names() == play.names | {"latest.csv"}


@pytest.mark.ci
def test_a_bind_mount_of_the_input_is_refused(
    theatre: Theatres, tiny_bert_bundle: Path, figure: Callable[[str], None]
) -> None:
    """The same directory mounted a second time: 2, and the input is what it was.

    Where the machine denies a mount namespace, nothing is mounted and the figures say so. Names
    that differ in case only are not tried: no file system that ignores case is at hand.
    """
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        figure("no mount namespace here: not tried")
        return
    scene = theatre("csv").copy()
    (scene.directory / "mirror").mkdir()
    before = picture(scene.directory)
    program = Path(sys.executable).parent / "tweetscore"
    command = [str(program), "run", "in.csv", "-o", "mirror/in.csv", "--overwrite"]
    command += ["--model", str(tiny_bert_bundle), "--device", "builtin"]
    line = f"mount --bind . mirror && exec {shlex.join(command)}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", line],
        cwd=scene.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert picture(scene.directory) == before
