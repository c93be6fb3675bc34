"""The hostile checkpoints: what is done to a good one, and the words by which it is refused."""

import json
import os
import pickle
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Change = Callable[[Path], object]
OUTSIDE = "/etc/passwd"
_FILES = "opens files that are not the model's"
_CODE = "can run code that came with the model"
_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """What makes a good checkpoint hostile, and what the refusal says."""

    change: Change
    problem: str


def said(name: str, **entries: Any) -> Change:
    """Add entries to a JSON file, which is made where it is not there."""

    def change(directory: Path) -> None:
        path = directory / name
        content = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.write_text(json.dumps(content | entries), "utf-8")

    return change


def wrote(name: str, content: bytes) -> Change:
    return lambda directory: (directory / name).write_bytes(content)


def linked(name: str, target: str) -> Change:
    def change(directory: Path) -> None:
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(target)

    return change


def weights_are_a_directory(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors").mkdir()


def piped(name: str) -> Change:
    def change(directory: Path) -> None:
        (directory / name).unlink(missing_ok=True)
        os.mkfifo(directory / name)

    return change


def bound(name: str) -> Change:
    """Put a socket in the place of a file; its path may be longer than a socket's address."""

    def change(directory: Path) -> None:
        (directory / name).unlink()
        here = os.open(directory, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(f"/proc/self/fd/{here}/{name}")
        os.close(here)

    return change


def grown(name: str, size: int) -> Change:
    """Make a file as large as it says: the disk holds nothing of it."""

    def change(directory: Path) -> None:
        with (directory / name).open("ab") as file:
            file.truncate(size)

    return change


def header(length: int, text: bytes = b"") -> Change:
    return wrote("model.safetensors", length.to_bytes(8, "little") + text)


def tensors(**entries: Any) -> Change:
    """Write safetensors of a header and eight bytes."""
    text = json.dumps(entries).encode()
    return header(len(text), text + bytes(8))


def index(ending: str, *names: Any) -> Change:
    """Replace the weights by an index that names files, which are there as far as they can be."""

    def change(directory: Path) -> None:
        weights = directory / "model.safetensors"
        stem = {"safetensors": "model", "bin": "pytorch_model"}[ending]
        content = {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}
        path = directory / f"{stem}.{ending}.index.json"
        path.write_text(json.dumps(content), "utf-8")
        weights.rename(directory / f"good.{ending}")

    return change


def adapter(drop: str = "", **entries: Any) -> Change:
    """Make an adapter of the checkpoint; `entries` go into its configuration."""

    def change(directory: Path) -> None:
        weights = directory / "model.safetensors"
        weights.unlink()
        name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
        entry = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
        text = json.dumps({drop or name: entry}).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(8)
        (directory / "adapter_model.safetensors").write_bytes(content)
        config = {"peft_type": "LORA", "base_model_name_or_path": "owner/base", **entries}
        (directory / "adapter_config.json").write_text(json.dumps(config), "utf-8")

    return change


def both(*changes: Change) -> Change:
    return lambda directory: [change(directory) for change in changes]


_TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_KERNEL = "evil/kernel"
_BOMB = pickle.dumps({"weights": [1.0]})
_DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
_SHARDS = [f"model-{i}.safetensors" for i in range(1_001)]

CODE: Mapping[str, Case] = {
    "a model class of its own": Case(
        said("config.json", auto_map={"AutoModel": "evil.Model"}), "has auto_map"
    ),
    "a class of another repository": Case(
        said("config.json", auto_map={"AutoConfig": "evil/x--evil.Config"}), "has auto_map"
    ),
    "a class deep in the configuration": Case(
        said("config.json", text_config={"a": [{"auto_map": {"AutoModel": "x.Y"}}]}), "has auto_map"
    ),
    "a tokenizer class of its own": Case(
        said("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]}), "has auto_map"
    ),
    "a class in the special tokens": Case(
        said("special_tokens_map.json", pad_token={"auto_map": {"a": "x.Y"}}), "has auto_map"
    ),
    "a class in the added tokens": Case(
        said("added_tokens.json", auto_map={"AutoTokenizer": "evil.T"}), "has auto_map"
    ),
    "a kernel for attention, CVE-2026-4372": Case(
        said("config.json", _attn_implementation_internal=_KERNEL), _CODE
    ),
    "the same in a part": Case(
        said("config.json", text_config={"_attn_implementation_internal": _KERNEL}), _CODE
    ),
    "a kernel by its other name": Case(said("config.json", _attn_implementation=_KERNEL), _CODE),
    "a kernel by its plain name": Case(said("config.json", attn_implementation=_KERNEL), _CODE),
    "a kernel for experts": Case(said("config.json", experts_implementation=_KERNEL), _CODE),
    "its inner name": Case(said("config.json", _experts_implementation=_KERNEL), _CODE),
    "kernels for all": Case(said("config.json", use_kernels=True), _CODE),
    "kernels by a table": Case(said("config.json", kernel_config={"RMSNorm": _KERNEL}), _CODE),
    "trust in itself, CVE-2026-5241": Case(said("config.json", trust_remote_code=True), _CODE),
    "trust in a part": Case(said("config.json", encoder={"trust_remote_code": 1}), _CODE),
    "pipelines": Case(said("config.json", custom_pipelines={"x": {"impl": "evil.P"}}), _CODE),
    "a quantizer": Case(said("config.json", quantization_config={"quant_method": "hqq"}), _CODE),
    "a compressor": Case(said("config.json", compression_config={"format": "x"}), _CODE),
    "a tokenizer object": Case(said("tokenizer_config.json", tokenizer_object="x"), _CODE),
    "a slow tokenizer": Case(said("tokenizer_config.json", __slow_tokenizer="x"), _CODE),
    "a kernel for the tokenizer": Case(said("tokenizer_config.json", use_kernels=True), _CODE),
}

PATHS: Mapping[str, Case] = {
    "weights by a path": Case(said("config.json", transformers_weights="../../x.bin"), _FILES),
    "weights by another name": Case(said("config.json", transformers_weights="x.bin"), _FILES),
    "a GGUF file": Case(said("tokenizer_config.json", gguf_file="/x.gguf"), _FILES),
    "arguments by position": Case(said("tokenizer_config.json", init_inputs=[OUTSIDE]), _FILES),
    "a vocabulary by an absolute path": Case(
        said("tokenizer_config.json", vocab_file=OUTSIDE), "has vocab_file '/etc/passwd', a file"
    ),
    "a vocabulary above": Case(said("tokenizer_config.json", vocab_file="../x"), "has vocab_file"),
    "a vocabulary at home": Case(
        said("tokenizer_config.json", vocab_file="~/.ssh/id_rsa"), "has vocab_file"
    ),
    "a vocabulary on Windows": Case(
        said("tokenizer_config.json", vocab_file="C:\\x"), "has vocab_file"
    ),
    "a vocabulary below": Case(said("tokenizer_config.json", vocab_file="a/b"), "has vocab_file"),
    "a vocabulary by an address": Case(
        said("tokenizer_config.json", vocab_file="https://evil/x"), "has vocab_file"
    ),
    "two vocabularies": Case(said("tokenizer_config.json", vocab_file=[OUTSIDE]), "has vocab_file"),
    "the directory as a vocabulary": Case(
        said("tokenizer_config.json", vocab_file=".."), "has vocab_file"
    ),
    "merges elsewhere": Case(said("tokenizer_config.json", merges_file=OUTSIDE), "has merges_file"),
    "a tokenizer elsewhere": Case(
        said("tokenizer_config.json", tokenizer_file=OUTSIDE), "has tokenizer_file"
    ),
    "a SentencePiece model elsewhere": Case(
        said("tokenizer_config.json", spm_file=OUTSIDE), "has spm_file"
    ),
    **{
        f"a link out in the place of {name}": Case(
            linked(name, OUTSIDE), "outside of its directory"
        )
        for name in (
            *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
            *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json"),
            *("merges.txt", "spiece.model", "README.md", "LICENSE", "training.json"),
        )
    },
    "a link above": Case(linked("vocab.txt", "../x"), "cannot be read|outside of its directory"),
    "a link to a device": Case(
        linked("model.safetensors", "/dev/zero"), "outside of its directory"
    ),
    "a link to itself": Case(linked("config.json", "config.json"), "cannot be read"),
    "a link to nothing": Case(linked("vocab.txt", "nothing"), "cannot be read"),
    "a link to memory": Case(linked("vocab.txt", "/proc/self/mem"), "outside of its directory"),
    **{
        f"a pipe in the place of {name}": Case(piped(name), "is not a regular file")
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
    },
    "a pipe for weights": Case(piped("model.safetensors"), "is not a regular file"),
    "a socket for weights": Case(bound("model.safetensors"), "is not a regular file"),
}

SIZES: Mapping[str, Case] = {
    "configuration of 17 MiB": Case(grown("config.json", 17 * _MIB), "more than 16,777,216"),
    "vocabulary of a terabyte": Case(grown("vocab.txt", 1 << 40), "more than 16,777,216"),
    "weights of a terabyte": Case(grown("model.safetensors", 1 << 40), "more than 8,589,934,592"),
    "a card of a gigabyte": Case(grown("README.md", 1 << 30), "more than 16,777,216"),
    "JSON 100,000 deep": Case(wrote("config.json", _DEEP), "is not JSON"),
    "tokens 100,000 deep": Case(wrote("special_tokens_map.json", _DEEP), "is not JSON"),
    "a number of a million digits": Case(
        wrote("config.json", b'{"vocab_size": ' + b"9" * 10**6 + b"}"), "is not JSON"
    ),
    "a key twice": Case(
        wrote("config.json", b'{"model_type": "bert", "model_type": "evil"}'),
        "a key is there twice",
    ),
    "not a number": Case(wrote("config.json", b'{"hidden_size": NaN}'), "NaN is no number"),
    "no object": Case(wrote("config.json", b"[]"), "is not a JSON object"),
    "no JSON": Case(wrote("tokenizer_config.json", b"\xff\xfe"), "is not JSON"),
    "more than a million values": Case(
        wrote("config.json", b'{"a":[' + b"0," * 10**6 + b"0]}"), "more than 1,000,000 values"
    ),
    "a header of 2^63 bytes": Case(header(1 << 63), "is not a safetensors file"),
    "a header of a gigabyte": Case(header(1 << 30), "is not a safetensors file"),
    "a header of 9 MiB": Case(header(9 * _MIB, b" " * 9 * _MIB), "is not a safetensors file"),
    "an empty header": Case(header(0), "is not a safetensors file"),
    "a header that is no JSON": Case(header(4, b"evil"), "is not JSON"),
    "a header 100,000 deep": Case(header(len(_DEEP), _DEEP), "is not JSON"),
    "a tensor beyond the end": Case(
        tensors(a=_TENSOR | {"shape": [4], "data_offsets": [0, 16]}), "overlap, or do not fill"
    ),
    "tensors that overlap": Case(tensors(a=_TENSOR, b=_TENSOR), "overlap, or do not fill"),
    "bytes of no tensor": Case(
        tensors(a=_TENSOR | {"shape": [1], "data_offsets": [4, 8]}), "overlap, or do not fill"
    ),
    "a tensor of 10^18 numbers": Case(
        tensors(a=_TENSOR | {"shape": [10**9, 10**9]}), "without type, shape and place"
    ),
    "a tensor of nine dimensions": Case(
        tensors(a=_TENSOR | {"shape": [1] * 8 + [2]}), "without type, shape and place"
    ),
    "a tensor before the start": Case(
        tensors(a=_TENSOR | {"data_offsets": [-8, 0]}), "without type, shape and place"
    ),
    "numbers of no known type": Case(
        tensors(a=_TENSOR | {"dtype": "PYOBJ"}), "without type, shape and place"
    ),
}

SHARDS: Mapping[str, Case] = {
    "a shard above": Case(
        index("safetensors", "../x.safetensors"), "which is no .safetensors file"
    ),
    "a shard anywhere": Case(index("safetensors", OUTSIDE), "which is no .safetensors file"),
    "a shard below": Case(index("safetensors", "a/b.safetensors"), "which is no .safetensors file"),
    "a shard with a newline": Case(index("safetensors", "a.safetensors\n"), "which is no"),
    "a shard with a NUL": Case(index("safetensors", "a\0.safetensors"), "which is no"),
    "a shard that is hidden": Case(index("safetensors", ".safetensors"), "which is no"),
    "a shard that is a pickle": Case(index("safetensors", "good.bin"), "which is no .safetensors"),
    "a shard that is a number": Case(index("safetensors", 1), "in which files the weights are"),
    "no shard": Case(index("safetensors"), "in which files the weights are"),
    "1,001 shards": Case(index("safetensors", *_SHARDS), "in which files the weights are"),
    "a shard that is not there": Case(index("safetensors", "x.safetensors"), "cannot be read"),
    "a shard that is a link out": Case(
        both(index("safetensors", "x.safetensors"), linked("x.safetensors", OUTSIDE)),
        "outside of its directory",
    ),
    "a shard that is a pipe": Case(
        both(index("safetensors", "x.safetensors"), piped("x.safetensors")), "not a regular file"
    ),
    "a pickled shard above": Case(index("bin", "../x.bin"), "which is no .bin file"),
    "a pickled shard that is a link out": Case(
        both(index("bin", "x.bin"), linked("x.bin", OUTSIDE)), "outside of its directory"
    ),
    "an index that is no index": Case(
        both(index("safetensors"), wrote("model.safetensors.index.json", b"[]")),
        "not a JSON object",
    ),
    "weights that are a directory": Case(
        weights_are_a_directory,
        "has no weights of PyTorch",
    ),
}

ADAPTERS: Mapping[str, Case] = {
    "an adapter of another kind": Case(adapter(peft_type="BONE"), "of the type 'BONE'"),
    "an adapter of no kind": Case(adapter(peft_type=None), "of the type None"),
    "a class in an adapter": Case(
        adapter(auto_mapping={"base_model_class": "M", "parent_library": "evil"}), "auto_mapping"
    ),
    "a library by a path": Case(
        adapter(auto_mapping={"parent_library": "transformers/../evil"}), "auto_mapping"
    ),
    "code that was trusted before": Case(
        adapter(auto_mapping={"parent_library": "transformers_modules.evil.model"}), "auto_mapping"
    ),
    "a pattern for layers": Case(adapter(rank_pattern={"(a+)+$": 8}), "has rank_pattern"),
    "a pattern for scales": Case(adapter(alpha_pattern={"^(.*)*$": 8}), "has alpha_pattern"),
    "a pattern for saved layers": Case(adapter(modules_to_save=["(a|a)*"]), "has modules_to_save"),
    "a library for training": Case(adapter(megatron_config={"a": 1}), "has megatron_config"),
    "what nobody knows": Case(adapter(brand_new={"a": 1}), "has brand_new"),
    "layers that are copied": Case(adapter(layer_replication=[[0, 9]]), "has layer_replication"),
    "a base that was changed": Case(adapter(init_lora_weights="pissa_niter_4"), "pissa_niter_4"),
    "no LoRA": Case(adapter(drop="weight"), "weights that are not those of LoRA"),
    "layers named like a pattern": Case(
        adapter(drop="(a+)+$.lora_A.weight"), "weights that are not those of LoRA"
    ),
    "a base anywhere": Case(adapter(base_model_name_or_path="/etc"), "holds no config.json"),
    "a base above": Case(adapter(base_model_name_or_path="../../x"), "which is not found"),
    "a base at home": Case(adapter(base_model_name_or_path="~/x"), "which is not found"),
    "a base by an address": Case(
        adapter(base_model_name_or_path="https://evil/x"), "which is not found"
    ),
    "a base with a newline": Case(adapter(base_model_name_or_path="a\nb/c"), "which is not found"),
    "a base that is a number": Case(adapter(base_model_name_or_path=1), "which is not found"),
    "a base that is itself": Case(
        lambda directory: adapter(base_model_name_or_path=str(directory))(directory),
        "is an adapter itself",
    ),
    "a model and an adapter": Case(
        both(adapter(), header(8, b"{}      ")), "holds a whole model, model.safetensors, and an"
    ),
    "an adapter by a link": Case(
        both(adapter(), linked("adapter_config.json", OUTSIDE)), "outside of its directory"
    ),
}

TYPES: Mapping[str, Case] = {
    "a vocabulary of no size": Case(said("config.json", vocab_size="x"), r"`\$\.vocab_size`"),
    "a vocabulary of 10^30 words": Case(said("config.json", vocab_size=10**30), r"\$\.vocab_size"),
    "classes by words": Case(said("config.json", id2label={"x": "y"}), "`id2label`|id2label"),
    "classes in a row": Case(said("config.json", id2label=["a", "b"]), r"`\$\.id2label`"),
    "a pad of three": Case(said("config.json", pad_token_id=[1, 2, 3]), r"`\$\.pad_token_id`"),
    "a temperature of 10^308": Case(said("training.json", temperature=1e308), "temperature"),
    "a text for a temperature": Case(said("training.json", temperature="hot"), "temperature"),
    "a length of minus one": Case(said("training.json", max_length=-1), "max_length"),
}

CASES = {**TYPES, **CODE, **PATHS, **SIZES, **SHARDS, **ADAPTERS}
#: How many there are: docs/guarantees.md quotes it.
COUNT = 134
