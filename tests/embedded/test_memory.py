"""Memory of a session: what loading has used is given back, and shapes do not add up."""

import os
import subprocess
import sys

import pytest

from scorer.inference.runtime.machine import no_openvino_reason

# Its plugin lists Intel's CPUs only: elsewhere there is no session that could be looked at.
needs_openvino = pytest.mark.skipif(bool(no_openvino_reason()), reason=no_openvino_reason())

# In a process of its own: here the C library may have kept anything.
_PROGRAM = """
import ctypes, os
from pathlib import Path
from scorer.inference.bundle import open_bundle
from scorer.inference.runtime.{module} import PROVIDER, {opener}
from scorer.inference.session import RuntimeInfo

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

bundle = open_bundle(Path("scorer/bundled"))
session = {opener}(bundle, RuntimeInfo(PROVIDER, "a test", "{precision}", "none", 1, "a test"))
opened = resident()
ctypes.CDLL(None).malloc_trim(0)
print((opened - resident()) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps it and can be asked")
@pytest.mark.parametrize(
    ("module", "opener", "precision"),
    [
        ("host", "open_builtin", "int8"),
        pytest.param("openvino", "open_openvino", "fp32", marks=needs_openvino),
    ],
)
def test_opening_a_session_leaves_little_that_is_free_and_kept(
    module: str, opener: str, precision: str
) -> None:
    """Otherwise the originals of folded constants stay for the whole run, 60 to 200 MiB."""
    program = _PROGRAM.format(module=module, opener=opener, precision=precision)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 45


_SHAPES = """
import os
from pathlib import Path
import numpy as np
from scorer.inference.bundle import open_bundle
from scorer.inference.runtime.openvino import PROVIDER, open_openvino
from scorer.inference.session import RuntimeInfo

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

info = RuntimeInfo(PROVIDER, "openvino", "fp32", "none", 1, "a test")
session = open_openvino(open_bundle(Path("scorer/bundled")), info)

def after(lengths):
    for length in lengths:
        for rows in (1, 2):
            session.run(np.full((rows, length), 2000))
    return resident()

first = after(range(128, 72, -1))
print((after(range(72, 12, -1)) - first) >> 20, os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@needs_openvino
@pytest.mark.parametrize(
    ("capacity", "least", "most"), [(None, -100, 40), ("1024", 40, 150)], ids=["ours", "theirs"]
)
def test_openvino_does_not_keep_all_shapes_that_it_has_met(
    capacity: str | None, least: int, most: int
) -> None:
    """120 shapes in, another 120: 320 MiB if both caches kept them, 70 if oneDNN's did, 6 as it is.

    A bound that the user has set stays, and the variable is not left behind.
    """
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    environment = {key: value for key, value in os.environ.items() if key != name}
    if capacity:
        environment[name] = capacity
    done = subprocess.run(
        [sys.executable, "-c", _SHAPES], capture_output=True, text=True, check=True, env=environment
    )
    grown, left = done.stdout.split()
    assert least <= int(grown) < most
    assert left == str(capacity)
