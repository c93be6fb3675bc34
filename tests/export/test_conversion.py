"""`tweetscore model export` and `check` leave what is foreign to a process of its own."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from export import conversion, isolation
from export.chain import ExportOptions, export_bundle
from export.conversion import ConfinedConverter
from export.isolation.limits import limits_for
from scorer.cli import tweetscore
from scorer.errors import InvalidBundle

ROOT = Path(__file__).parents[2]

# argv: the command's words. What it would run in the confined process waits there for ever.
PARENT = """
from functools import partial
from export import conversion, isolation
from scorer.cli import main

run = isolation.run
waits = "tests.export.confined_targets:waits"
isolation.run = lambda target, *argument, **settings: run(waits, *argument, **settings)
main()
"""


@contextmanager
def waiting(checkpoint: Path, output: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield an export that waits for its conversion, and that one's process as a descriptor."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, "model", "export", str(checkpoint), "-o", str(output)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(output.parent)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if line.endswith("waits\n"))
        descriptor = os.pidfd_open(int(line.split()[-2]))
        yield process, descriptor
        select.select([descriptor], [], [])  # it has ended
        os.close(descriptor)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_nothing_behind(
    checkpoints: Callable[[str], Path], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The other process is ended too; neither stage nor temporary directory stays."""
    with waiting(checkpoints("bert"), tmp_path / "bundle") as (process, _):
        process.send_signal(number)
        assert process.wait() == code
        assert process.stderr is not None
        assert "nothing is half-written" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_with_its_parent(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Even where that is killed."""
    with waiting(checkpoints("bert"), tmp_path / "bundle") as (process, _):
        process.kill()


@pytest.mark.ci
def test_an_absurd_config_ends_in_one_line(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """A config that asks for a million layers meets the limit of memory: 71, and no bundle."""
    copy = Path(shutil.copytree(checkpoints("bert"), tmp_path / "checkpoint"))
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"num_hidden_layers": 10**6}))
    words = ["model", "export", str(copy), "-o", str(tmp_path / "bundle"), "--memory", "0.7"]
    result = CliRunner().invoke(tweetscore, words)
    assert result.exit_code == 71, result.stderr
    assert "needs more than the 0.7 GiB" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [copy]


def leave_link(stage: Path, _: Path) -> None:
    (stage / "model.onnx").symlink_to("/etc/passwd")


def leave_hidden(stage: Path, _: Path) -> None:
    (stage / ".hidden").touch()


def leave_second_name(stage: Path, owned: Path) -> None:
    os.link(owned, stage / "README.md")


def leave_pipe(stage: Path, _: Path) -> None:
    os.mkfifo(stage / "vocab.txt")


@pytest.mark.parametrize("leave", [leave_link, leave_hidden, leave_second_name, leave_pipe])
def test_what_no_bundle_has_is_refused(
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[Path, Path], None],
) -> None:
    """Where the system withholds nothing, a link left behind must not lead to a file of ours."""
    owned = tmp_path / "owned"
    owned.touch(mode=0o600)

    def run(*_: Any, writable: list[Path], **__: Any) -> bytes:
        leave(writable[0], owned)
        return b"null"

    monkeypatch.setattr(isolation, "run", run)
    converter = ConfinedConverter(limits_for)
    with pytest.raises(InvalidBundle, match="which is no file of a bundle"):
        export_bundle(checkpoints("bert"), tmp_path / "b", ExportOptions(), converter=converter)
    assert list(tmp_path.iterdir()) == [owned]
    assert owned.stat().st_mode & 0o777 == 0o600


def test_a_bundle_that_is_none_is_not_published(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes back is verified here, whatever the process says of it."""
    monkeypatch.setattr(isolation, "run", lambda *_, **__: b"null")
    converter = ConfinedConverter(limits_for)
    with pytest.raises(InvalidBundle, match=r"tweetscore\.json"):
        export_bundle(checkpoints("bert"), tmp_path / "b", ExportOptions(), converter=converter)
    assert list(tmp_path.iterdir()) == []


def test_the_limits_are_those_of_the_weights(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may read the checkpoint, write into the stage, and use what such weights need.

    In the Hub's cache all files are links: what they lead to may be read too.
    """
    asked: dict[str, Any] = {}

    def run(*_: Any, **settings: Any) -> bytes:
        asked.update(settings)
        return b"null"

    model = tmp_path / "models--owner--name"
    blobs = Path(shutil.copytree(checkpoints("bert"), model / "blobs"))
    snapshot = model / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(f"../../blobs/{blob.name}")
    monkeypatch.setattr(isolation, "run", run)
    converter = ConfinedConverter(partial(limits_for, memory=2))
    with pytest.raises(InvalidBundle):
        export_bundle(snapshot, tmp_path / "b", ExportOptions(), converter=converter)
    assert asked["limits"] == limits_for((blobs / "model.safetensors").stat().st_size, memory=2)
    assert {snapshot, *blobs.iterdir()} <= {*asked["readable"]}
    (stage,) = asked["writable"]
    assert stage.is_relative_to(tmp_path)
    assert stage not in (tmp_path, snapshot)


def test_paths_lead_to_the_same_place_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever bytes a name has, and from another working directory."""
    monkeypatch.chdir(tmp_path)
    asked = conversion._Check(Path("n\udcffme"), ("text",))
    found = conversion._decode(conversion._encode(asked), conversion._Check)
    assert found == conversion._Check(tmp_path / "n\udcffme", ("text",))


def test_a_text_that_is_none_is_refused(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    """Half an emoji in the checkpoint's JSON cannot be written: 78, not a bug of ours."""
    converter = ConfinedConverter(limits_for)
    options = ExportOptions(notes="\ud83d")
    with pytest.raises(InvalidBundle, match="a text that is no Unicode"):
        export_bundle(checkpoints("bert"), tmp_path / "b", options, converter=converter)
