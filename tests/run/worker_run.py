"""`tweetscore` with worker processes on the CPU in place of GPUs, as a program.

Arguments: an opener of `tests.inference.worker_openers`, the number of workers, and the command's.
"""

import sys

from scorer.cli import main
from scorer.inference import loading
from scorer.inference.bundle import Bundle
from scorer.inference.runtime import host
from scorer.inference.runtime.gpu_pool import PoolSession
from scorer.inference.session import HalvingSession, RuntimeInfo, Session
from tests.inference import worker_openers


def open_workers(bundle: Bundle, opener: str, workers: int) -> Session:
    """Open the bundle as the CUDA path does on a box with several GPUs."""
    info = RuntimeInfo(host.PROVIDER, "builtin", "fp32", "avx2", 1, "a test", workers)
    places = {ordinal: f"GPU {ordinal} (a stub)" for ordinal in range(workers)}
    return HalvingSession(PoolSession(bundle, info, getattr(worker_openers, opener), places))


if __name__ == "__main__":
    _, name, number, *arguments = sys.argv
    sys.argv[1:] = arguments
    vars(loading)["open_session"] = lambda bundle, *_: open_workers(bundle, name, int(number))
    main()
