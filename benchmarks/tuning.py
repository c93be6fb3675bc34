"""The batch size that suits an engine best on this box, tried before it is measured.

    python -m benchmarks.tuning MODULE JOB

Each budget is tried on the same texts in turn, the whole list twice, and the quickest try counts:
a peer is tuned as its authors would tune it.
"""

import json
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.peers.common import Job, read_texts, sorted_batches, tokenize

BUDGETS = (512, 1024, 2048, 4096)  # most tokens of a batch, padding included
TRIES = 2


def tune(module: Any, job: Job) -> dict[str, Any]:
    """Return the best budget, and the seconds of each."""
    facts = job.facts()
    infer = module.load(job)
    ids = tokenize(job, read_texts(job))
    logits = np.empty((len(ids), len(facts["labels"])), np.float32)
    infer(sorted_batches(ids[:64], BUDGETS[0], facts["pad_token_id"]), logits)  # warms up
    seconds = dict.fromkeys(BUDGETS, float("inf"))
    for budget in BUDGETS * TRIES:
        start = time.monotonic()
        infer(sorted_batches(ids, budget, facts["pad_token_id"]), logits)
        seconds[budget] = min(seconds[budget], time.monotonic() - start)
    return {"budget": min(BUDGETS, key=lambda budget: seconds[budget]), "seconds": seconds}


if __name__ == "__main__":
    _, name, said = sys.argv
    result = tune(import_module(f"benchmarks.{name}"), Job.from_json(said))
    sys.stdout.write(json.dumps(result) + "\n")
