"""PyTorch's answers: the reference model, and the canary that is made with it."""

import contextlib
import inspect
import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from export.graph import quiet
from export.graph.unpadded import Pads
from scorer.errors import InvalidBundle
from scorer.hints import counted
from scorer.inference.normalize import Normalizer

_log = logging.getLogger(__name__)


class Reference:
    """A bundle as a transformers user loads it, its weights widened to fp32."""

    def __init__(self, directory: Path, max_length: int, pad_to: int | None = None) -> None:
        """Load the model and the tokenizer of a verified directory."""
        loader: Any = AutoTokenizer
        self._tokenizer = loader.from_pretrained(directory, local_files_only=True)
        self._model: Any = load_model(directory)
        taken = inspect.signature(self._model.forward).parameters
        #: What the model gets of the tokenizer, as in transformers' pipeline. DistilBERT takes no
        #: token types, and XLM answers otherwise without them than with types of 0.
        self.inputs = tuple(name for name in self._tokenizer.model_input_names if name in taken)
        self.max_length = max_length
        #: Of a model without a pad id, which takes one text at a time.
        self.pads: Pads | None = None
        if self._model.config.pad_token_id is None:
            left = self._tokenizer.padding_side == "left"
            self.pads = Pads(pad_to, self._tokenizer.pad_token_id, left)
        self._alone: dict[str, NDArray[np.float32]] = {}

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the model's weights, widened to fp32, by their names."""
        found: dict[str, torch.Tensor] = self._model.state_dict()
        return found

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of normalised texts, truncated, special tokens included."""
        encoded = self._tokenizer(list(texts), truncation=True, max_length=self.max_length)
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the logits [texts, classes] of each text alone; each is computed once."""
        for text in texts:
            if text not in self._alone:
                self._alone[text] = self.batched([text], 1)[0]
        return np.stack([self._alone[text] for text in texts])

    def batched(self, texts: Sequence[str], rows: int) -> NDArray[np.float32]:
        """Return the logits [texts, classes] in batches of `rows`, padded as transformers pads."""
        batches = [list(texts[start : start + rows]) for start in range(0, len(texts), rows)]
        with torch.inference_mode(), one_thread():
            answers = [self._model(**self._encode(batch)).logits.numpy() for batch in batches]
        return np.concatenate(answers).astype(np.float32)

    def _encode(self, batch: list[str]) -> dict[str, Any]:
        if self.pads is not None:
            return self.pads.behind(torch.tensor(self.token_ids(batch)))
        encoded = self._tokenizer(
            batch, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt"
        )
        types = encoded.get("token_type_ids")
        if types is not None and types.any():
            raise InvalidBundle(
                "the tokenizer gives token types other than 0, and tweetscore feeds 0",
                "choose a model of another type: docs/models.md lists those that are tested",
            )
        return {name: encoded[name] for name in self.inputs}


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: the same bits on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load_model(
    directory: Path,
    attention: str | None = None,
    changes: dict[str, Any] | None = None,
    dtype: torch.dtype | Literal["auto"] = torch.float32,
    *,
    warns: bool = False,
) -> PreTrainedModel:
    """Load a classifier, from safetensors only, with every weight that it has.

    Args:
        directory: With a ``config.json`` that has been checked.
        attention: transformers' name of an implementation; its own choice by default.
        changes: Settings of the configuration to replace.
        dtype: That it computes in; auto is what transformers' pipeline chooses.
        warns: Whether to log weights that the classifier does not use, as a pooler or the head of
            the pretraining. Checkpoints of the Hub have them, and transformers passes over them.

    Raises:
        InvalidBundle: A weight of such a classifier is missing, or has another size.
    """
    with quiet():
        model, report = AutoModelForSequenceClassification.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation=attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, in words of ours
            **(changes or {}),
        )
    if warns and (unused := sorted(report["unexpected_keys"])):
        _log.warning(
            "%s of the checkpoint %s no part of the classifier: %s",
            counted(len(unused), "weight"),
            "is" if len(unused) == 1 else "are",
            ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else ""),
        )
    for kind in ("missing", "mismatched"):
        names = sorted(map(str, report[f"{kind}_keys"]))
        if names:
            raise InvalidBundle(
                f"the weights in {directory} are not those of a {model.config.model_type} "
                f"classifier ({kind}: {', '.join(names[:3])})",
                "export a checkpoint that was fine-tuned for text classification",
            )
    loaded: PreTrainedModel = model.eval()
    return loaded


