"""A missing extra is installed from where tweetscore itself came, and as it was installed."""

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scorer import Scorer, installation
from scorer.errors import InvalidBundle
from scorer.installation import install


class StubDistribution:
    """What an installer recorded."""

    def __init__(self, recorded: object) -> None:
        self._text = None if recorded is None else json.dumps(recorded)

    def read_text(self, _: str) -> str | None:
        """Return it."""
        return self._text


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (None, ["tweetscore[ray]"]),
        ({"url": "file:///a%20b/t.whl", "archive_info": {}}, ["/a b/t.whl[ray]"]),
        ({"url": "file:///none", "dir_info": {"editable": True}}, ["-e", "/none[ray]"]),
        (
            {"url": "https://host/x.git", "vcs_info": {"vcs": "git"}},
            ["tweetscore[ray] @ git+https://host/x.git"],
        ),
        ({"url": "https://host/t.whl"}, ["tweetscore[ray] @ https://host/t.whl"]),
    ],
)
def test_the_command_names_the_place(
    monkeypatch: pytest.MonkeyPatch, recorded: object, words: list[str]
) -> None:
    """An index, a wheel, a checkout, a repository, an address."""
    both = [StubDistribution(None), StubDistribution(recorded)]
    monkeypatch.setattr(metadata, "distributions", lambda **_: both)
    command = shlex.split(install("ray"))
    assert command[command.index("install") + 1 :] == words


def test_a_checkout_has_its_pins() -> None:
    """What is installed beside the program is what was tested with it."""
    root = Path(__file__).parents[2]
    command = shlex.split(install("report"))
    assert command[-4:] == ["-c", f"{root}/requirements/constraints.txt", "-e", f"{root}[report]"]


@pytest.mark.parametrize(
    ("file", "record", "command"),
    [
        (
            "uv-receipt.toml",
            '[tool]\nrequirements = [{ name = "tweetscore", extras = ["report"] }]\n',
            "uv tool install --force -p {python} tweetscore[ray,report]",
        ),
        (
            "pipx_metadata.json",
            '{"main_package": {"package_or_url": "/a/t.whl[report,lake]"}}',
            "pipx install --force --python {python} tweetscore[lake,ray,report]",
        ),
        (
            "pipx_metadata.json",
            '{"main_package": {"package_or_url": "/a/t.whl"}}',
            "pipx install --force --python {python} tweetscore[ray]",
        ),
    ],
)
def test_a_tool_is_installed_again_with_one_extra_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, record: str, command: str
) -> None:
    """What pip adds to an environment of uv's or pipx's is lost when they make it anew."""
    (tmp_path / file).write_text(record)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(metadata, "distributions", lambda **_: [StubDistribution(None)])
    python = os.path.realpath(sys.executable)
    assert shlex.split(install("ray")) == shlex.split(command.format(python=python))


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Let only these distributions of ONNX Runtime be installed, where both have wheels."""
    known = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(installation, "_version", lambda name: known.get(name, ""))
    monkeypatch.setattr(installation, "_has_gpu_wheels", lambda: True)
    installation.check_onnx_runtime.cache_clear()


@pytest.fixture(autouse=True)
def asked_afresh() -> Iterator[None]:
    """Forget what was found in an environment of a test."""
    yield
    installation.check_onnx_runtime.cache_clear()


def test_a_light_installation_stays_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra's libraries are named, because tweetscore would bring the runtime with CUDA."""
    installed(monkeypatch, onnxruntime="1.31.1")
    words = shlex.split(install("report"))
    names = [Requirement(word).name for word in words[words.index("-c") + 2 :]]
    assert sorted(names) == ["altair", "jinja2", "vl-convert-python"]


def test_cuda_takes_the_place_of_a_light_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never both: the other one goes first."""
    installed(monkeypatch, onnxruntime="1.31.1")
    first, second = install("cuda").split(" && ")
    assert shlex.split(first)[-1] == "onnxruntime"
    assert "uninstall" in first
    assert "onnxruntime-gpu[cuda,cudnn]==" in shlex.split(second)[-1]


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_two_onnx_runtimes_are_no_installation(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    """Whose files are there nobody knows: the command removes both and installs the right one."""
    installed(monkeypatch, onnxruntime="1.31.1", onnxruntime_gpu="1.31.1")
    monkeypatch.setattr(installation, "_uses_uv", lambda: tool == "uv")
    with pytest.raises(InvalidBundle, match="both installed") as raised:
        installation.check_onnx_runtime()
    line = raised.value.remedy.removeprefix("try: ")
    first, second = (shlex.split(command) for command in line.split(" && "))
    assert first[-2:] == ["onnxruntime", "onnxruntime-gpu"]
    assert ("-y" in first) == (tool == "pip")  # uv asks nothing, and knows no -y
    assert re.fullmatch(r"onnxruntime-gpu==[\d.]+", second[-1])


def test_no_onnx_runtime_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """After somebody removed one of two, say."""
    installed(monkeypatch)
    with pytest.raises(InvalidBundle, match=r"ONNX Runtime is not installed; try: .*-gpu=="):
        installation.check_onnx_runtime()


def test_a_run_starts_with_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 78, and not what a mixture of two libraries does."""
    installed(monkeypatch, onnxruntime="1", onnxruntime_gpu="1")
    with pytest.raises(InvalidBundle, match="both installed"):
        Scorer()


def test_nobody_is_sent_to_an_index() -> None:
    """There the name may be anybody's."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("scorer/**/*.py"), *root.glob("docs/*.md"), root / "README.md"]
    dead = ["pip install 'tweetscore", 'pip install "tweetscore', "pip install tweetscore"]
    named = [path.name for path in sources for words in dead if words in path.read_text("utf-8")]
    assert [name for name in named if name != "cli.md"] == []
