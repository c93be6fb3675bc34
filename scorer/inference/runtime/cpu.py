"""ONNX Runtime's built-in CPU provider: runs everywhere in fp32, and in int8 with VNNI."""

from concurrent.futures import ThreadPoolExecutor

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.gate import LowMarginFallback
from scorer.inference.runtime.host import HostSession, load, one_line, options
from scorer.inference.session import RuntimeInfo, Session

PROVIDER = "CPUExecutionProvider"
# MiniLM (6 layers, pruned), 3,500 training tweets, two cores of AVX-512, median of five: int8
# 1,563 tweets/s at 512, 1,683 at 1024, 1,717 at 1536, 1,733 at 2048; fp32 1,008, 1,041, 1,035 and
# 1,024. Flat from here on, and a small batch stops sooner.
TOKEN_BUDGET = 1536

_WITHOUT = "optimization.disable_specified_optimizers"


def open_builtin(bundle: Bundle, info: RuntimeInfo) -> Session:
    """Load the graph of `info.precision`; int8 has the fp32 graph decide texts of low margin.

    Raises:
        DeviceUnavailable: The bundle has no graph for that precision.
        InvalidBundle: ONNX Runtime does not accept the graph.
    """
    if info.precision != "int8":
        return _open(bundle, info.precision, info)
    # Loading leaves the interpreter free: two graphs take hardly longer than one.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
        exact = pool.submit(_open, bundle, "fp32", info)
        return LowMarginFallback(_open(bundle, "int8", info), exact.result())


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
    # GELU joined with the sum before it runs an older kernel: 0.90 ms for 969 rows of 1,536,
    # against 0.55 and 0.13 apart (ONNX Runtime 1.31.1, one AVX-512 core); 3 % of a run.
    settings.add_session_config_entry(_WITHOUT, "BiasGeluFusion")
    graph = bundle.graph(precision)
    try:
        loaded = load(graph, settings, [PROVIDER])
    except Exception as error:  # the library's errors have no common base of their own
        raise InvalidBundle(
            f"{graph} cannot be loaded ({one_line(error)})", "export the model again"
        ) from error
    return HostSession(loaded, info, TOKEN_BUDGET)