_TEXTS = Path(__file__).with_name("canary_texts.json")
# Tokens of a text, besides those that fill the model. Every run scores the canary, and
# OpenVINO compiles for each length that it meets: with sixty lengths that was most of the time.
_LENGTHS = (5, 8, 13, 22, 48)
_CONTROL = re.compile(r"</?s>|\[[A-Z]+\]|<\|\w+\|>")  # what a tokenizer must take for words here


def make_canary(reference: Reference, normalizer: Normalizer) -> dict[str, Any]:
    """Return the content of ``canary.json``: texts, token ids, fp32 logits of each text alone."""
    texts = _cut(reference, normalizer)
    normalized = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    return {
        "texts": texts,
        "token_ids": reference.token_ids(normalized),
        "logits": reference.logits(normalized).tolist(),
    }


def calibration(reference: Reference, normalizer: Normalizer) -> list[list[int]]:
    """Return token ids of the whole texts, on which int8 is calibrated."""
    return _token_ids(whole_texts(), reference, normalizer)


def _token_ids(texts: list[str], reference: Reference, normalizer: Normalizer) -> list[list[int]]:
    return reference.token_ids(normalizer(pl.Series(texts, dtype=pl.String)).to_list())


def whole_texts() -> list[str]:
    """Return the canary's texts before they are cut; an export is compared on them too."""
    texts: list[str] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return texts


def _cut(reference: Reference, normalizer: Normalizer) -> list[str]:
    """Return the texts, each cut to a start that no other text has become.

    Of the lengths that it can have, the one that has had the fewest tokens so far: all lengths get
    as much work, and few texts are long. The one of the most different words stays as it is.
    """
    texts = whole_texts()
    common = {*_LENGTHS, reference.max_length}
    every = _starts(texts, common, reference, normalizer)
    rare = _covering([starts.keys() for starts in every if common.isdisjoint(starts)])
    taken: set[str] = set()
    tokens: Counter[int] = Counter()
    prose = max(range(len(texts)), key=lambda place: len({*texts[place].split()}))
    # The shortest first: what is the start of another one can itself become nothing longer.
    for place in sorted({*range(len(texts))} - {prose}, key=lambda place: len(texts[place])):
        fresh = {length: start for length, start in every[place].items() if start not in taken}
        lengths = fresh.keys() & common or fresh.keys() & rare or fresh.keys()
        length = min(lengths, key=lambda length: (tokens[length], -length))
        texts[place] = fresh[length]
        taken.add(fresh[length])
        tokens[length] += length
    return texts


def _starts(
    texts: list[str], common: set[int], reference: Reference, normalizer: Normalizer
) -> list[dict[int, str]]:
    """Return each text's longest start of each number of tokens: in whole words, where that does.

    What the normaliser changes and what looks like a control token is in all of them, as it is in
    the text; what fills the model is there whole: the proof of each must not be cut off.
    """
    found: list[dict[int, str]] = [{} for _ in texts]
    whole = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    for unit in (r"\S+", r"."):
        # All starts of all texts at once: single calls took two fifths of a tiny model's export.
        starts = [
            (place, text[: match.end()])
            for place, text in enumerate(texts)
            if common.isdisjoint(found[place])
            for match in re.finditer(unit, text)
        ]
        normalized = normalizer(pl.Series([start for _, start in starts], dtype=pl.String))
        kept = [
            (place, start)
            for (place, start), clean in zip(starts, normalized, strict=True)
            if clean + (end := texts[place][len(start) :]) == whole[place]
            and not _CONTROL.search(end)
        ]
        lengths = map(len, _token_ids([start for _, start in kept], reference, normalizer))
        for (place, start), length in zip(kept, lengths, strict=True):
            found[place][length] = start
    return found


def _covering(choices: Collection[Collection[int]]) -> set[int]:
    """Return few numbers, of which each of the choices has one."""
    found: set[int] = set()
    while left := [each for each in choices if found.isdisjoint(each)]:
        counts = Counter(number for each in left for number in each)
        found.add(max(counts, key=lambda number: (counts[number], number)))
    return found
