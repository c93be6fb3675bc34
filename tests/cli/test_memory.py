"""A process without enough memory ends with 71 and a remedy."""

import errno
import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pytest
from click.testing import Result

from scorer import os_errors
from scorer.errors import DataError, DeviceUnavailable, InvalidBundle, OutOfMemory
from scorer.formats.columnar import damage
from scorer.inference import loading
from scorer.inference.runtime import gpu_worker
from scorer.os_errors import as_out_of_memory, is_shortage, model_needs

Invoke = Callable[..., Result]


def raised(cause: BaseException | None, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


SHORTAGES = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((3,), np.dtype("f4")),  # type: ignore[attr-defined]
    pa.ArrowMemoryError("malloc of size 64 failed"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("can't start new thread"),
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    ImportError("libx.so: failed to map segment from shared object"),
    ImportError("libx.so: cannot allocate memory in static TLS block"),
    RuntimeError("ThreadPoolBuildError { kind: IOError(Os { code: 11 }) }"),
    raised(MemoryError(), InvalidBundle("the graph cannot be loaded", "export it again")),
    raised(RuntimeError("std::bad_alloc"), DeviceUnavailable("OpenVINO cannot be used")),
]
OTHERS = [
    ValueError("a bug"),
    OSError(errno.EIO, "Input/output error"),
    ImportError("No module named 'polars'"),
    raised(MemoryError(), DataError("not a readable Parquet file")),
    raised(RuntimeError("CUDA failure 2: out of memory"), DeviceUnavailable("CUDA fails")),
    InvalidBundle("no config.json"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=repr)
def test_every_way_of_saying_that_memory_is_used_up_is_one_error(error: BaseException) -> None:
    """It is 71, a line with a remedy, and the library's error stays behind it."""
    shortage = as_out_of_memory(error)
    assert isinstance(shortage, OutOfMemory)
    assert str(shortage).startswith("not enough memory (")
    assert str(shortage).endswith("run again")
    assert shortage.__cause__ is error
    assert as_out_of_memory(shortage) is shortage


def test_a_worker_process_tells_it_as_it_is() -> None:
    """A process that serves one of several devices has memory of its own to run out of."""
    shortage_here = gpu_worker.error_of(gpu_worker.error_words(MemoryError("64 bytes")), "GPU 1")
    assert isinstance(shortage_here, OutOfMemory)
    assert str(shortage_here).startswith("GPU 1: not enough memory (64 bytes); ")


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_no_other_error_is_reported_as_memory(error: BaseException) -> None:
    """A damaged file, a bug and a device's own memory keep their codes."""
    assert not is_shortage(error)
    assert as_out_of_memory(error) is error


def test_a_file_that_asks_for_more_than_the_machine_has_is_damaged(tmp_path: Path) -> None:
    """A sound file that does not fit says so; one of 2^60 bytes is none."""
    path = tmp_path / "a.parquet"
    with pytest.raises(DataError), damage(path, "Parquet"):
        raise pa.ArrowMemoryError(f"malloc of size {2**60} failed")
    with pytest.raises(pa.ArrowMemoryError), damage(path, "Parquet"):
        raise pa.ArrowMemoryError("realloc of size 313984 failed")


@pytest.mark.parametrize("error", [MemoryError("a stub's"), OSError(errno.ENOMEM, "no memory")])
def test_a_run_that_finds_no_memory_names_the_option_that_helps(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, error: Exception, monkeypatch: Any
) -> None:
    """It exits with 71, leaves what was there, and goes on when it is run again."""

    def fail(*_: object) -> NoReturn:
        raise error

    output = tweets.with_name("tweets.scored.csv")
    call = ("run", tweets, "--model", tiny_bert_bundle, "--device", "builtin", "-q")
    with monkeypatch.context() as patch:
        patch.setattr("scorer.store.checkpoints.Checkpoints.save", fail)
        result = invoke(*call)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 71
    assert line.endswith("; lower --chunk-rows, or free some memory, and run again")
    assert not output.exists()
    report = json.loads((output.parent / f".tweetscore/{output.name}.run.failed.json").read_text())
    assert report["exit_code"] == 71
    assert invoke(*call).exit_code == 0


def test_a_model_that_finds_no_memory_names_the_option_that_helps(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second graph is what fp32 does without."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(loading, "open_session", fail)
    call = ("--model", tiny_bert_bundle, "--device", "builtin")
    result = invoke("run", tweets, *call, "-q")
    assert result.exit_code == 71
    (line,) = result.stderr.splitlines()
    assert "use --precision fp32" in line
    assert invoke("text", "hi", *call).exit_code == 71
    assert invoke("doctor", *call).exit_code == 71


@pytest.mark.parametrize("mebibytes", [300, 600, 1000, 1500])
def test_a_small_address_space_is_one_line_before_any_work(
    program: Path, tweets: Path, mebibytes: int
) -> None:
    """Rust's libraries would abort: a shortage is reported before they load."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20,) * 2)

    done = subprocess.run(
        [program, "run", tweets, "--threads", "2", "--precision", "int8", "--device", "builtin"],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    if "no VNNI instructions" in done.stderr:  # then int8 is not there, whatever memory is
        return
    (line,) = done.stderr.splitlines()
    assert done.returncode == 71
    assert f"this process may use {mebibytes:,} MiB of address space (ulimit -v)" in line
    assert ("use --precision fp32 with --threads 1" in line) == (mebibytes == 1500)
    assert not tweets.with_name("tweets.scored.csv").exists()


def test_what_a_model_needs_grows_with_all_that_it_holds() -> None:
    """A second graph, more weights and more threads take more; a tiny model takes little."""
    needs = model_needs(45_440_750, "int8", 2)
    assert 1_600 < needs >> 20 < 1_750
    assert 1_300 < model_needs(45_440_750, "fp32", 1) >> 20 < 1_400
    assert model_needs(55_454, "fp32", 1) >> 20 < 1_050
    assert model_needs(0, "fp32", 1) > os_errors.LIBRARIES


def test_config_is_shown_in_any_address_space(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What loads no library is not refused."""
    monkeypatch.setattr(os_errors, "_address_space", lambda: 200 << 20)
    assert invoke("config").exit_code == 0
    assert invoke("run", "a.csv").exit_code == 71
