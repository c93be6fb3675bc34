"""CTranslate2: its encoder for BERT, with the head in numpy; its decoder for GPT-2.

It has no classifiers. BERT's encoder comes with the pooler, and what is left is one small matrix.
For GPT-2 the classifier's layer takes the place of the vocabulary's, and the row of the last token
is kept.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.common import Answers, Batches, Clock, Job, main, score_sorted


def load(job: Job) -> Callable[[Batches, NDArray[np.float32]], None]:
    """Return the function that fills in the logits."""
    arithmetic = "int8" if job.arithmetic == "int8" else "float32"
    settings = {"compute_type": arithmetic, "inter_threads": job.threads, "intra_threads": 1}
    converted = str(job.prepared / f"ctranslate2-{arithmetic}")
    if job.facts()["model_type"] == "gpt2":
        answer = _decoder(ctranslate2.Generator(converted, **settings))
    else:
        head = np.load(job.prepared / "head.npz")
        answer = _encoder(ctranslate2.Encoder(converted, **settings), head["weight"], head["bias"])

    def infer(batches: Batches, logits: NDArray[np.float32]) -> None:
        def one(rows: NDArray[np.int64]) -> None:
            logits[rows] = answer([batches.ids[row] for row in rows])

        with ThreadPoolExecutor(job.threads) as callers:
            list(callers.map(one, batches.rows))

    return infer


def _encoder(
    encoder: ctranslate2.Encoder, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    def answer(ids: list[list[int]]) -> NDArray[np.float32]:
        pooled = np.array(encoder.forward_batch(ids).pooler_output)
        result: NDArray[np.float32] = pooled @ weight.T + bias
        return result

    return answer


def _decoder(
    generator: ctranslate2.Generator,
) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    def answer(ids: list[list[int]]) -> NDArray[np.float32]:
        every = np.array(generator.forward_batch(ids))  # [rows, longest, classes]
        last = np.fromiter(map(len, ids), np.int64, len(ids)) - 1
        result: NDArray[np.float32] = every[np.arange(len(ids)), last]
        return result

    return answer


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Score with a worker for each thread."""
    return score_sorted(job, texts, clock, load)


if __name__ == "__main__":
    main(score)
