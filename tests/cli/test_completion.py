"""Completion by Tab, as the shells ask for it: through a variable, in a process of its own."""

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.helpers import HEAVY, loaded_by

Complete = Callable[..., list[str]]
Invoke = Callable[..., Result]


@pytest.fixture
def complete(program: Path) -> Complete:
    """Ask for the completions of a line's last word, as bash does: kind and value of each."""

    def ask(line: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        env = {**os.environ, **words, "_TWEETSCORE_COMPLETE": "bash_complete"}
        done = subprocess.run([program], env=env, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return ask


LINES = {
    "tweetscore ": "plain,run plain,table plain,text plain,verify plain,report plain,doctor "
    "plain,config "
    "plain,model plain,help plain,completion",
    "tweetscore ver": "plain,verify",
    "tweetscore run ": "file,",
    "tweetscore run sam": "file,sam",
    "tweetscore run a.csv -o ": "file,",
    "tweetscore run --device ": "plain,auto plain,cuda plain,cpu plain,openvino plain,builtin",
    "tweetscore run a.csv --device b": "plain,builtin",
    "tweetscore run --log-f": "plain,--log-format",
    "tweetscore run --no-i": "plain,--no-incremental",
    "tweetscore run --config ": "file,",
    "tweetscore run --limit 0 --resume a": "plain,auto",
    "tweetscore verify ": "file,",
    "tweetscore config ": "plain,run plain,table plain,text plain,verify plain,report plain,doctor",
    "tweetscore config d": "plain,doctor",
    "tweetscore model ex": "plain,export",
}


@pytest.mark.parametrize(("line", "completions"), LINES.items(), ids=LINES)
def test_words_are_completed(complete: Complete, line: str, completions: str) -> None:
    """Commands, options and choices by their names; files are left to the shell."""
    assert complete(line) == completions.split()


def test_a_broken_configuration_does_not_stand_in_the_way(
    complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever types a line gets completions, and the error when the line is run."""
    monkeypatch.chdir(tmp_path)
    Path("tweetscore.toml").write_text("no TOML")
    assert complete("tweetscore run --resume r") == ["plain,require"]


@pytest.mark.parametrize("line", ["tweetscore ", "tweetscore run --", "tweetscore model "])
def test_completion_loads_nothing_heavy(line: str) -> None:
    """Nobody waits for numpy, or for PyTorch, after Tab."""
    modules = loaded_by(
        "import os; from scorer.cli import tweetscore\n"
        f"os.environ |= {{'COMP_WORDS': {line!r}, 'COMP_CWORD': '{line.count(' ')}',"
        " '_TWEETSCORE_COMPLETE': 'bash_complete'}\n"
        "try: tweetscore(prog_name='tweetscore')\n"
        "except SystemExit as ending: assert ending.code == 0"
    )
    assert modules & (HEAVY - {"export"}) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(invoke: Invoke, shell: str) -> None:
    """The script calls the program with the variable that makes it complete."""
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"_TWEETSCORE_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.ci
def test_bash_completes_on_a_terminal(program: Path, tmp_path: Path) -> None:
    """In a real bash Tab completes commands, choices and the names of files."""
    (tmp_path / "tweets-of-monday.csv").touch()
    setup = (
        'PS1= ; bind "set enable-bracketed-paste off"; '
        'eval "$(tweetscore completion bash)"; '
        'tweetscore() { printf "<%s>" "$@"; echo done; }\n'
    )
    typed = "tweetscore ru\ttwee\t--device open\t--log-f\tjs\t\n"
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb"}
    terminal, tty = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=tty, stdout=tty, stderr=tty, cwd=tmp_path, env=env, start_new_session=True,
    )  # fmt: skip
    os.close(tty)
    try:
        os.write(terminal, (setup + typed).encode())
        shown = ""
        while ">done" not in shown:
            shown += os.read(terminal, 1 << 16).decode()
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)
    words = shown[: shown.index(">done")].rpartition("<run>")[2]
    assert words == "<tweets-of-monday.csv><--device><openvino><--log-format><json"
