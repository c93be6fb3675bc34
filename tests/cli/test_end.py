"""The end of the process: quick, after atexit's functions, with all output written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Buffered, as where nobody says otherwise.
_BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
_PROGRAM = """
import atexit, sys
from scorer.cli.process import end

class Model:
    def __del__(self):
        sys.stdout.write("taken apart")

model = Model()
atexit.register(sys.stdout.write, "cleaned up")
sys.stdout.write("said, ")
end({code})
"""


@pytest.mark.parametrize(
    ("code", "said"), [(0, "said, cleaned up"), (65, "said, cleaned up"), (143, "said, ")]
)
def test_an_ending_process_cleans_up_and_takes_no_model_apart(code: int, said: str) -> None:
    """After an interrupt it does not even clean up."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(code=code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, said, "")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux")
@pytest.mark.parametrize(("code", "expected"), [(0, 74), (65, 65)])
def test_output_that_cannot_be_written_is_no_success(code: int, expected: int) -> None:
    """What is still to be flushed does not get lost with exit code 0."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(code=code)],
            stdout=full,
            env=_BUFFERED,
            check=False,
        )
    assert ended.returncode == expected


_RUN = """
import sys
from scorer.cli import main
from scorer.inference.loading import ModelHandle
from tests.stubs import StubThatNotes

class Stub(StubThatNotes):
    def __del__(self):
        sys.stdout.write("taken apart")

ModelHandle.of = Stub("notes").opened
sys.argv = ["tweetscore", "run", "tweets.csv", "--quiet"]
main()
"""


def test_a_runs_model_is_not_taken_apart_before_the_end(tmp_path: Path) -> None:
    """Nothing lets go of it when the last file is done."""
    tmp_path.joinpath("tweets.csv").write_text("text\nso good\n")
    where = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=tmp_path,
        env=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "load" in tmp_path.joinpath("notes").read_text()
