"""Options from the environment, and variables that have no effect."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.cli.common_options import CONTEXT
from scorer.threads import available_cpus
from tests.cli.test_numbers import all_commands

Invoke = Callable[..., Result]

MISSPELT = {
    "TWEETSCORE_TEXTCOLUMN": "TWEETSCORE_TEXT_COLUMN",
    "TWEETSCORE_TEXT_COLUNM": "TWEETSCORE_TEXT_COLUMN",
    "TWEETSCORE_CHUNKROWS": "TWEETSCORE_CHUNK_ROWS",
    "TWEETSCORE_DEVISE": "TWEETSCORE_DEVICE",
    "TWEETSCORE_LABLE_COLUMN": "TWEETSCORE_LABEL_COLUMN",
    "TWEETSCORE_MAX_REJECT": "TWEETSCORE_MAX_REJECTS",
    "TWEETSCORE_DISTIL_FOLDS": "TWEETSCORE_DISTILL_FOLDS",
    "TWEETSCORE_text_column": "TWEETSCORE_TEXT_COLUMN",
    "tweetscore_limit": "TWEETSCORE_LIMIT",
    "TWEET_SCORE_LIMIT": "TWEETSCORE_LIMIT",
    "TWEETSCORETHREADS": "TWEETSCORE_THREADS",
}


@pytest.mark.parametrize(("name", "nearest"), MISSPELT.items())
def test_a_misspelt_variable_is_a_warning_with_the_nearest_name(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, name: str, nearest: str
) -> None:
    """It is one line, also with -q, and the run goes on."""
    call = ("run", tweets, "--model", tiny_bert_bundle, "--device", "builtin", "-q")
    result = invoke(*call, env={name: "3"})
    meant = f"{name} in the environment has no effect; did you mean {nearest}?"
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"tweetscore: warning: {meant}\n"


def test_a_variable_like_no_option_is_a_warning_too(invoke: Invoke) -> None:
    """Each gets one warning; a variable that only begins alike gets none."""
    env = {"TWEETSCORE_FROBNICATE": "", "TWEETSCORES_DB": "x", "TWEETSCORE": "x"}
    result = invoke("doctor", "--device", "cpu", "--threads", "0", env=env)
    assert result.exit_code == 2  # a call that does nothing has no warning
    result = invoke("config", env=env)
    line = "TWEETSCORE_FROBNICATE in the environment has no effect; no option has that name"
    assert result.stderr == f"tweetscore: warning: {line}\n"
    assert result.stdout.splitlines()[-1] == f"# {line}"


def test_every_variable_of_every_command_is_known(invoke: Invoke) -> None:
    """What one command reads may be set while another one runs."""
    names = {
        f"{CONTEXT['auto_envvar_prefix']}_{param.name}".upper()
        for _, command in all_commands()
        for param in command.params
    }
    env = dict.fromkeys(names - {"TWEETSCORE_CONFIG", "TWEETSCORE_DEBUG"}, "1")
    env |= {"_TWEETSCORE_COMPLETE": "", "TWEETSCORE_VERSION": "2"}
    lines = invoke("model", "info", "/missing", env=env).stderr.splitlines()
    # Arguments are typed: no variable stands for them.
    arguments = {"DATABASE", "TEXTS", "INPUTS", "OUTPUTS", "BUNDLE", "CHECKPOINT", "COMMAND"}
    arguments |= {"SHELL", "WORDS"}
    of_options = [line for line in lines if not any(f"_{name} " in line for name in arguments)]
    assert len(of_options) == 1
    assert "/missing" in of_options[0]


def test_a_warning_is_an_object_where_the_log_is_json(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """Whether the call or the file asks for it; and standard output stays empty."""
    config = tweets.with_name("t.toml")
    config.write_text("[run]\nlog-format = 'json'\n")
    call = ("run", tweets, "--model", tiny_bert_bundle, "--device", "builtin")
    for option in (("--log-format", "json"), ("--config", config)):
        result = invoke(*call, *option, env={"TWEETSCORE_TEXTCOLUMN": "x"})
        first = json.loads(result.stderr.splitlines()[0])
        assert first["level"] == "warning"
        assert (first["variable"], first["nearest"]) == (
            "TWEETSCORE_TEXTCOLUMN",
            "TWEETSCORE_TEXT_COLUMN",
        )
        assert result.stdout == ""


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({"TWEETSCORE_LIMIT": "abc"}, "TWEETSCORE_LIMIT: 'abc' is not a whole number"),
        ({"TWEETSCORE_DEVICE": "gpu"}, "TWEETSCORE_DEVICE: 'gpu' is not one of"),
        ({"TWEETSCORE_QUIET": "maybe"}, "TWEETSCORE_QUIET: 'maybe' is not a valid boolean"),
        ({"TWEETSCORE_THREADS": "999999"}, "TWEETSCORE_THREADS: '999999' is not a whole number"),
        ({"TWEETSCORE_LABEL_NAMES": "a,,b"}, "TWEETSCORE_LABEL_NAMES: 'a,,b' has an empty name"),
    ],
)
@pytest.mark.parametrize("command", [["run", "a.csv"], ["config"]], ids=["run", "config"])
def test_a_wrong_value_names_the_variable(
    invoke: Invoke, command: list[str], env: dict[str, str], where: str
) -> None:
    """Who never typed the option must know where it comes from."""
    result = invoke(*command, env=env)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"tweetscore: {where}")


def test_a_version_in_the_environment_does_not_end_a_run(invoke: Invoke) -> None:
    """TWEETSCORE_VERSION is an option of `model export`; `--version` is typed."""
    result = invoke("run", "missing.csv", env={"TWEETSCORE_VERSION": "1"})
    assert result.exit_code == 66


@pytest.mark.parametrize("value", ["100000", "0", "-1", "abc", "", "9" * 5000])
def test_a_pool_of_no_sane_size_is_a_warning(value: str, tiny_bert_bundle: Path) -> None:
    """It gets what the process may use, and a list of OpenMP is none of that kind."""
    script = (
        "from scorer.cli import tweetscore\n"
        f"words = ['text', 'fine', '--device', 'builtin', '--model', {str(tiny_bert_bundle)!r}]\n"
        "tweetscore(words, standalone_mode=False)\n"
        "import os, polars\n"
        "print(polars.thread_pool_size(), os.environ['OMP_NUM_THREADS'])"
    )
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    env = clean | {"POLARS_MAX_THREADS": value, "OMP_NUM_THREADS": "1,2"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{available_cpus()} 1,2"
    (line,) = done.stderr.splitlines()
    assert line.startswith("tweetscore: warning: POLARS_MAX_THREADS is left out of account: '")
    assert line.endswith(f"is not a whole number from 1 to {4 * available_cpus()}")
