"""Tokenizers of many families, trained on our samples as their authors train theirs.

What SentencePiece makes goes through transformers' own conversion, so a file looks as it does on
the Hub, but for its size.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.once import made_once

SAMPLES = Path(__file__).parents[1] / "samples" / "labelled.csv"
VOCABULARY = 700
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
# How SentencePiece was trained, where it was not by its defaults: the ids of the special tokens.
_XLM_R = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
_SPECIAL = {"pad_id": 0, "unk_id": 1, "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
_ALBERT = _SPECIAL | {
    "bos_id": 2,
    "eos_id": 3,
    "pad_piece": "<pad>",
    "user_defined_symbols": "[MASK]",
}
_DEBERTA = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "unk_piece": "[UNK]"} | {
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
}
_XLNET = {"bos_id": 1, "eos_id": 2, "user_defined_symbols": "<cls>,<sep>,<pad>,<mask>,<eod>,<eop>"}
_LLAMA = {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity"} | {
    "remove_extra_whitespaces": False,
    "split_digits": True,
}
_GEMMA = _LLAMA | {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "add_dummy_prefix": False}
_GEMMA |= {"bos_piece": "<bos>", "eos_piece": "<eos>"}
_T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
#: The families whose files are SentencePiece's: the file's name, and how it was trained.
SENTENCEPIECE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "xlm-roberta": ("sentencepiece.bpe.model", _XLM_R),
    "camembert": ("sentencepiece.bpe.model", _XLM_R),
    "albert": ("spiece.model", _ALBERT),
    "deberta-v2": ("spm.model", _DEBERTA),
    "xlnet": ("spiece.model", _XLNET),
    "llama": ("tokenizer.model", _LLAMA),
    "mistral": ("tokenizer.model", _LLAMA),
    "gemma": ("tokenizer.model", _GEMMA),
    "t5": ("spiece.model", _T5),
}


def texts() -> list[str]:
    """Return the texts that all of them are trained on."""
    return pl.read_csv(SAMPLES)["text"].to_list()


def tokenizer_of(family: str, directory: Path) -> Any:
    """Return a fast tokenizer of a family; its files are made in the directory.

    Families: those of `SENTENCEPIECE`, and those of `TRAINED`.
    """
    return TRAINED[family](directory) if family in TRAINED else fast_of(family, directory)


def trained(factory: pytest.TempPathFactory, family: str) -> Path:
    """Return the directory of a family's tokenizer, made once for all tests."""
    return made_once(
        factory,
        f"tokenizer-{family}",
        lambda path: tokenizer_of(family, path).save_pretrained(path),
    )


def save_sentencepiece(family: str, directory: Path) -> Path:
    """Train SentencePiece as a family's authors did, and return the file that it wrote."""
    import sentencepiece

    name, settings = SENTENCEPIECE[family]
    content = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts()),
        model_writer=content,
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **settings,
    )
    path = directory / name
    path.write_bytes(content.getvalue())
    return path


def slow_class(family: str) -> Any:
    """Return the class that reads a family's SentencePiece file in Python."""
    import transformers

    return getattr(transformers, _CLASSES[family])


def fast_of(family: str, directory: Path) -> Any:
    """Return what transformers converts a family's SentencePiece file to."""
    import transformers

    fast = getattr(transformers, f"{_CLASSES[family]}Fast")
    # Llama 2 and Mistral have Prepend on the Hub, which the class leaves out unless it is told.
    asked = {"add_prefix_space": True} if family in ("llama", "mistral") else {}
    return fast(str(save_sentencepiece(family, directory)), **asked)


_CLASSES = {
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "albert": "AlbertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "xlnet": "XLNetTokenizer",
    "llama": "LlamaTokenizer",
    "mistral": "LlamaTokenizer",
    "gemma": "GemmaTokenizer",
    "t5": "T5Tokenizer",
}


def _word_piece(directory: Path, name: str) -> Any:
    """BERT's kind, lower-cased: BERT, ELECTRA, MPNet."""
    import transformers
    from tokenizers import BertWordPieceTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if name == "MPNetTokenizerFast":
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[UNK]"]
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(
        texts(), vocab_size=VOCABULARY, special_tokens=special, show_progress=False
    )
    trained.save_model(str(directory))
    return getattr(transformers, name)(str(directory / "vocab.txt"))


