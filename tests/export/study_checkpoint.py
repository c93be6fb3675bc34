"""A GPT-2 as the study's notebook trains and uses it: no pad id, padded to a fixed length."""

from pathlib import Path
from typing import Any

import polars as pl

from tests.export.conftest import CLASSES, LABELLED, byte_level_tokenizer

PADDED = 128
SENTIMENTS = ("negative", "neutral", "positive")


def train(directory: Path) -> None:
    """Train with the Hugging Face Trainer, whose output has no tokenizer, into an empty folder.

    `checkpoint` is what the Trainer saves, `tokenizer` what the texts were padded with.
    """
    import torch
    import transformers
    from datasets import Dataset
    from transformers import GPT2Config, GPT2ForSequenceClassification

    tokenizer: Any = byte_level_tokenizer(directory)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = 200
    tokenizer.save_pretrained(directory / "tokenizer")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=48, n_layer=2, n_head=4, n_positions=200,
        bos_token_id=0, eos_token_id=0, num_labels=3, initializer_range=0.1,
        id2label=dict(enumerate(CLASSES)), label2id={name: i for i, name in enumerate(CLASSES)},
    )  # fmt: skip
    model = GPT2ForSequenceClassification(config)
    rows = pl.read_csv(LABELLED)
    encoded = tokenizer(
        rows["text"].to_list(), padding="max_length", truncation=True, max_length=PADDED
    )
    labels = [SENTIMENTS.index(label) for label in rows["sentiment"]]
    arguments = transformers.TrainingArguments(
        str(directory / "runs"), per_device_train_batch_size=1, gradient_accumulation_steps=4,
        num_train_epochs=1, learning_rate=5e-3, save_strategy="no", report_to=[], seed=42,
        disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({**encoded, "labels": labels}),
    )
    trainer.train()
    trainer.save_model(str(directory / "checkpoint"))


def probabilities(directory: Path, texts: list[str], *, padded: bool) -> Any:
    """Return what `predict_sentiment` of the notebook computes, [texts, classes], one by one."""
    import torch
    from transformers import AutoTokenizer, GPT2ForSequenceClassification

    loader: Any = AutoTokenizer
    tokenizer = loader.from_pretrained(directory / "tokenizer")
    model: Any = GPT2ForSequenceClassification.from_pretrained(directory / "checkpoint").eval()
    assert model.config.pad_token_id is None
    answers = []
    for text in texts:
        padding = "max_length" if padded else False
        inputs = tokenizer(
            text, padding=padding, truncation=True, max_length=PADDED, return_tensors="pt"
        )
        with torch.inference_mode():
            answers.append(model(**inputs).logits.softmax(-1)[0])
    return torch.stack(answers).numpy()
