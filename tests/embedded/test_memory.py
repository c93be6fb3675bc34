"""What loading a graph has used is given back."""

import subprocess
import sys

import pytest

# In a process of its own: here the C library may have kept anything.
_PROGRAM = """
import ctypes, os
from pathlib import Path
from scorer.inference.bundle import open_bundle
from scorer.inference.runtime.cpu import PROVIDER, open_builtin
from scorer.inference.runtime.session import RuntimeInfo

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

bundle = open_bundle(Path("scorer/bundled"))
session = open_builtin(bundle, RuntimeInfo(PROVIDER, "builtin", "int8", "none", 1, "a test"))
opened = resident()
ctypes.CDLL(None).malloc_trim(0)
print((opened - resident()) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps it and can be asked")
def test_opening_a_session_leaves_little_that_is_free_and_kept() -> None:
    """200 MiB of folded constants' forerunners otherwise, for as long as the run lasts."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60
