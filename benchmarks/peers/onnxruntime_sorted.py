"""ONNX Runtime's CPU provider without a pipeline, on Optimum's export: fp32 or dynamic int8.

One session with one thread for each caller: faster here than one caller with several threads.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.peers.common import Answers, Batches, Clock, Job, main, score_sorted


def load(job: Job) -> Callable[[Batches, NDArray[np.float32]], None]:
    """Return the function that fills in the logits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False  # planned per shape, and there are many
    graph = job.prepared / ("onnx-int8" if job.arithmetic == "int8" else "onnx") / "model.onnx"
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = {node.name for node in session.get_inputs()}

    def infer(batches: Batches, logits: NDArray[np.float32]) -> None:
        def one(rows: NDArray[np.int64]) -> None:
            ids, mask = batches.matrix(rows)
            feeds = {"input_ids": ids, "attention_mask": mask}
            if "token_type_ids" in names:
                feeds["token_type_ids"] = np.zeros_like(ids)
            logits[rows] = session.run(["logits"], feeds)[0]

        with ThreadPoolExecutor(job.threads) as callers:
            list(callers.map(one, batches.rows))

    return infer


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Score with as many callers as threads."""
    return score_sorted(job, texts, clock, load)


if __name__ == "__main__":
    main(score)
