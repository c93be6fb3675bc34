"""The fp16 graph, which is for CUDA, on the CPU of the box that exports."""

import logging

import numpy as np

from export.parity.truth import Truth, every
from scorer.inference.bundle import Bundle
from scorer.inference.gate import Figures
from scorer.inference.runtime.machine import Machine
from scorer.inference.session import RuntimeInfo

_log = logging.getLogger(__name__)

_TEXTS = 64
_NOTHING = Figures(0, 0.0, 1.0, 1.0)  # a graph that does not run agrees in nothing


def fp16_figures(
    bundle: Bundle, truth: Truth, machine: Machine
) -> tuple[RuntimeInfo, Figures] | None:
    """Run the graph for CUDA on the CPU, which computes its products in fp32.

    It shows that the graph loads and that its casts are right. It says nothing about a GPU's
    arithmetic, so it is not a parity figure, and a label of low margin that differs is no reason to
    fail.
    """
    from scorer.inference.runtime.host import PROVIDER, TOKEN_BUDGET, HostSession, load, options

    if "fp16" not in bundle.metadata.graphs:
        return None
    info = RuntimeInfo(
        PROVIDER, "builtin", "fp16", machine.instruction_set, machine.cpus, "graph check"
    )
    sample = every(len(truth.texts), _TEXTS)
    try:
        session = HostSession(load(bundle.graph("fp16"), options(), [PROVIDER]), info, TOKEN_BUDGET)
        logits = np.concatenate([session.run(np.array([ids])) for ids in truth.token_ids[sample]])
    except Exception as error:  # noqa: BLE001 - the library's errors have no common base
        # The converter does not know every operator of every architecture.
        _log.debug("the fp16 graph does not run: %s", error)
        return info, _NOTHING
    return info, truth.compare(truth.of_logits(logits), sample)
