"""OpenVINO through its own API, on Optimum's export: a queue with a stream for each thread."""

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from benchmarks.peers.common import Answers, Batches, Clock, Job, main, score_sorted

_kept: list[ov.CompiledModel] = []  # until the process ends


def load(job: Job) -> Callable[[Batches, NDArray[np.float32]], None]:
    """Return the function that fills in the logits."""
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": str(job.threads),
        "INFERENCE_NUM_THREADS": str(job.threads),
        "INFERENCE_PRECISION_HINT": "bf16" if job.arithmetic == "bf16" else "f32",
    }
    graph = job.prepared / "openvino" / "model.xml"
    compiled = ov.Core().compile_model(graph, "CPU", settings)
    _kept.append(compiled)
    atexit.register(_leave)
    names = {name for node in compiled.inputs for name in node.names}

    def infer(batches: Batches, logits: NDArray[np.float32]) -> None:
        def keep(request: Any, rows: NDArray[np.int64]) -> None:
            logits[rows] = request.get_output_tensor().data

        queue = ov.AsyncInferQueue(compiled, job.threads)
        queue.set_callback(keep)
        for rows in batches.rows:
            ids, mask = batches.matrix(rows)
            feeds = {"input_ids": ids, "attention_mask": mask}
            if "token_type_ids" in names:
                feeds["token_type_ids"] = np.zeros_like(ids)
            queue.start_async(feeds, rows)
        queue.wait_all()

    return infer


def _leave() -> None:
    """End the process without destroying the model.

    That waits for the streams, which may wait for the interpreter's lock to let go of what a
    callback was given, and then neither ends.
    """
    sys.stdout.flush()
    os._exit(1 if hasattr(sys, "last_type") else 0)


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Score with as many streams as threads."""
    return score_sorted(job, texts, clock, load)


if __name__ == "__main__":
    main(score)
