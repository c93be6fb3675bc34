"""Errors of the operating system and of memory become ours, each with a remedy that fits."""

import sys

import pytest

from scorer.errors import DeviceFull, OutOfMemory
from scorer.os_errors import check_address_space, is_shortage


def test_a_device_that_is_full_is_no_shortage_of_this_machine() -> None:
    """A GPU has a memory of its own; a CPU provider uses that of the process."""
    assert not is_shortage(DeviceFull("CUDAExecutionProvider cannot hold a batch", "halve it"))
    assert is_shortage(DeviceFull("CPUExecutionProvider cannot hold a batch", "free some"))


def test_where_no_limit_can_be_asked_for_none_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no module `resource`: any need is let through."""
    monkeypatch.setitem(sys.modules, "resource", None)
    check_address_space(1 << 60)


def test_a_limit_below_what_is_needed_is_said_before_a_library_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The remedy names fp32 on one thread where that fits, and otherwise the limit alone."""
    monkeypatch.setattr("scorer.os_errors._address_space", lambda: 1 << 30)
    with pytest.raises(OutOfMemory, match=r"1,024 MiB .* needs more than 2,048") as shortage:
        check_address_space(2 << 30)
    assert shortage.value.remedy == "raise it with ulimit -v unlimited, and run again"
    with pytest.raises(OutOfMemory) as shortage:
        check_address_space(2 << 30, with_one_graph=1 << 29)
    assert str(shortage.value.remedy).startswith("use --precision fp32 with --threads 1, or raise")
