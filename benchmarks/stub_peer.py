"""A peer that is a stub: it answers from the lengths of the texts, or fails on demand."""

import numpy as np

from benchmarks.peers.common import Answers, Clock, Job, main, softmax


def logits(texts: list[str]) -> np.ndarray:
    """Return one-hot rows by the length of each text."""
    return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Answer, and say that a fifth was padding."""
    if job.settings.get("fails"):
        raise SystemExit("the stub was told to fail")
    with clock.phase("infer"):
        answers = logits(texts)
    return Answers(softmax(answers), 4 * len(texts), 5 * len(texts))


if __name__ == "__main__":
    main(score)
