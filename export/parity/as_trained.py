"""The second reference: the user's checkpoint as transformers' own pipeline runs it.

The gate compares with the bundle's own weights in fp32. Here these are compared with what the user
has: the tokenizer and the weights as they were saved, in the type that the pipeline computes in,
one text at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, TextClassificationPipeline

from export.agreement import described, in_half_precision
from export.graph import quiet
from export.parity.pytorch import Reference, load_model, one_thread
from export.parity.truth import Truth
from export.train.text_encoder import TextEncoder
from scorer.errors import GateFailed
from scorer.inference.bundle.metadata import AsTrained
from scorer.inference.gate import Figures, bounds
from scorer.options import THRESHOLD

MAX_DIFFERENCE = 1e-3  # where both compute in fp32, with the same weights
# Between scores of the pipeline's, of which half precision may choose either: as much as a step of
# bf16 moves them in two logits of 4.
NEAR_TIE = 0.02


class UserPipeline:
    """transformers' pipeline, with the tokenizer and the weights as they were saved."""

    def __init__(self, directory: Path, encoder: TextEncoder, pad_to: int | None) -> None:
        """Load a checkpoint that has been checked.

        Args:
            directory: Of the checkpoint.
            encoder: What prepares the bundle's texts.
            pad_to: Tokens that texts are padded to, for a model without a pad id.
        """
        loader: Any = AutoTokenizer
        with quiet():
            tokenizer = loader.from_pretrained(
                directory,
                local_files_only=True,
                trust_remote_code=False,
                # Its own setting, unless `model train` has trained it.
                split_special_tokens=encoder.split_special_tokens,
            )
            self.model: Any = load_model(directory, dtype="auto")
            self._pipeline: Any = TextClassificationPipeline(
                model=self.model, tokenizer=tokenizer, framework="pt", device="cpu"
            )
        self._max_length = encoder.max_length
        self._pad_to = pad_to
        if pad_to is not None:
            tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
            # That padding apart from tokenising is slower is no news here.
            tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True

    def __call__(self, text: str) -> tuple[list[int], list[float]]:
        """Return the token ids of a text, and its scores in id order: the pipeline's own calls."""
        inputs = self._pipeline.preprocess(text, truncation=True, max_length=self._max_length)
        ids: list[int] = inputs["input_ids"][0].tolist()
        if self._pad_to is not None:
            inputs = self._pipeline.tokenizer.pad(
                inputs, padding="max_length", max_length=self._pad_to, return_tensors="pt"
            )
        outputs = self._pipeline.forward(dict(inputs))
        scores = self._pipeline.postprocess(outputs, top_k=None)
        return ids, [each["score"] for each in scores]


def compared(
    directory: Path, reference: Reference, encoder: TextEncoder, truth: Truth
) -> AsTrained:
    """Compare PyTorch's answers with the bundle's weights with those of the checkpoint's pipeline.

    The pipeline gets the texts as the bundle's rules prepare them: as they are with `none`.

    Args:
        directory: Of the checkpoint.
        reference: The bundle.
        encoder: What prepares the bundle's texts.
        truth: What the bundle answers in fp32.

    Raises:
        GateFailed: They differ by more than their types explain.
    """
    pipeline = UserPipeline(directory, encoder, reference.pads.length if reference.pads else None)
    texts = encoder.normalizer(pl.Series(truth.texts, dtype=pl.String)).to_list()
    with one_thread():
        answers = [pipeline(text) for text in texts]
    for text, ids, (theirs, _) in zip(truth.texts, truth.token_ids, answers, strict=True):
        if ids != theirs:
            raise GateFailed(
                f"the text {text[:60]!r} gets other token ids in the bundle than from the "
                "checkpoint's own tokenizer",
                "save the tokenizer with save_pretrained and export again",
            )
    scores = np.array([scores for _, scores in answers], np.float32)
    record = _record(pipeline.model, reference, encoder, truth.compare(scores))
    if not _within_bounds(record, truth, scores):
        raise GateFailed(
            f"the bundle does not answer as the checkpoint's own pipeline does: "
            f"{described(record)}; farthest apart on {_farthest(truth, scores)!r}",
            _remedy(record),
        )
    return record


def _within_bounds(record: AsTrained, truth: Truth, scores: NDArray[np.float32]) -> bool:
    """Tell whether the figures are those of one model; NaN is outside."""
    if not in_half_precision(record):
        return record.label_agreement == 1 and record.largest_difference <= MAX_DIFFERENCE
    agreement, difference = bounds("fp16")
    agreed = 1 - float(_clearly_apart(truth, scores).mean())
    return agreed >= agreement and record.largest_difference <= difference


def _clearly_apart(truth: Truth, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return for each text whether its labels differ, and not for a near tie of the pipeline's.

    Rounding decides near ties by chance: of a few hundred texts one is enough for 99.8 %.
    """
    ours = np.take_along_axis(scores, truth.scores.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
    apart: NDArray[np.bool_] = scores.max(axis=1) - ours > NEAR_TIE
    if truth.task == "multi_label":
        other = (scores >= THRESHOLD) != (truth.scores >= THRESHOLD)
        apart |= (other & (np.abs(scores - THRESHOLD) > NEAR_TIE)).any(axis=1)
    return apart


def _record(model: Any, reference: Reference, encoder: TextEncoder, figures: Figures) -> AsTrained:
    theirs, ours = model.state_dict(), reference.weights()
    same = all(torch.equal(theirs[name].float(), ours[name]) for name in ours)
    return AsTrained(
        dtype=str(model.dtype).removeprefix("torch."),
        texts=figures.texts,
        label_agreement=figures.label_agreement,
        largest_difference=figures.largest_difference,
        normalizer=encoder.normalizer.name,
        rounded=not same,
    )


def _farthest(truth: Truth, scores: NDArray[np.float32]) -> str:
    """Return the text whose answers are farthest apart."""
    return truth.texts[int(np.abs(truth.scores - scores).max(axis=1).argmax())][:60]


def _remedy(record: AsTrained) -> str:
    if record.rounded:
        return "keep the weights as they are: --weights keep"
    if record.dtype != "float32":
        return "save the model in float32 and export it again"
    return "do not use this export; compare the versions with requirements/constraints.txt"
