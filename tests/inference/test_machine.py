"""What the box offers is found without ONNX Runtime."""

import ctypes
import importlib.util
import platform
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scorer.inference.runtime import machine
from scorer.inference.runtime.machine import (
    Gpu,
    instruction_set,
    no_openvino_reason,
    nvidia_gpus,
    same_model,
)

AVX2 = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 avx2\n"


def stub_driver(devices: int, status: int = 0) -> SimpleNamespace:
    """Return a stub of libcuda with so many devices."""

    def set_value(reference: Any, value: int) -> int:
        reference._obj.value = value
        return 0

    def get_name(name: Any, _size: int, device: Any) -> int:
        name.value = f"GPU {device.value}".encode()
        return 0

    return SimpleNamespace(
        cuInit=lambda _flags: status,
        cuDeviceGetCount=lambda count: set_value(count, devices),
        cuDeviceGet=set_value,
        cuDeviceGetName=get_name,
        cuDeviceTotalMem_v2=lambda memory, _device: set_value(memory, 80 * 2**30),
        cuDeviceGetAttribute=lambda value, number, _device: set_value(
            value, {75: 9, 76: 0}[number]
        ),
    )


def test_devices_are_listed_with_their_architecture() -> None:
    """Two devices of the driver are two of ours."""
    gpus, reason = nvidia_gpus(lambda _: stub_driver(2))
    assert gpus == (Gpu("GPU 0", "sm_90", 80 * 2**30), Gpu("GPU 1", "sm_90", 80 * 2**30))
    assert reason == ""


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (stub_driver(0), "CUDA_VISIBLE_DEVICES"),
        (stub_driver(1, status=100), "CUDA error 100"),
    ],
)
def test_a_driver_without_a_device_says_so(driver: SimpleNamespace, reason: str) -> None:
    """No device is a reason, not an error."""
    gpus, found = nvidia_gpus(lambda _: driver)
    assert gpus == ()
    assert reason in found


def test_only_gpus_of_the_first_ones_model_are_alike() -> None:
    """Neither the memory that it shows nor the architecture makes another model the same."""
    first = Gpu("H100", "sm_90", 80 * 2**30)
    others = [Gpu("H200", "sm_90", 141 * 2**30), Gpu("H100", "sm_90", 79 * 2**30)]
    assert same_model([first, *others, first]) == (0, 2, 3)
    assert same_model([]) == ()


def test_no_driver_says_so() -> None:
    """Without the driver library the reason names the library."""

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    assert nvidia_gpus(missing) == ((), "no NVIDIA driver (libcuda.so.1 was not found)")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2 avx512f avx512_vnni avx512_bf16 amx_bf16", "amx"),
        ("avx2 avx512f avx512_vnni avx512_bf16", "avx512-bf16"),
        ("avx2 avx512f", "avx512"),
        ("avx2", "avx2"),
        ("fp asimd", "neon"),
    ],
)
def test_the_best_instruction_set_is_named(tmp_path: Path, flags: str, expected: str) -> None:
    """Of all flags the one that decides the kernels is kept."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nflags\t\t: other\n")
    assert instruction_set(cpuinfo) == expected


def test_openvino_needs_an_intel_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin lists Intel CPUs only, and has to be installed."""
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    cpuinfo.write_text(AVX2)
    assert no_openvino_reason(cpuinfo) == ""
    cpuinfo.write_text(AVX2.replace("GenuineIntel", "AuthenticAMD"))
    assert "AuthenticAMD" in no_openvino_reason(cpuinfo)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert re.search(
        r"not installed \(.* install .*-openvino==[\d.]+\)", no_openvino_reason(cpuinfo)
    )
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")  # for which there is no wheel
    assert no_openvino_reason(cpuinfo) == "the OpenVINO plugin is not installed"


def test_a_box_that_is_not_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc the architecture and the platform's processor name are what there is."""
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert instruction_set(tmp_path / "missing") == "arm64"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    processor = "Intel64 Family 6 Model 143 Stepping 8, GenuineIntel"
    monkeypatch.setattr(platform, "processor", lambda: processor)
    assert no_openvino_reason(tmp_path / "missing") == ""


def test_this_box_can_be_inspected() -> None:
    """The real probes return something sane."""
    found = machine.inspect()
    assert found.cpus >= 1
    assert found.instruction_set
    assert bool(found.gpus) != bool(found.no_gpu_reason)
