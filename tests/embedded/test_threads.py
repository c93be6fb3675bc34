"""OpenVINO's threads are not pinned to cores: other runs may be on the same box."""

import subprocess
import sys

import pytest

from tests.embedded.test_memory import needs_openvino

_PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from scorer.inference.bundle import open_bundle
from scorer.inference.runtime.openvino import PROVIDER, open_openvino
from scorer.inference.session import RuntimeInfo

info = RuntimeInfo(PROVIDER, "openvino", "fp32", "none", 2, "a test")
session = open_openvino(open_bundle(Path("scorer/bundled")), info)
with ThreadPoolExecutor(2) as pool:
    list(pool.map(session.run, [np.full((50, 20), 2000)] * 8))
for task in Path("/proc/self/task").iterdir():
    print((task / "status").read_text().split("Cpus_allowed:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@needs_openvino
def test_openvinos_threads_are_pinned_to_no_core() -> None:
    """Each process would pin its own to the same first cores, and leave the others idle."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    masks = done.stdout.split()
    assert len(masks) > 2
    assert len(set(masks)) == 1
