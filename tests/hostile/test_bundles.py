"""A hostile bundle is refused in one clear line, before a library loads any of it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import InvalidBundle
from scorer.inference.bundle import open_bundle
from tests.hostile.bundle_cases import CASES
from tests.hostile.bundle_factory import build

WORKER = Path(__file__).parent / "bundle_workers.py"
# What would load a bundle, or knows how to.
LOADERS = {"onnxruntime", "onnxruntime_ep_openvino", "tokenizers", "torch", "transformers"}


@pytest.fixture(scope="module")
def bundles(tiny_bert_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build every hostile bundle once, for the tests that need all of them."""
    root = tmp_path_factory.mktemp("hostile")
    return {
        name: build(case, tiny_bert_bundle, root / str(number))
        for number, (name, case) in enumerate(CASES.items())
    }


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, tiny_bert_bundle: Path) -> Path:
    """Return tweets that an honest bundle has scored before."""
    tweets = tmp_path_factory.mktemp("scored") / "tweets.csv"
    tweets.write_text("id,text\n1,I love this song\n2,stuck again\n")
    assert program("run", tweets, "--model", tiny_bert_bundle).returncode == 0
    return tweets


def program(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the installed console script."""
    script = Path(sys.executable).parent / "tweetscore"
    command = [str(word) for word in (script, *words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "TWEETSCORE" not in name}


def worker(mode: str, first: Path, bundles: dict[str, Path]) -> Any:
    """Let a fresh interpreter meet all bundles; the time-out is a watchdog against hangs."""
    command = [sys.executable, *map(str, (WORKER, mode, first, *bundles.values()))]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused(bundles: dict[str, Path], name: str) -> None:
    """The message names a file of the bundle and what is wrong with it, however long that is."""
    directory = bundles[name]
    with pytest.raises(InvalidBundle, match=CASES[name].problem) as refusal:
        open_bundle(directory)
    line = str(refusal.value)
    assert line.startswith(f"{directory}/")
    assert line.isprintable()
    assert len(line) < 500
    assert refusal.value.remedy


def test_refusing_loads_nothing(tiny_bert_bundle: Path, bundles: dict[str, Path]) -> None:
    """No loader is even imported, no file outside is opened, and a gigabyte of memory is enough."""
    answer = worker("open", tiny_bert_bundle, bundles)
    assert answer["refusals"] == {str(directory): 78 for directory in bundles.values()}
    assert LOADERS & set(answer["modules"]) == set()
    directories = set(bundles.values())
    assert [path for path in answer["opened"] if Path(path).parent not in directories] == []


def test_a_run_is_refused(scored: Path, bundles: dict[str, Path]) -> None:
    """Exit 78 with one line on stderr, and last night's output stays as it is."""
    before = hashlib.sha256(scored.with_suffix(".scored.csv").read_bytes()).hexdigest()
    answer = worker("run", scored, bundles)
    for name, directory in bundles.items():
        code, stdout, stderr, digest = answer["runs"][str(directory)]
        assert (name, code, stdout, digest) == (name, 78, "", before)
        assert stderr.startswith(f"tweetscore: {directory}/"), name
        assert stderr.count("\n") == 1, name
    assert "onnxruntime" not in answer["modules"]


@pytest.mark.parametrize(
    "name", ["data in a parent directory", "pipe in place of a file", "listed pickle"]
)
@pytest.mark.parametrize("command", [("text", "hi"), ("doctor",), ("run",)])
def test_the_real_program_refuses(
    scored: Path, bundles: dict[str, Path], name: str, command: tuple[str, ...]
) -> None:
    """Whichever command opens the bundle, the process ends with 78 and one line."""
    words = [*command, scored] if command == ("run",) else command
    done = program(*words, "--model", bundles[name])
    assert done.returncode == 78
    assert done.stderr.startswith(f"tweetscore: {bundles[name]}/")
    assert done.stderr.count("\n") == 1
