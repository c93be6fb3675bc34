"""What a user of Windows or macOS is told, by a fresh interpreter that takes its system for one."""

import subprocess
import sys

import pytest

START = """
import sys, click, click.shell_completion
sys.modules["fcntl"] = sys.modules["resource"] = None  # as on Windows
sys.platform = {platform!r}
from scorer.cli import main
sys.argv = ["tweetscore", *{words!r}]
main()
"""


def run(platform: str, *words: str) -> "subprocess.CompletedProcess[str]":
    code = START.format(platform=platform, words=words)
    if platform != "win32":
        code = code.replace('sys.modules["fcntl"]', "#")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "tweets.csv"], ["model", "export", "x"]])
def test_windows_is_told_of_wsl(words: list[str]) -> None:
    """One line and 78, whatever was asked for; no traceback of what Windows does not have."""
    done = run("win32", *words)
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tweetscore: tweetscore does not run on Windows itself; install")
    assert "wsl --install -d Ubuntu" in done.stderr


def test_macos_is_warned() -> None:
    """In one line; the command does its work."""
    done = run("darwin", "completion", "zsh")
    assert done.returncode == 0
    assert done.stderr.startswith("tweetscore: warning: tweetscore is not tested on macOS: ")
    assert done.stderr.count("\n") == 1
    assert "_TWEETSCORE_COMPLETE=zsh_complete" in done.stdout


def test_linux_is_not_warned() -> None:
    assert run("linux", "completion", "zsh").stderr == ""
