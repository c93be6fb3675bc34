import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scorer import threads
from scorer.cli import tweetscore
from tests.forks import embedded_model

Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    """Run the program in this process, away from the environment's TWEETSCORE_*."""
    clean = {name: None for name in os.environ if name.startswith("TWEETSCORE_")}
    clean |= dict.fromkeys(threads.POOLS)  # what a command sets there is gone after it

    def run(
        *args: str | Path, env: dict[str, str] | None = None, stdin: bytes | None = None
    ) -> Result:
        words = [str(arg) for arg in args]
        return CliRunner(env={**clean, **(env or {})}).invoke(
            tweetscore, words, input=stdin, prog_name="tweetscore"
        )

    return run


@pytest.fixture(scope="module", autouse=True)  # undone before tests of other folders
def embedded_model_is_proven_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place, name, function in embedded_model.PLACES:
            patch.setattr(place, name, function)
        yield


@pytest.fixture(scope="session")
def program() -> Path:
    """Return the installed console script."""
    return Path(sys.executable).parent / "tweetscore"


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text("id,text\n007,I love this song\n008,\n009,stuck again\n", "utf-8")
    return path


@pytest.fixture(scope="session")
def baseline_bundle(tiny_bert_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny bundle with a baseline that no file of ours looks like."""
    copy = Path(shutil.copytree(tiny_bert_bundle, tmp_path_factory.mktemp("baseline") / "bundle"))
    path = copy / "tweetscore.json"
    metadata = json.loads(path.read_text("utf-8"))
    metadata["baseline"] = {
        "rows": 3000,
        "label_shares": dict.fromkeys(metadata["labels"], 1 / 3),
        "score_histogram": {"edges": [0, 0.5, 1], "counts": [1500, 1500]},
        "length_histogram": {"40": 1500, "41": 1500},
        "unknown_token_share": 0.0,
    }
    path.write_text(json.dumps(metadata), "utf-8")
    return copy


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """Return a file of enough rows that are unlike that baseline."""
    path = tmp_path / "unlike.csv"
    path.write_text("text\n" + "I love this song\n" * 600)
    return path


@pytest.fixture
def shell(program: Path, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a line of sh in which $T is the program, in a bare environment."""

    def run(line: str) -> subprocess.CompletedProcess[str]:
        command = ["env", "-i", f"T={program}", "PATH=/usr/bin:/bin", "sh", "-c", line]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run
