"""ONNX Runtime's built-in CPU provider: runs everywhere in fp32, and in int8 with VNNI."""

from concurrent.futures import ThreadPoolExecutor

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.runtime.host import HostSession, load, one_line, options
from scorer.inference.runtime.near_ties import NearTies
from scorer.inference.runtime.session import RuntimeInfo, Session

PROVIDER = "CPUExecutionProvider"
# MiniLM (6 layers, pruned), the 3,534 test tweets, one AVX-512 core, best of three: fp32 536
# tweets/s at 256, 549 at 512, 562 at 1024, 548 at 2048, 540 at 4096; int8 948 at 512, 1,004 at
# 1024, 1,022 at 2048 (all of it in int8). Flat within the noise; a small batch stops sooner.
TOKEN_BUDGET = 1024


def open_builtin(bundle: Bundle, info: RuntimeInfo) -> Session:
    """Load the graph of `info.precision`; int8 has the fp32 graph decide near ties.

    Raises:
        DeviceUnavailable: The bundle has no graph for that precision.
        InvalidBundle: ONNX Runtime does not accept the graph.
    """
    if info.precision != "int8":
        return _open(bundle, info.precision, info)
    # Loading leaves the interpreter free: two graphs take hardly longer than one.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
        exact = pool.submit(_open, bundle, "fp32", info)
        return NearTies(_open(bundle, "int8", info), exact.result())


def _open(bundle: Bundle, precision: str, info: RuntimeInfo) -> HostSession:
    """Load a graph for `info.threads` callers, each with one thread.

    One session with one thread per caller beats one caller with several threads: small
    batches have too little work per operator to share. The fp16 graph can be loaded too, but
    only `export.parity` does: its products are computed in fp32 here, and slowly.
    """
    settings = options()
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    # The pattern is planned per shape; with hundreds of shapes it only holds memory.
    settings.enable_mem_pattern = False
    graph = bundle.graph(precision)
    try:
        loaded = load(graph, settings, [PROVIDER])
    except Exception as error:  # the library's errors have no common base of their own
        raise InvalidBundle(
            f"{graph} cannot be loaded ({one_line(error)})", "export the model again"
        ) from error
    return HostSession(loaded, info, TOKEN_BUDGET)
