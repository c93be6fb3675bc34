from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}


@pytest.fixture
def output(invoke: Invoke, tweets: Path, tiny_bert_bundle: Path) -> Path:
    result = invoke("run", tweets, "--model", tiny_bert_bundle, env=CPU)
    assert result.exit_code == 0, result.stderr
    return tweets.with_name("tweets.scored.csv")


def test_a_good_output_is_exit_0_and_what_was_not_checked(invoke: Invoke, output: Path) -> None:
    """All is well: a line on stderr with the number of rows, one of what is left, and exit 0."""
    result = invoke("verify", output)
    assert (result.exit_code, result.stdout) == (0, "")
    well, left = result.stderr.splitlines()
    assert well == f"tweetscore: {output}: 3 rows are as they should be"
    assert left.startswith(f"tweetscore: {output}: not checked: each row's answer and the canary")


def test_rescore_uses_the_model_that_the_run_used(invoke: Invoke, output: Path) -> None:
    """Without --model the bundle is found through the report."""
    result = invoke("verify", output, "--rescore", "2")
    assert result.exit_code == 0, result.stderr
    assert "3 rows are as they should be, 2 of them scored again\n" in result.stderr


def test_quiet_is_silent_when_all_is_well(invoke: Invoke, output: Path) -> None:
    """With -q only differences are printed."""
    result = invoke("verify", "-q", output)
    assert (result.exit_code, result.output) == (0, "")
    output.write_bytes(output.read_bytes().replace(b"007", b"7"))
    result = invoke("verify", "-q", output)
    assert result.exit_code == 65
    assert "row 1: column 'id' is not what the input holds" in result.stderr


def test_each_difference_is_a_line_with_the_outputs_name(invoke: Invoke, output: Path) -> None:
    """Lines on stderr, nothing on stdout, exit 65."""
    output.write_bytes(output.read_bytes().replace(b"007", b"7"))
    result = invoke("verify", output)
    assert (result.exit_code, result.stdout) == (65, "")
    assert all(line.startswith(f"tweetscore: {output}: ") for line in result.stderr.splitlines())
    assert len(result.stderr.splitlines()) == 3  # size, hash and the cell


def test_another_model_is_a_configuration_error(
    invoke: Invoke, output: Path, tiny_gpt2_bundle: Path
) -> None:
    """The wrong bundle is 78, with the option that names the right one."""
    result = invoke("verify", output, "--rescore", "1", "--model", tiny_gpt2_bundle)
    assert result.exit_code == 78
    assert "name that one with --model" in result.stderr


def test_the_sample_can_be_scored_on_another_device(invoke: Invoke, output: Path) -> None:
    """A report from a box with a GPU can be held against this box."""
    report = output.parent / f".tweetscore/{output.name}.run.json"
    report.write_text(report.read_text().replace('"device": "builtin"', '"device": "cuda"'))
    sample = ("verify", output, "--rescore", "2")
    assert invoke(*sample).exit_code == 69
    assert invoke(*sample, "--device", "builtin").exit_code == 0


def test_an_input_instead_of_an_output_is_66(invoke: Invoke, tweets: Path) -> None:
    """What has no report was not written by a run."""
    result = invoke("verify", tweets)
    assert result.exit_code == 66
    assert "tweets.csv.run.json does not exist" in result.stderr


def test_a_missing_input_is_66(invoke: Invoke, output: Path, tweets: Path) -> None:
    """The exit code of a missing input is that of a run without it."""
    tweets.unlink()
    assert invoke("verify", output).exit_code == 66
