"""The help of a command: what is needed every day first, everything by group on request."""

import re
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from scorer.cli import tweetscore
from scorer.cli.grouped_help import GROUPS

Invoke = Callable[..., Result]

COMMANDS = ("run", "table")


def shown(text: str) -> list[str]:
    """Return the long names of the options that a help describes, in its order."""
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE)


def names(command: str) -> set[str]:
    found = tweetscore.get_command(click.Context(tweetscore), command)
    assert found is not None
    options = [param for param in found.params if isinstance(param, click.Option)]
    return {max(option.opts, key=len) for option in options}


@pytest.mark.parametrize("columns", [80, 100])
def test_the_help_of_run_fits_a_screen(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Ten options, and where the others are."""
    monkeypatch.setenv("COLUMNS", str(columns))
    done = invoke("run", "--help")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) < 45
    options = shown(done.stdout)
    assert len(options) == 12
    assert options[0] == "--output"
    assert options[-2:] == ["--help-all", "--help"]


@pytest.mark.parametrize("command", COMMANDS)
def test_all_options_are_shown_once_by_group(invoke: Invoke, command: str) -> None:
    done = invoke(command, "--help-all")
    assert done.exit_code == 0
    options = shown(done.stdout)
    assert sorted(options) == sorted({*names(command), "--help-all", "--help"})
    titles = re.findall(r"^(\w.*):$", done.stdout, re.MULTILINE)
    assert titles == [title for title in GROUPS if title in titles]
    assert len(titles) >= 5


@pytest.mark.parametrize("command", ["run", "table", "text", "verify", "report", "config"])
def test_every_option_is_described_by_a_sentence(invoke: Invoke, command: str) -> None:
    """A verb first, a full stop at the end: no fragment whose subject is to be guessed."""
    context = click.Context(tweetscore)
    found = tweetscore.get_command(context, command)
    assert found is not None
    for option in found.params:
        if isinstance(option, click.Option):
            words = (option.help or "").partition("  [default")[0]
            assert re.fullmatch(r"(?!Of )[A-Z].*[.]", words, re.DOTALL), (option.name, words)


def test_no_file_and_no_variable_asks_for_all_options(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEETSCORE_HELP_ALL", "1")
    assert invoke("run", "--help").stdout.count("\n") < 45
    assert "help" not in invoke("config", "run").stdout.partition("TWEETSCORE_HELP_ALL")[0]


@pytest.mark.parametrize("words", [["run"], ["model", "export"], ["model"], []])
def test_help_is_a_command_too(invoke: Invoke, words: list[str]) -> None:
    done = invoke("help", *words)
    assert done.exit_code == 0
    assert done.stdout == invoke(*words, "--help").stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["zzz"], "tweetscore has no command 'zzz'; there are run, table, text, "),
        (["rn"], "tweetscore has no command 'rn'; try: tweetscore run --help"),
        (
            ["model", "trian"],
            "tweetscore model has no command 'trian'; try: tweetscore model train",
        ),
        (["run", "x"], "tweetscore run has no command 'x'; try: tweetscore run --help"),
        (["model", "x"], "tweetscore model has no command 'x'; there are check, "),
    ],
)
def test_help_of_no_command_is_a_usage_error(invoke: Invoke, words: list[str], line: str) -> None:
    done = invoke("help", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"tweetscore: {line}")
