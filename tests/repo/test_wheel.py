"""What a user installs is what this repository means to ship."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = ("export", "scorer", "tweetscore")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what it is made of, without the network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", target, source], check=True)
    return next(target.glob("*.whl"))


def shipped(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_wheel_holds_every_file_of_its_packages_and_no_other(wheel: Path) -> None:
    """No module, no part of the embedded bundle and no data file is left out or added."""
    files = (file for name in PACKAGES for file in (ROOT / name).rglob("*"))
    ours = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert shipped(wheel) == ours


def test_wheel_carries_licence_and_notice(wheel: Path) -> None:
    """Apache-2.0 asks that both travel with the work."""
    names = zipfile.ZipFile(wheel).namelist()
    carried = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    assert carried == {"LICENSE", "NOTICE"}


def test_an_unpacked_wheel_scores(wheel: Path, tmp_path: Path) -> None:
    """The wheel alone, with the embedded bundle, labels a sentence."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import scorer, scorer.cli;"
        f"assert scorer.__file__.startswith({str(tmp_path)!r});"
        "sys.argv = ['tweetscore', 'text', 'I love this']; scorer.cli.main()"
    )
    # -I keeps the working directory and PYTHONPATH out of the way.
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "positive" in done.stdout


@pytest.mark.ci
def test_a_bare_environment_scores_as_the_light_one_does(wheel: Path, tmp_path: Path) -> None:
    """From a wheel and an index alone, by uv and by `uv tool`; the runtime changes no bit."""
    uv = Path(sys.executable).with_name("uv")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    env = {**os.environ, "UV_TOOL_DIR": str(tmp_path), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    bare, light = tmp_path / "bare", tmp_path / "tweetscore"
    overrides = str(ROOT / "requirements" / "cpu-overrides.txt")
    for arguments in (
        ["venv", "--python", python, str(bare)],
        ["pip", "install", "--python", str(bare), str(wheel)],
        ["tool", "install", "--python", python, "--overrides", overrides, str(wheel)],
    ):
        subprocess.run([uv, "--quiet", *arguments], env=env, cwd=tmp_path, check=True)
    texts = ["I love this song so much", "worst day ever", "meeting at five"]
    shown = [
        subprocess.run(
            [place / "bin" / "python", "-m", "tweetscore", "text", "--device", "builtin", *texts],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for place in (bare, light)
    ]
    assert shown[0] == shown[1]
    assert "positive" in shown[0]
    for place in (bare, light):
        names = ("onnxruntime-*-info", "onnxruntime_gpu-*-info")
        assert len([found for name in names for found in place.rglob(name)]) == 1
    assert list(light.rglob("onnxruntime_gpu-*-info")) == []


def test_the_page_of_an_index_leads_somewhere(wheel: Path) -> None:
    """It has the README's text; its links name a host, and ours a file that this version has."""
    page = str(metadata_of(wheel).get_payload())
    links = re.findall(r"\]\(([^)\s]+)|(?:href|src|srcset)=[\"']([^\"']+)", page)
    targets = [one or other for one, other in links]
    assert page.startswith("# tweetscore\n")
    assert targets
    assert [link for link in targets if not link.startswith("https://")] == []
    version = re.escape(PYPROJECT["project"]["version"])
    ours = r"https://(?:github|raw\.githubusercontent)\.com/tweetscore/tweetscore/"
    places = [re.fullmatch(rf"{ours}(?:blob/)?v{version}/([^#]+)(#.*)?", each) for each in targets]
    paths = [place[1] for place in places if place]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_embedded_bundle_is_small() -> None:
    """The weights are there once: under 60 MB."""
    bundle = ROOT / "scorer" / "bundled"
    sizes = {file.name: file.stat().st_size for file in bundle.rglob("*") if file.is_file()}
    assert "model.safetensors" in sizes
    assert sum(sizes.values()) < 60_000_000


def test_changelog_begins_with_this_version() -> None:
    """The newest entry of the changelog is the version that pyproject and the package name."""
    import scorer

    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == PYPROJECT["project"]["version"] == scorer.__version__
