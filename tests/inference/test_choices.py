"""Which provider and precision are tried, and in which order."""

import dataclasses

import pytest

from scorer.errors import DeviceUnavailable
from scorer.inference.runtime import choices, without
from scorer.inference.runtime.machine import Gpu, Machine
from scorer.options import Device, Precision

INTEL = Machine(2, "avx2", "", (), "no NVIDIA driver (libcuda.so.1 was not found)")
AMX = dataclasses.replace(INTEL, instruction_set="amx")
AVX512_BF16 = dataclasses.replace(INTEL, instruction_set="avx512-bf16")
AMD = dataclasses.replace(
    INTEL, instruction_set="avx512-vnni", no_openvino_reason="the plugin serves Intel CPUs only"
)
ARM = Machine(4, "neon", "the OpenVINO plugin is not installed", (), INTEL.no_gpu_reason)
H100 = dataclasses.replace(AMX, gpus=(Gpu("H100", "sm_90", 80 * 2**30),), no_gpu_reason="")


@pytest.mark.parametrize(
    ("machine", "device", "precision", "expected"),
    [
        (H100, "auto", "auto", "cuda fp16, cuda fp32"),
        (H100, "auto", "fp32", "cuda fp32"),
        (H100, "cuda", "fp16", "cuda fp16"),
        (H100, "cpu", "auto", "openvino bf16, openvino fp32, builtin fp32"),
        (AMX, "auto", "auto", "openvino bf16, openvino fp32, builtin fp32"),
        (AMX, "auto", "bf16", "openvino bf16"),
        (AMX, "openvino", "auto", "openvino bf16, openvino fp32"),
        (AVX512_BF16, "auto", "auto", "openvino fp32, builtin fp32"),
        (AVX512_BF16, "cpu", "bf16", "openvino bf16"),
        (INTEL, "auto", "auto", "openvino fp32, builtin fp32"),
        (INTEL, "openvino", "auto", "openvino fp32"),
        (INTEL, "builtin", "auto", "builtin fp32"),
        (ARM, "auto", "auto", "builtin fp32"),
        (ARM, "cpu", "fp32", "builtin fp32"),
    ],
)
def test_the_fastest_is_tried_first(
    machine: Machine, device: Device, precision: Precision, expected: str
) -> None:
    """What is tried after it is slower and more exact; a GPU is never left for the CPU."""
    tried = choices(device, precision, machine)
    assert ", ".join(f"{choice.device} {choice.precision}" for choice in tried) == expected
    assert all(choice.reason for choice in tried)


@pytest.mark.parametrize(
    ("machine", "device", "precision", "expected"),
    [
        (AVX512_BF16, "auto", "auto", "builtin int8, openvino fp32, builtin fp32"),
        (AMD, "auto", "auto", "builtin int8, builtin fp32"),
        (AMD, "builtin", "auto", "builtin int8, builtin fp32"),
        (AMD, "auto", "fp32", "builtin fp32"),
        (AMD, "cpu", "int8", "builtin int8"),
        (AMX, "auto", "auto", "openvino bf16, builtin int8, openvino fp32, builtin fp32"),
        (AMX, "auto", "fp32", "openvino fp32, builtin fp32"),
        (AMX, "auto", "bf16", "openvino bf16"),
        (AMX, "cpu", "int8", "builtin int8"),
        (INTEL, "auto", "auto", "openvino fp32, builtin fp32"),
        (ARM, "auto", "auto", "builtin fp32"),
        (H100, "auto", "auto", "cuda fp16, cuda fp32"),
    ],
)
def test_int8_comes_before_fp32_where_it_is_proven(
    machine: Machine, device: Device, precision: Precision, expected: str
) -> None:
    """It takes VNNI and a model whose int8 is within the gate; bf16 through AMX is faster."""
    tried = choices(device, precision, machine, int8_proven=True)
    assert ", ".join(f"{choice.device} {choice.precision}" for choice in tried) == expected


def test_what_the_export_found_outside_the_gate_is_left_out() -> None:
    """The others keep their order, and say why they are first."""
    bf16, *others = choices("auto", "auto", AMX, int8_proven=True)
    tried = without((bf16, *others), [bf16])
    assert [(c.device, c.precision) for c in tried] == [(c.device, c.precision) for c in others]
    for choice in tried:
        assert choice.reason.endswith(
            "; openvino in bf16 was outside the gate at the model's export"
        )
    assert without((bf16, *others), []) == (bf16, *others)


def test_int8_that_is_not_proven_has_to_be_asked_for() -> None:
    """A model that was exported where int8 could not be measured, or was outside the gate."""
    assert [choice.precision for choice in choices("auto", "auto", AMD)] == ["fp32"]
    assert [choice.precision for choice in choices("auto", "int8", AMD)] == ["int8"]


@pytest.mark.parametrize(
    ("machine", "device", "precision", "reason"),
    [
        (INTEL, "cuda", "auto", "libcuda.so.1 was not found"),
        (INTEL, "auto", "fp16", "fp16 needs a CUDA device"),
        (H100, "cpu", "fp16", "a CPU provider was asked for"),
        (INTEL, "auto", "bf16", "no bf16 arithmetic"),
        (AMX, "builtin", "bf16", "fp32 and int8"),
        (ARM, "auto", "bf16", "fp32 and int8"),
        (INTEL, "auto", "int8", r"no VNNI instructions \(avx2\)"),
        (ARM, "builtin", "int8", r"no VNNI instructions \(neon\)"),
        (AMX, "openvino", "int8", "served by the built-in CPU provider"),
        (H100, "auto", "int8", "int8 is not served on CUDA"),
        (ARM, "openvino", "auto", "not installed"),
        (H100, "auto", "bf16", "not served on CUDA"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(
    machine: Machine, device: Device, precision: Precision, reason: str
) -> None:
    """Asked for by name and not there: exit code 69, the reason and a remedy."""
    with pytest.raises(DeviceUnavailable, match=reason) as refusal:
        choices(device, precision, machine)
    assert refusal.value.remedy
