"""The graphs of the embedded model, loaded once in a process: a second of computing each time.

Only the built-in provider's: its sessions have no threads, so that they survive a fork, and hold
nothing of the texts that they have scored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.inference import bundle
from scorer.inference.runtime import host
from scorer.inference.session import RuntimeInfo

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

_loaded: dict[tuple[Path, str], host.Loaded] = {}
_load_anew = host.load  # before `load` takes its place


def load(graph: Path, settings: "SessionOptions", providers: Sequence[Any] | None) -> host.Loaded:
    """Load a graph, or return what was loaded before."""
    if graph.parent != bundle.EMBEDDED:
        return _load_anew(graph, settings, providers)
    key = graph, str(providers)
    if key not in _loaded:
        _loaded[key] = _load_anew(graph, settings, providers)
    return _loaded[key]


def warm() -> None:
    """Load the graphs that a run may want on this box."""
    vars(host)["load"] = load
    for precision in ("fp32", "int8"):
        info = RuntimeInfo(host.PROVIDER, "builtin", precision, "none", 1, "")
        host._open(bundle.open_bundle(), precision, info)
