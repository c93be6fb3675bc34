"""What PyTorch and transformers answer: the truth that every session is held against."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from export.to_onnx import quiet
from scorer.errors import InvalidBundle


class Reference:
    """A bundle as a transformers user loads it, its fp16 weights widened to fp32."""

    def __init__(self, directory: Path, max_length: int) -> None:
        """Load the model and the tokenizer of a verified directory."""
        loader: Any = AutoTokenizer
        self._tokenizer = loader.from_pretrained(directory, local_files_only=True)
        self._model: Any = load_model(directory)
        self.max_length = max_length
        self._alone: dict[str, NDArray[np.float32]] = {}

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
        with torch.inference_mode(), _one_thread():
            answers = [self._model(**self._encode(batch)).logits.numpy() for batch in batches]
        return np.concatenate(answers).astype(np.float32)

    def _encode(self, batch: list[str]) -> dict[str, Any]:
        encoded = self._tokenizer(
            batch, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt"
        )
        # Not the token types: DistilBERT takes none, and for BERT they are 0 anyway.
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute the same bits whatever the number of cores: a bundle is reproducible."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load_model(
    directory: Path, attention: str | None = None, changes: dict[str, Any] | None = None
) -> PreTrainedModel:
    """Load a classifier in fp32, from safetensors only, with every weight accounted for.

    Args:
        directory: With a ``config.json`` that has been checked.
        attention: transformers' name of an implementation; its own choice by default.
        changes: Settings of the configuration to replace.

    Raises:
        InvalidBundle: The weights are not exactly those of such a classifier.
    """
    with quiet():
        model, report = AutoModelForSequenceClassification.from_pretrained(
            directory,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation=attention,
            output_loading_info=True,
            **(changes or {}),
        )
    for kind in ("missing", "unexpected", "mismatched"):
        names = sorted(map(str, report[f"{kind}_keys"]))
        if names:
            raise InvalidBundle(
                f"the weights in {directory} are not those of a {model.config.model_type} "
                f"classifier ({kind}: {', '.join(names[:3])})",
                "export a checkpoint that was fine-tuned for text classification",
            )
    loaded: PreTrainedModel = model.eval()
    return loaded
