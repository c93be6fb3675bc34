"""Sessions: what they are opened with, what they answer, and that they are quiet."""

import ctypes
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import onnxruntime
import pytest
from msgspec import structs

from scorer.errors import DeviceUnavailable, InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.runtime import Choice, choices, cuda, host, open_session, openvino
from scorer.inference.runtime.machine import Gpu, inspect
from scorer.inference.session import RuntimeInfo, Session
from scorer.installation import install

MACHINE = inspect()
# The CPU providers of the box that runs the tests; on Intel CPUs OpenVINO is among them.
CPU_CHOICES = {
    choice.device: choice
    for choice in (*choices("cpu", "fp32", MACHINE), *choices("builtin", "fp32", MACHINE))
}
INFO = RuntimeInfo(host.PROVIDER, "builtin", "fp32", "avx2", 2, "a test")
LENGTHS = (1, 2, 3, 17, 48)


@pytest.fixture(scope="module", params=["tiny_bert_bundle", "tiny_gpt2_bundle"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle(request.getfixturevalue(request.param))


@pytest.fixture(params=CPU_CHOICES)
def session(bundle: Bundle, request: pytest.FixtureRequest) -> Session:
    return open_session(bundle, CPU_CHOICES[request.param], MACHINE, threads=2)


def bound(
    bundle: Bundle, precision: Literal["fp32", "fp16"] = "fp32", capacity: int = 200
) -> cuda.BoundSession:
    """Open the CUDA path's session on the CPU."""
    info = structs.replace(INFO, precision=precision)
    graph = bundle.graph(precision)
    buffers = cuda.Buffers("cpu", 0, capacity, len(bundle.labels))
    return cuda.BoundSession(graph, info, [host.PROVIDER], buffers)


def ids(rows: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(5, 60, size=(rows, length), dtype=np.int64)


def test_a_session_says_what_it_is(session: Session) -> None:
    """`info` says what really runs, for the report and the resume key."""
    assert session.info.provider in {host.PROVIDER, openvino.PROVIDER}
    assert (session.info.precision, session.info.threads) == ("fp32", 2)
    assert session.info.instruction_set == MACHINE.instruction_set
    assert session.callers == 2
    assert session.token_budget >= 512


@pytest.mark.parametrize("length", LENGTHS)
def test_a_row_alone_is_the_row_among_others(session: Session, length: int) -> None:
    """In batches of one length a row's logits are bitwise those of the row alone."""
    batch = ids(33, length)
    together = session.run(batch)
    assert together.dtype == np.float32
    assert together.shape == (33, 3)
    assert len(np.unique(together, axis=0)) > 1
    for rows in (1, 7):
        parts = [session.run(batch[i : i + rows]) for i in range(0, len(batch), rows)]
        assert np.concatenate(parts).tobytes() == together.tobytes()


def test_callers_share_a_session(session: Session) -> None:
    """Several threads at once get what one thread gets."""
    batches = [ids(5, length, seed) for seed in range(8) for length in LENGTHS]
    expected = [session.run(batch).tobytes() for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        assert [r.tobytes() for r in pool.map(session.run, batches)] == expected


def test_the_bound_session_answers_like_the_plain_one(bundle: Bundle) -> None:
    """Reused buffers, large batches before small ones and several threads change nothing."""
    plain = open_session(bundle, CPU_CHOICES["builtin"], MACHINE, threads=1)
    session = bound(bundle)
    batches = [ids(rows, length, rows) for rows in (4, 1, 3) for length in reversed(LENGTHS)]
    with ThreadPoolExecutor(session.callers) as pool:
        answers = list(pool.map(session.run, batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert answer.tobytes() == plain.run(batch).tobytes()


def test_the_fp16_graph_gives_fp32_logits_near_those_of_fp32(bundle: Bundle) -> None:
    """The graph for CUDA takes the same inputs and rounds a little."""
    batch = ids(9, 11)
    exact, rounded = (bound(bundle, precision).run(batch) for precision in ("fp32", "fp16"))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.1


def test_another_provider_than_the_wanted_one_is_an_error(bundle: Bundle) -> None:
    """The library may take the CPU without a word; the CUDA path does not."""
    info = structs.replace(INFO, provider=cuda.PROVIDER)
    with pytest.raises(RuntimeError, match="took CPUExecutionProvider instead of CUDA"):
        cuda.BoundSession(
            bundle.graph("fp32"), info, [host.PROVIDER], cuda.Buffers("cpu", 0, 10, 3)
        )


def open_cuda_with(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, providers: list[str], load: Any
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(ctypes, "CDLL", load)
    gpu = Gpu("H100", "sm_90", 80 * 2**30)
    monkeypatch.setattr(cuda, "nvidia_gpus", lambda: ((gpu,), ""))
    machine = dataclasses.replace(MACHINE, gpus=(gpu,), no_gpu_reason="")
    open_session(bundle, Choice("cuda", "fp16", "a test"), machine)


def test_cuda_without_its_libraries_names_the_missing_one(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """69, the library's name and the pip line; nothing on stdout, which carries data."""

    def missing(_name: str, *_: Any) -> None:
        raise OSError("libcublasLt.so.13: cannot open shared object file")

    directory = Path(onnxruntime.__file__).parent / "capi"
    libraries = [directory / "libonnxruntime_providers_cuda.so"]
    monkeypatch.setattr(cuda, "_provider_libraries", lambda: libraries)
    with pytest.raises(DeviceUnavailable, match=r"libcublasLt\.so\.13") as refusal:
        open_cuda_with(bundle, monkeypatch, [cuda.PROVIDER], missing)
    assert install("cuda") in refusal.value.remedy
    assert capfd.readouterr() == ("", "")


def test_an_onnxruntime_without_cuda_says_so(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU build of ONNX Runtime on a box with a GPU is named as the reason."""
    with pytest.raises(DeviceUnavailable, match="built without CUDA"):
        open_cuda_with(bundle, monkeypatch, [host.PROVIDER], lambda _: None)


def test_cuda_that_cannot_start_is_unavailable(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Libraries that load and a session that fails: 69 with the library's reason, quietly."""

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA failure 35:\n driver version is insufficient")

    monkeypatch.setattr(cuda, "load", failing)
    with pytest.raises(DeviceUnavailable, match="failure 35: driver version"):
        open_cuda_with(bundle, monkeypatch, [cuda.PROVIDER], lambda *_: None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("models", "devices", "reason"),
    [
        (["H100"], 1, "a test"),
        (["H100", "H100"], 2, "a test"),
        (["H100", "H200", "H100"], 2, "a test; 1 more of another model would not give the same"),
    ],
)
def test_a_session_says_how_many_gpus_it_has(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    models: list[str],
    devices: int,
    reason: str,
) -> None:
    """The report tells how many share the work, and of others why they do not."""
    gpus = tuple(Gpu(model, "sm_90", 80 * 2**30) for model in models)
    machine = dataclasses.replace(MACHINE, gpus=gpus, no_gpu_reason="")
    asked: list[RuntimeInfo] = []
    monkeypatch.setattr(cuda, "open_cuda", lambda _, info: asked.append(info))
    open_session(bundle, Choice("cuda", "fp16", "a test"), machine)
    (info,) = asked
    assert (info.devices, info.instruction_set) == (devices, "sm_90")
    assert info.reason.startswith(reason)


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", "0"), ("fp16", "1")])
def test_cuda_options(precision: str, tf32: str) -> None:
    """fp32 means fp32; memory is limited and grows only by what is asked for."""
    settings = cuda.provider_options(precision, 3, 1000)
    assert settings["device_id"] == "3"
    assert settings["use_tf32"] == tf32
    assert settings["gpu_mem_limit"] == "1000"
    assert settings["arena_extend_strategy"] == "kSameAsRequested"


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16")])
def test_openvino_is_told_its_precision_and_threads(precision: str, hint: str) -> None:
    """On AMX boxes silence would mean bf16; as many streams as callers."""
    settings = json.loads(openvino._load_config(precision, 3))["CPU"]
    assert settings["INFERENCE_PRECISION_HINT"] == hint
    assert settings["NUM_STREAMS"] == settings["INFERENCE_NUM_THREADS"] == "3"


def test_openvinos_cpu_is_found_among_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CPU is picked out of CPUs and GPUs of several providers; none is an error."""
    kinds = onnxruntime.OrtHardwareDeviceType

    def device(name: str, kind: Any) -> SimpleNamespace:
        return SimpleNamespace(ep_name=name, device=SimpleNamespace(type=kind))

    wanted = device(openvino.PROVIDER, kinds.CPU)
    listed = [device(host.PROVIDER, kinds.CPU), device(openvino.PROVIDER, kinds.GPU), wanted]
    registered: list[str] = []
    monkeypatch.setattr(
        onnxruntime, "register_execution_provider_library", lambda name, _: registered.append(name)
    )
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: listed)
    assert openvino._cpu_device.__wrapped__() is wanted
    assert len(registered) == 1
    listed.remove(wanted)
    with pytest.raises(LookupError, match="no CPU"):
        openvino._cpu_device.__wrapped__()


def test_openvino_that_cannot_be_loaded_is_unavailable(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """69 with the reason in one line, so that `auto` can go on with the built-in provider."""

    def broken() -> None:
        raise OSError("libtbb.so.12:\n cannot open shared object file")

    monkeypatch.setattr(openvino, "_cpu_device", broken)
    with pytest.raises(DeviceUnavailable, match=r"libtbb\.so\.12: cannot open"):
        open_session(bundle, Choice("openvino", "fp32", "a test"), MACHINE)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07"])
def test_a_graph_that_cannot_be_loaded_is_the_bundles_fault(
    bundle: Bundle, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """78 with the file's name, and no noise from the library."""
    (tmp_path / "model.onnx").write_bytes(content)
    broken = dataclasses.replace(bundle, directory=tmp_path)
    with pytest.raises(InvalidBundle, match=r"model\.onnx cannot be loaded"):
        open_session(broken, CPU_CHOICES["builtin"], MACHINE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("old", "new"), [("input_ids", "pixels"), ("logits", "regions")])
def test_a_graph_of_another_kind_is_refused(
    bundle: Bundle, tmp_path: Path, old: str, new: str
) -> None:
    """A graph that takes or gives something else is no text classifier."""
    import onnx

    graph = onnx.load(bundle.graph("fp32"))
    for value in (*graph.graph.input, *graph.graph.output):
        value.name = new if value.name == old else value.name
    for node in graph.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    onnx.save(graph, tmp_path / "model.onnx")
    other = dataclasses.replace(bundle, directory=tmp_path)
    with pytest.raises(InvalidBundle, match=f"{new}.*no text classifier"):
        open_session(other, CPU_CHOICES["builtin"], MACHINE)


def test_weights_are_widened_once_at_load_time(bundle: Bundle, tmp_path: Path) -> None:
    """Casts in front of fp16 weights are folded: no batch pays for them."""
    import onnx

    from scorer.inference.runtime.host import load, options

    settings = options()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    load(bundle.graph("fp32"), settings, [host.PROVIDER])
    before = onnx.load(bundle.graph("fp32"), load_external_data=False).graph
    after = onnx.load(tmp_path / "optimized.onnx").graph
    weights = {t.name for t in before.initializer if t.external_data}
    assert any(node.op_type == "Cast" and node.input[0] in weights for node in before.node)
    assert not any(node.op_type == "Cast" and node.input[0] in weights for node in after.node)
