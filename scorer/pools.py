"""The thread pools of libraries, held to what this process may use before they are loaded."""

import os

from scorer.bounds import THREADS
from scorer.threads import available_cpus

# What polars, tokenizers (Rayon) and Arrow (as OpenMP) read when they are first loaded.
POOLS = ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS")


def limit_pools(threads: int | None) -> None:
    """Hold the libraries' own thread pools to a number; call it before they are loaded.

    A number that was asked for holds for all of them. Otherwise a pool gets the CPUs that this
    process may keep busy, unless the environment says something else that makes sense.
    """
    drop_wrong_pools()
    for name in POOLS:
        if threads or name not in os.environ:
            os.environ[name] = str(threads or available_cpus())


def drop_wrong_pools() -> dict[str, str]:
    """Take sizes out of the environment that no pool can have here; return what is wrong with each.

    polars would start 100,000 threads if it were told to, and does not load at all with `abc`.
    """
    wrong = {}
    for name in POOLS:
        value = os.environ.get(name, "").strip()
        outermost = value.partition(",")[0]  # OpenMP has a number for each level
        if name in os.environ and THREADS.parse(outermost) is None:
            wrong[name] = THREADS.complaint(value)
            del os.environ[name]
    return wrong
