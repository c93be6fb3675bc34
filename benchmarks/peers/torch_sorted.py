"""PyTorch without a pipeline: sorted texts, batches by tokens, fp32 or bf16 (oneDNN)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification

from benchmarks.peers.common import Answers, Batches, Clock, Job, main, score_sorted


def load(job: Job) -> Callable[[Batches, NDArray[np.float32]], None]:
    """Return the function that fills in the logits."""
    torch.set_num_threads(job.threads)
    checkpoint = job.prepared / "checkpoint"
    model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    if job.arithmetic == "bf16":
        model = model.to(torch.bfloat16)

    def infer(batches: Batches, logits: NDArray[np.float32]) -> None:
        with torch.inference_mode():
            for rows in batches.rows:
                ids, mask = map(torch.from_numpy, batches.matrix(rows))
                logits[rows] = model(input_ids=ids, attention_mask=mask).logits.float().numpy()

    return infer


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Score with one caller and all threads in each operator."""
    return score_sorted(job, texts, clock, load)


if __name__ == "__main__":
    main(score)
