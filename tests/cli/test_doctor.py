import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.inference.runtime import machine
from scorer.inference.runtime.machine import Gpu

Invoke = Callable[..., Result]


def test_doctor_shows_what_would_run_and_why(invoke: Invoke, tiny_bert_bundle: Path) -> None:
    """The box, the model, the choice, its reason and the canary's figures are on stdout."""
    result = invoke("doctor", "--model", tiny_bert_bundle)
    assert result.exit_code == 0, result.stderr
    topics = [line.partition(":")[0] for line in result.stdout.splitlines()]
    expected = ["tweetscore", "libraries", "cpu", "gpu", "openvino", "model", "labels"]
    assert topics[:7] == expected
    assert topics[-3:] == ["would use", "because", "canary"]


def test_doctor_without_the_device_exits_69(
    invoke: Invoke, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the box offers is shown, then why the device is not there."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = invoke("doctor", "--device", "cuda", "--model", tiny_bert_bundle)
    assert result.exit_code == 69
    assert "gpu:        none" in result.stdout
    assert "no CUDA device" in result.stderr


def test_doctor_lists_gpus_that_are_left_out(
    invoke: Invoke, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several GPUs it says which ones a run does not use, and why."""
    gpus = tuple(Gpu(model, "sm_90", 80 * 2**30) for model in ("H100", "H200", "H100"))
    found = dataclasses.replace(machine.inspect(), gpus=gpus)
    monkeypatch.setattr(machine, "inspect", lambda: found)
    result = invoke("doctor", "--device", "cpu", "--model", tiny_bert_bundle)
    assert result.exit_code == 0, result.stderr
    shown = [line.split(":")[1].strip() for line in result.stdout.splitlines() if "GiB" in line]
    assert shown == [
        "H100, sm_90, 80 GiB",
        "H200, sm_90, 80 GiB, not used",
        "H100, sm_90, 80 GiB",
    ]


def test_doctor_finds_a_changed_model(
    invoke: Invoke, tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """A model whose file is not the one that was exported is refused with 78."""
    copy = shutil.copytree(tiny_bert_bundle, tmp_path / "bundle")
    (copy / "config.json").write_text("{}")
    result = invoke("doctor", "--model", copy)
    assert result.exit_code == 78
    assert "config.json" in result.stderr
