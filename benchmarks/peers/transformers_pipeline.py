"""transformers' own pipeline, the most common way."""

from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.peers.common import Answers, Clock, Job, main

BATCH = 32


def score(job: Job, texts: list[str], clock: Clock) -> Answers:
    """Classify all texts in batches of 32, as they come or sorted by their tokens."""
    torch.set_num_threads(job.threads)
    with clock.phase("load"):
        checkpoint = job.prepared / "checkpoint"
        model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    return classify(job, model, texts, clock)


def classify(job: Job, model: Any, texts: list[str], clock: Clock) -> Answers:
    """Run a pipeline around a model, PyTorch's or Optimum's."""
    facts = job.facts()
    with clock.phase("load"):
        loader: Any = AutoTokenizer
        tokenizer = loader.from_pretrained(job.prepared / "checkpoint")
        answer = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    with clock.phase("tokenise"):
        limits = {"truncation": True, "max_length": facts["max_length"]}
        lengths = np.array([len(ids) for ids in tokenizer(texts, **limits)["input_ids"]])
        is_sorted = job.settings.get("order") == "sorted"
        order = np.argsort(-lengths, kind="stable") if is_sorted else np.arange(len(texts))
    with clock.phase("infer"):
        said: Any = answer([texts[row] for row in order], batch_size=BATCH, top_k=None, **limits)
    probabilities = np.empty((len(texts), len(facts["labels"])), np.float32)
    for row, classes in zip(order, said, strict=True):
        by_label = {each["label"]: each["score"] for each in classes}
        probabilities[row] = [by_label[label] for label in facts["labels"]]
    batches = [lengths[order[start : start + BATCH]] for start in range(0, len(order), BATCH)]
    padded = sum(len(batch) * int(batch.max()) for batch in batches)
    return Answers(probabilities, int(lengths.sum()), padded)


if __name__ == "__main__":
    main(score)
