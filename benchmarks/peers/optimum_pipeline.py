"""Optimum's ONNX Runtime model in transformers' pipeline, as in Optimum's manual."""

import onnxruntime
from optimum.onnxruntime import ORTModelForSequenceClassification

from benchmarks.peers.common import Answers, Clock, Job, main
from benchmarks.peers.transformers_pipeline import classify


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Classify all texts in batches of 32, as they come."""
    with clock.phase("load"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        model = ORTModelForSequenceClassification.from_pretrained(
            job.prepared / "onnx", provider="CPUExecutionProvider", session_options=options
        )
    return classify(job, model, texts, clock)


if __name__ == "__main__":
    main(score)