def _byte_level(special: list[str], split: str | None = None) -> Any:
    """Train GPT-2's kind, or with a regular expression in place of GPT-2's."""
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE(ignore_merges=split == _LLAMA_3))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    tokenizer.pre_tokenizer = byte_level
    if split is not None:
        parts = [pre_tokenizers.Split(Regex(split), "isolated"), byte_level]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _vocabulary_and_merges(directory: Path, name: str, special: list[str]) -> Any:
    """GPT-2's kind with the files of GPT-2's kind: GPT-2, RoBERTa."""
    import transformers

    _byte_level(special).model.save(str(directory))
    return getattr(transformers, name)(str(directory / "vocab.json"), str(directory / "merges.txt"))


def _template(tokenizer: Any, *, start: str, end: str = "") -> None:
    from tokenizers import processors

    names = [name for name in (start, end) if name]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}".strip(),
        pair=f"{start} $A {end} {start} $B {end}".replace("  ", " ").strip(),
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in names],
    )


def _wrapped(tokenizer: Any, **special: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def _modernbert(_: Path) -> Any:
    from tokenizers import normalizers

    tokenizer = _byte_level(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    tokenizer.normalizer = normalizers.NFC()
    _template(tokenizer, start="[CLS]", end="[SEP]")
    names = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    return _wrapped(tokenizer, **{f"{key}_token": token for key, token in names.items()})


def _qwen2(_: Path) -> Any:
    from tokenizers import normalizers

    pattern = _LLAMA_3.replace("{1,3}", "")
    tokenizer = _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pattern)
    tokenizer.normalizer = normalizers.NFC()
    return _wrapped(tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _llama3(_: Path) -> Any:
    from tokenizers import processors

    begin, end = "<|begin_of_text|>", "<|end_of_text|>"
    tokenizer = _byte_level([begin, end, "<|finetune_right_pad_id|>"], _LLAMA_3)
    _template(tokenizer, start=begin)
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), tokenizer.post_processor]
    )
    return _wrapped(
        tokenizer, bos_token=begin, eos_token=end, pad_token="<|finetune_right_pad_id|>"
    )


def _bloom(_: Path) -> Any:
    tokenizer = _byte_level(["<unk>", "<s>", "</s>", "<pad>"], _BLOOM)
    return _wrapped(tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")


def _opt(_: Path) -> Any:
    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>"])
    _template(tokenizer, start="</s>")
    return _wrapped(tokenizer, bos_token="</s>", eos_token="</s>", pad_token="<pad>")


def _robertuito(_: Path) -> Any:
    """Metaspace and BPE, lower-cased, as pysentimiento/robertuito."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "@usuario", "url", "emoji"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    _template(tokenizer, start="<s>", end="</s>")
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "unk": "<unk>"}
    names |= {"pad": "<pad>", "mask": "<mask>"}
    return _wrapped(tokenizer, **{f"{key}_token": token for key, token in names.items()})


#: The families whose authors trained with the tokenizers library itself, or with its like.
TRAINED: Mapping[str, Callable[[Path], Any]] = {
    "bert": lambda directory: _word_piece(directory, "BertTokenizerFast"),
    "distilbert": lambda directory: _word_piece(directory, "DistilBertTokenizerFast"),
    "electra": lambda directory: _word_piece(directory, "ElectraTokenizerFast"),
    "gpt2": lambda directory: _vocabulary_and_merges(
        directory, "GPT2TokenizerFast", ["<|endoftext|>"]
    ),
    "roberta": lambda directory: _vocabulary_and_merges(
        directory, "RobertaTokenizerFast", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    ),
    "mpnet": lambda directory: _word_piece(directory, "MPNetTokenizerFast"),
    "modernbert": _modernbert,
    "qwen2": _qwen2,
    "llama3": _llama3,
    "bloom": _bloom,
    "opt": _opt,
    "robertuito": _robertuito,
}
