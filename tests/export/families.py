"""Tiny classifiers of many families, random and spread, as a user would bring them.

Each has a tokenizer of its family's kind, trained on our samples, and is saved as `save_pretrained`
saves it: no record of a training, no setting of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from export.architectures import UNKNOWN, Architecture, architecture_of
from tests.tokenizers_of import tokenizer_of

SAMPLES = Path(__file__).parents[2] / "samples"
CLASSES = ("negative", "neutral", "positive")
POSITIONS = 66
_SIZES: Mapping[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "embedding_size": 48,
    "max_position_embeddings": POSITIONS,
}
_GPT = {"n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
_D_MODEL = {"d_model": 48, "n_layers": 2, "n_heads": 4}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]} | {
    "position_biased_input": False,
    "type_vocab_size": 0,
}
_DEBERTA_V3 = (
    _DEBERTA
    | {"position_buckets": 16, "norm_rel_ebd": "layer_norm"}
    | {
        "share_att_key": True,
    }
)
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


@dataclass(frozen=True, slots=True)
class Family:
    """A model type with the tokenizer that its models have."""

    model_type: str
    tokenizer: str  # one of `tests.tokenizers_of`, or one of this module
    settings: Mapping[str, Any] = field(default_factory=dict)
    spread: float = 0.2  # of the random weights
    typed: bool = False  # whether its tokenizer gives token types, which change its answers

    @property
    def known(self) -> Architecture:
        """Return the rewrites that its models get."""
        return UNKNOWN if self.typed else architecture_of(self.model_type)


FAMILIES: Mapping[str, Family] = {
    "bert": Family("bert", "bert"),
    "distilbert": Family(
        "distilbert", "distilbert", {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    ),
    "roberta": Family("roberta", "roberta"),
    "robertuito": Family("roberta", "robertuito"),
    "xlm-roberta": Family("xlm-roberta", "xlm-roberta"),
    "camembert": Family("camembert", "camembert"),
    "electra": Family("electra", "electra"),
    "albert": Family("albert", "albert"),
    "mpnet": Family("mpnet", "mpnet", spread=0.1),
    "deberta": Family("deberta", "roberta", _DEBERTA),
    "deberta-v3": Family("deberta-v2", "deberta-v2", _DEBERTA_V3),
    "modernbert": Family("modernbert", "modernbert"),
    "gpt2": Family("gpt2", "gpt2", _GPT),
    "gpt2-typed": Family("gpt2", "qwen2", _GPT, typed=True),
    "qwen2": Family("qwen2", "qwen2"),
    "qwen3": Family("qwen3", "qwen2", {"head_dim": 12}),
    "llama": Family("llama", "llama"),
    "llama3": Family("llama", "llama3"),
    "mistral": Family("mistral", "mistral"),
    "gemma": Family("gemma", "gemma", {"head_dim": 12}),
    "gemma2": Family("gemma2", "gemma", {"head_dim": 12}),
    "bloom": Family("bloom", "bloom", {"n_layer": 2, "n_head": 4}),
    "opt": Family("opt", "opt", {"ffn_dim": 64, "word_embed_proj_dim": 48}),
    "phi": Family("phi", "qwen2"),
    "phi3": Family("phi3", "llama"),
    "smollm3": Family("smollm3", "llama3"),
    "gpt-neo": Family(
        "gpt_neo",
        "qwen2",
        {"num_layers": 2, "num_heads": 4} | {"attention_types": [[["global", "local"], 1]]},
        spread=0.05,
    ),
    "gpt-neox": Family("gpt_neox", "qwen2"),
    "gptj": Family("gptj", "qwen2", _GPT | {"rotary_dim": 8}),
    "gpt-bigcode": Family("gpt_bigcode", "qwen2", _GPT),
    "mpt": Family("mpt", "qwen2", _D_MODEL | {"max_seq_len": POSITIONS}),
    "qwen3-moe": Family("qwen3_moe", "qwen2", _EXPERTS | {"head_dim": 12}),
    "convbert": Family("convbert", "bert"),
    "squeezebert": Family("squeezebert", "bert"),
    "mobilebert": Family(
        "mobilebert",
        "bert",
        {"intra_bottleneck_size": 16, "true_hidden_size": 48, "embedding_size": 16},
    ),
    "megatron-bert": Family("megatron-bert", "bert"),
    "rembert": Family("rembert", "albert"),
    "nystromformer": Family("nystromformer", "albert"),
    "roformer": Family("roformer", "bert"),
    "data2vec": Family("data2vec-text", "roberta"),
    "big-bird": Family("big_bird", "albert", {"attention_type": "original_full"}),
    "ibert": Family("ibert", "roberta"),
    "esm": Family("esm", "robertuito"),
}


def table() -> str:
    """Return the rows of the families' table in docs/models.md."""
    head = "| model | model type | pruned | int8 | bf16 | fp16 |\n|---|---|---|---|---|---|\n"
    rows = []
    for name, family in FAMILIES.items():
        known = family.known
        marks = ["yes" if rewrite else "-" for rewrite in (known.prune, known.streams)]
        cells = [name, f"`{family.model_type}`", *marks, "measured", "measured"]
        rows.append(f"| {' | '.join(cells)} |\n")
    return head + "".join(rows)


def save(name: str, directory: Path) -> None:
    """Write the checkpoint of a family."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from tests.export.conftest import spread

    family = FAMILIES[name]
    tokenizer = tokenizer_of(family.tokenizer, directory)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.model_max_length = 64
    if not family.typed:
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names
    tokenizer.padding_side = "right"
    special = {
        f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id")
        for kind in ("pad", "bos", "eos")
        if getattr(tokenizer, f"{kind}_token_id") is not None
    }
    settings = {**_SIZES, **special, "vocab_size": len(tokenizer), **family.settings}
    names = dict(enumerate(CLASSES))
    labels = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    torch.manual_seed(0)
    config = AutoConfig.for_model(family.model_type, **settings, **labels)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, family.spread)
    spread(model, tokenizer)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def raw_texts() -> list[str]:
    """Return 500 texts as users write them; none is blank, no two are equal."""
    plain = [
        *pl.read_csv(SAMPLES / "tweets.csv", infer_schema=False)["text"].drop_nulls().to_list(),
        *pl.read_csv(SAMPLES / "labelled.csv")["text"].to_list(),
    ]
    plain = [text for text in dict.fromkeys(plain) if text.strip()]
    endings = (
        "😂😂", "👩‍👩‍👧‍👦 ❤️", "https://t.co/Ab1?x=1&y=2", "شكرا جزيلا لكم", "תודה רבה", "</s> more",
        "[SEP] [CLS] x", "<|endoftext|> y", "<pad> z", "[PAD] [MASK]", "<|im_end|>",
        "🇪🇸 ¡qué risa!", "“quoted” – dash…", "你好，世界", "&amp; &lt;3", "@user @maria.p #tag",
        "a\tb\nc", "x" * 60, "@usuario url emoji", "<unk> [UNK] <mask>",
    )  # fmt: skip
    changed = [f"{text} {endings[i % len(endings)]}" for i, text in enumerate(plain)]
    long = [" ".join(plain[i : i + 40])[:1000] for i in range(0, len(plain), 25)]
    return [*dict.fromkeys([*long, *plain[::3], *changed, *plain])][:500]


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - for docs/models.md
