"""A GPT-2 small of the real size with random weights, for the tests and for the benchmark."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VOCABULARY = 50_257
END = "<|endoftext|>"
LABELS = ("negative", "neutral", "positive")
TEXTS = json.loads(
    (Path(__file__).parents[2] / "export/parity/canary_texts.json").read_text("utf-8")
)


def save_checkpoint(directory: Path, texts: Sequence[str] = TEXTS) -> None:
    """Write model and tokenizer, as transformers saves them; its words are those of the texts."""
    import torch
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    tokenizer = _tokenizer(texts)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    model = GPT2ForSequenceClassification(config).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) > 124e6
    _spread(model, tokenizer)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _spread(model: Any, tokenizer: Any) -> None:
    """Turn the score layer away from the mean of what it sees, and scale it to logits of 2."""
    import torch

    ids = [tokenizer(text, truncation=True, max_length=128)["input_ids"] for text in TEXTS[::4]]
    with torch.no_grad():
        features = torch.stack(
            [model.transformer(torch.tensor([row])).last_hidden_state[0, -1] for row in ids]
        )
        mean, weight = features.mean(0), model.score.weight
        weight -= torch.outer(weight @ mean, mean) / (mean @ mean)
        weight *= 2 / (features @ weight.T).std(0)[:, None]


def _tokenizer(texts: Sequence[str]) -> Any:
    """Return a byte-level BPE of GPT-2's size.

    A few thousand texts do not yield 50,000 merges, so merges of pairs that no text needs
    follow those that were learned.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2TokenizerFast

    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(texts, vocab_size=VOCABULARY - 1, show_progress=False)
    model = json.loads(learned._tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    merges = [tuple(pair) for pair in model["merges"]]
    for pair in itertools.product(sorted(vocabulary), repeat=2):
        if len(vocabulary) == VOCABULARY - 1:
            break
        if "".join(pair) not in vocabulary:
            vocabulary["".join(pair)] = len(vocabulary)
            merges.append(pair)
    vocabulary[END] = len(vocabulary)
    full = ByteLevelBPETokenizer(vocabulary, merges)
    full.add_special_tokens([END])
    return GPT2TokenizerFast(tokenizer_object=full._tokenizer, pad_token=END)
