"""A box without /proc and /sys: a chroot, a strict sandbox."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc to be missed")
def test_weights_are_handed_over_where_no_open_file_can_be_looked_up(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is the same, byte for byte, with and without /proc/self/fd."""
    from scorer.inference.runtime import host

    output = tweets.with_name("tweets.scored.csv")
    call = ("run", tweets, "--model", tiny_bert_bundle, "--device", "builtin", "--no-incremental")
    assert invoke(*call).exit_code == 0
    before = output.read_bytes()
    monkeypatch.setattr(host, "OPEN_FILES", tweets.with_name("missing"))
    result = invoke(*call)
    assert result.exit_code == 0, result.stderr
    assert output.read_bytes() == before


@pytest.mark.ci
def test_a_box_without_proc_and_sys_scores(
    program: Path, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """The run and doctor end well in a mount namespace where both are empty."""
    model = f"--model {tiny_bert_bundle} --device builtin"
    script = (
        "mount -t tmpfs none /proc && mount -t tmpfs none /sys && "
        f"{program} run {tweets} {model} && {program} doctor {model}"
    )
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "canary:" in done.stdout
    assert tweets.with_name("tweets.scored.csv").exists()
