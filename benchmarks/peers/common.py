"""Code that the peers' scripts share: reads texts, writes answers, and times each phase.

A script is a process of its own, and what it imports is on its clock. So this file imports only
what all of them need.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Job:
    """The job of a script, as JSON on its command line."""

    prepared: Path  # the model in every form that a peer wants
    texts: Path  # Parquet; the column text is normalised
    output: Path
    threads: int
    arithmetic: str
    settings: Mapping[str, Any]

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Read a job that the runner has written."""
        said = json.loads(text)
        said |= {name: Path(said[name]) for name in ("prepared", "texts", "output")}
        return cls(**said)

    def facts(self) -> dict[str, Any]:
        """Return labels, pad_token_id, max_length and model_type."""
        facts: dict[str, Any] = json.loads((self.prepared / "model.json").read_text("utf-8"))
        return facts


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of a model, in the order of the texts."""

    probabilities: NDArray[np.float32]  # [texts, classes], at temperature 1
    tokens: int  # real ones, special tokens included
    padded: int  # all that was computed: real and padding


class Clock:
    """Seconds by the name of the phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the block's time to a phase."""
        start = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start


def main(score: Callable[[Job, list[str], Clock], Answers]) -> None:
    """Read, score and write, and print how long each phase took as one line of JSON."""
    job, clock = Job.from_json(sys.argv[1]), Clock()
    labels = pl.Series(job.facts()["labels"])
    with clock.phase("read"):
        texts = read_texts(job)
    answers = score(job, texts, clock)
    with clock.phase("write"):
        best = answers.probabilities.argmax(axis=1)
        columns: dict[str, Any] = {
            "text": texts,
            "label": labels.gather(best),
            "score": answers.probabilities[np.arange(len(best)), best],
        }
        for number, label in enumerate(labels):
            columns[f"score_{label}"] = np.ascontiguousarray(answers.probabilities[:, number])
        pl.DataFrame(columns).write_parquet(job.output)
    said = {"phases": clock.seconds, "tokens": answers.tokens, "padded": answers.padded}
    sys.stdout.write(json.dumps(said) + "\n")


def read_texts(job: Job) -> list[str]:
    """Return the texts; with polars, since pyarrow would import pandas for an array of ours."""
    texts: list[str] = pl.read_parquet(job.texts, columns=["text"])["text"].to_list()
    return texts


def tokenize(job: Job, texts: Sequence[str]) -> list[list[int]]:
    """Return token ids, special ones included, truncated as tweetscore truncates."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(job.prepared / "checkpoint" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(job.facts()["max_length"])
    tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Sorted texts, cut so that no batch has more tokens than the budget, padding included."""

    ids: list[list[int]]
    rows: list[NDArray[np.int64]]  # of each batch, longest texts first
    pad: int

    @property
    def padded(self) -> int:
        """Return how many tokens are computed."""
        return sum(len(rows) * len(self.ids[rows[0]]) for rows in self.rows)

    def matrix(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return token ids and mask of a batch, both [rows, longest], padded on the right."""
        ids = np.full((len(rows), len(self.ids[rows[0]])), self.pad, np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            tokens = self.ids[row]
            ids[place, : len(tokens)] = tokens
            mask[place, : len(tokens)] = 1
        return ids, mask


def sorted_batches(ids: list[list[int]], budget: int, pad: int) -> Batches:
    """Sort by length, longest first, and cut."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    order = np.argsort(-lengths, kind="stable")
    rows, start = [], 0
    while start < len(order):
        stop = start + max(1, budget // int(lengths[order[start]]))
        rows.append(order[start:stop])
        start = stop
    return Batches(ids, rows, pad)


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return probabilities at temperature 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float32)
    result: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def score_sorted(
    job: Job,
    texts: list[str],
    clock: Clock,
    load: Callable[[Job], Callable[[Batches, NDArray[np.float32]], None]],
) -> Answers:
    """Load an engine, tokenise, sort, and let it fill in the logits of all batches."""
    facts = job.facts()
    with clock.phase("load"):
        infer = load(job)
    with clock.phase("tokenise"):
        ids = tokenize(job, texts)
        batches = sorted_batches(ids, job.settings["budget"], facts["pad_token_id"])
    logits = np.empty((len(texts), len(facts["labels"])), np.float32)
    with clock.phase("infer"):
        infer(batches, logits)
    return Answers(softmax(logits), sum(map(len, ids)), batches.padded)
