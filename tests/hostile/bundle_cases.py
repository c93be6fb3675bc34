"""The hostile bundles: what is done to a good one, and the words by which it must be refused."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

from onnx import TensorProto

from tests.hostile.bundle_factory import (
    HUGE,
    OUTSIDE,
    Case,
    appended,
    bound_socket,
    canary,
    canary_id,
    first_tensor,
    float_ids,
    graph,
    graph_file,
    grown,
    header,
    in_function,
    in_sparse,
    in_training,
    inline_giant,
    inner_graph,
    input_called,
    instead,
    linked_directory,
    listed,
    lists,
    metadata,
    node,
    output_called,
    place,
    put,
    renamed,
    replaced,
    smuggled,
    text_in,
    unlisted,
    weight,
)
from tests.hostile.tokenizer_cases import TOKENIZERS

PICKLE = pickle.dumps({"weights": [1.0]})
_OUT = "outside the data section"
_NO_NUMBER = "offset or length is no number"
_NOT_STORED = "something else than fp32, fp16 or bf16"
_UNNEEDED = "which no bundle needs"

GRAPHS: Mapping[str, Case] = {
    "data in a parent directory": Case(
        place(location=f"../{OUTSIDE}"), "keeps data in '../outside"
    ),
    "data at an absolute path": Case(place(location="/etc/passwd"), "keeps data in '/etc/passwd'"),
    "data in a dotted path": Case(place(location="./model.safetensors"), "keeps data in './"),
    "data behind a NUL": Case(place(location="model.safetensors\0/x"), "keeps data in"),
    "data behind a newline": Case(place(location="model.safetensors\n"), "keeps data in"),
    "data under a giant name": Case(place(location="x" * 10**6), "keeps data in 'xxx"),
    "data in memory": Case(place(location="*/_ORT_MEM_ADDR_/*"), "keeps data in"),
    "data in another listed file": Case(place(location="tokenizer.json"), "keeps data in 'tok"),
    "offset past the end": Case(place(offset=str(10**15)), _OUT),
    "offset in the header": Case(place(offset="8"), _OUT),
    "offset negative": Case(place(offset="-8"), _NO_NUMBER),
    "offset beyond 64 bits": Case(place(offset=str(2**64 + 4096)), _NO_NUMBER),
    "offset of a million digits": Case(place(offset="9" * 10**6), _NO_NUMBER),
    "length negative": Case(place(length="-1"), _NO_NUMBER),
    "length beyond 64 bits": Case(place(length=str(2**64 + 8)), _NO_NUMBER),
    "length beyond the tensor": Case(place(length=str(10**12)), _NOT_STORED),
    "prepacked data": Case(place(prepacked_0=f"w|0;4096;{OUTSIDE}"), "once each"),
    "weight of a giant shape": Case(weight(dims=[HUGE, HUGE]), _NOT_STORED),
    "weight of a negative shape": Case(weight(dims=[-1, -8]), _NOT_STORED),
    "weight of strings": Case(weight(data_type=TensorProto.STRING), _NOT_STORED),
    "weight of doubles": Case(weight(data_type=TensorProto.DOUBLE), _NOT_STORED),
    "fp32 weight in the bytes of an fp16 one": Case(
        weight(data_type=TensorProto.FLOAT), _NOT_STORED
    ),
    "weight that begins within another": Case(place(offset="12345"), _NOT_STORED),
    "constant of a giant shape": Case(graph(inline_giant), "a tensor without its data"),
    "reference in a function": Case(graph(in_function), _UNNEEDED),
    "reference in a branch": Case(
        node("If", then_branch=inner_graph(), else_branch=inner_graph()), _UNNEEDED
    ),
    "loop without an end": Case(node("Loop", body=inner_graph()), _UNNEEDED),
    "reference in a training graph": Case(graph(in_training), _UNNEEDED),
    "reference in a sparse tensor": Case(graph(in_sparse), _UNNEEDED),
    "reference in a smuggled field": Case(smuggled, "a field with the number"),
    "operator of somebody's own": Case(node("Run", "com.example"), "of the domain 'com.example'"),
    "operator of a contributor": Case(node("Gelu", "com.microsoft"), "of the domain 'com.micro"),
    "foreign input": Case(input_called("pixels"), "it is no text classifier"),
    "ids that are no integers": Case(graph(float_ids), "it is no text classifier"),
    "foreign output": Case(output_called("boxes"), "it is no text classifier"),
    "graph cut short": Case(grown("model.onnx", 1000), "is not an ONNX graph"),
    "graph that is a pickle": Case(replaced("model.onnx", PICKLE), "is not an ONNX graph"),
    "graph of a giant size": Case(
        grown("model.onnx", 2**33), "more than 4194304 are not allowed", rehash=False
    ),
    "graph in another format": Case(graph_file("model.ort"), r"graphs in .*not in .onnx files"),
    "graph in the weights": Case(graph_file("model.safetensors"), "not in .onnx files"),
}

FILES: Mapping[str, Case] = {
    "link to a file outside": Case(
        instead("vocab.txt", lambda path: path.symlink_to(f"../{OUTSIDE}")), "vocab.txt is a link"
    ),
    "link in place of the metadata": Case(
        instead("tweetscore.json", lambda path: path.symlink_to("config.json")),
        "tweetscore.json is not a regular file",
        rehash=False,
    ),
    "linked directory": Case(linked_directory, "more is a link"),
    "directory in place of a file": Case(instead("vocab.txt", Path.mkdir), "is a directory"),
    "pipe in place of a file": Case(instead("vocab.txt", os.mkfifo), "is not a regular file"),
    "pipe in place of the metadata": Case(
        instead("tweetscore.json", os.mkfifo), "is not a regular file", rehash=False
    ),
    "pipe beside the files": Case(lambda d: os.mkfifo(d / "notes.txt"), "is not a regular file"),
    "socket in place of a file": Case(instead("vocab.txt", bound_socket), "is not a regular file"),
    "listed pickle": Case(listed("pytorch_model.bin", PICKLE), "may hold code"),
    "unlisted pickle": Case(unlisted("optimizer.pkl", PICKLE), "may hold code"),
    "unlisted checkpoint": Case(unlisted("model.PT", PICKLE), "may hold code"),
    "pickle called config.json": Case(replaced("config.json", PICKLE), "is not JSON"),
    "pickle called model.safetensors": Case(
        replaced("model.safetensors", PICKLE), "is not a safetensors file"
    ),
    "Python module": Case(unlisted("modeling_bert.py", b"raise SystemExit"), "may hold code"),
    "shared library": Case(unlisted("custom_ops.so"), "may hold code"),
    "unknown kind of file": Case(unlisted("model.gguf"), "may hold code"),
    "wrong hash": Case(
        appended("tokenizer.json", b" "), "tokenizer.json does not have the sha256", rehash=False
    ),
    "missing file": Case(lambda d: (d / "vocab.txt").unlink(), "vocab.txt cannot be read"),
    "listed parent directory": Case(lists(f"../{OUTSIDE}"), "not a plain file name"),
    "listed absolute path": Case(lists("/etc/passwd"), "not a plain file name"),
    "listed name with a NUL": Case(lists("vocab.txt\0"), "not a plain file name"),
    "listed name with a newline": Case(lists("vocab\n.txt"), "not a plain file name"),
    "listed hidden file": Case(listed(".netrc"), "not a plain file name"),
    "weights of a giant size": Case(
        grown("model.safetensors", 2**40), "more than 8589934592 are not allowed", rehash=False
    ),
}

JSON: Mapping[str, Case] = {
    "JSON of a giant size": Case(
        appended("config.json", b" " * 2**24), "more than 16777216 are not allowed"
    ),
    "tokenizer of a giant size": Case(
        grown("tokenizer.json", 2**26), "more than 41943040 are not allowed", rehash=False
    ),
    "JSON nested a million deep": Case(replaced("config.json", b"[" * 10**6), "is not JSON"),
    "number of a million digits": Case(
        text_in("config.json", '"vocab_size": ', '"vocab_size": ' + "9" * 10**6), "is not JSON"
    ),
    "key twice": Case(
        text_in(
            "tokenizer.json", '"normalizer":', '"normalizer": {"type": "Replace"}, "normalizer":'
        ),
        "a key is there twice",
    ),
    "JSON in UTF-16": Case(
        lambda d: (d / "config.json").write_text((d / "config.json").read_text(), "utf-16"),
        "is not JSON",
    ),
    "JSON in no encoding": Case(appended("config.json", b"\xff"), "is not JSON"),
    "JSON list": Case(replaced("config.json", b"[]"), "is not a JSON object"),
    "temperature that is no number": Case(metadata(temperature=float("nan")), "NaN is no number"),
    "temperature without a bound": Case(
        text_in("tweetscore.json", '"temperature": 1.5', '"temperature": 1e999'),
        "needs temperature",
        rehash=False,
    ),
    "giant max_length": Case(metadata(max_length=HUGE), "needs max_length"),
    "max_length beyond the positions": Case(metadata(max_length=4096), "too few for 4096 tokens"),
    "padded to a giant length": Case(metadata(pad_to=HUGE), "needs pad_to"),
    "giant pad id": Case(metadata(pad_token_id=HUGE), f"{HUGE} is not one of them"),
    "a million labels": Case(metadata(labels=[str(i) for i in range(10**6)]), "at most 1000"),
    "label that drives the terminal": Case(
        metadata(labels=["\x1b]0;owned\x07", "b", "c"]), "needs labels"
    ),
    "label of half a letter": Case(metadata(labels=["\ud83d", "b", "c"]), "needs labels"),
    "name of a giant size": Case(metadata(name="x" * 10**6), "needs name"),
    "libraries that are none": Case(metadata(libraries=[]), "needs libraries"),
    "code of its own": Case(
        put("config.json", auto_map={"AutoModel": "evil.Model"}), "asks for code of its own"
    ),
    "config with more tokens than weights": Case(put("config.json", vocab_size=HUGE), "vocab_size"),
    "config with more positions than weights": Case(
        put("config.json", max_position_embeddings=HUGE), "positions, and the weights have 64"
    ),
    "config with a giant list of labels": Case(
        put("config.json", id2label={str(i): "x" for i in range(10**5)}), "has id2label"
    ),
    "canary of a million texts": Case(canary(texts=["x"] * 10**6), "needs texts"),
    "canary with a giant id": Case(canary_id(HUGE), "no text of this model can get"),
    "canary with a giant row": Case(canary(token_ids=[[0] * 10**5] * 10), "no text of this model"),
    "canary with texts that are none": Case(canary(texts=[1] * 10), "a text that is none"),
    "canary with half a letter": Case(canary(texts=["\ud83d"] * 10), "a text that is none"),
    "canary with logits of another shape": Case(
        canary(logits=[[0.0] * 10] * 10), "logits of shape"
    ),
    "canary with ragged logits": Case(canary(logits=[[0.0]] * 9 + [[]]), "logits that are not num"),
    "canary with a giant logit": Case(
        canary(logits=[[10**400] * 3] * 10), "logits that are not num"
    ),
    "canary with an infinite logit": Case(canary(logits=[[1e39] * 3] * 10), "not finite"),
}

WEIGHTS: Mapping[str, Case] = {
    "header longer than the file": Case(
        replaced("model.safetensors", b"\xff" * 8 + b"{}"), "is not a safetensors file"
    ),
    "header of no JSON": Case(
        replaced("model.safetensors", (2).to_bytes(8, "little") + b"()"), "is not JSON"
    ),
    "file without a header": Case(replaced("model.safetensors", b""), "is not a safetensors file"),
    "tensor of another size than its shape": Case(
        header(lambda content: first_tensor(content).update(shape=[HUGE, HUGE])),
        "without type, shape and place",
    ),
    "tensor beyond the end": Case(
        header(
            lambda content: first_tensor(content).update(shape=[HUGE], data_offsets=[0, 2 * HUGE])
        ),
        "overlap, or do not fill",
    ),
    "tensor with a negative place": Case(
        header(lambda content: first_tensor(content).update(data_offsets=[-2, 0])),
        "without type, shape and place",
    ),
    "tensor of an unknown type": Case(
        header(lambda content: first_tensor(content).update(dtype="PICKLE")),
        "without type, shape and place",
    ),
    "fp32 tensor in the bytes of an fp16 one": Case(
        header(lambda content: first_tensor(content).update(dtype="F32")),
        "without type, shape and place",
    ),
    "tensor of a type that no graph reads": Case(
        header(lambda content: first_tensor(content).update(dtype="F8_E4M3")),
        "without type, shape and place",
    ),
    "overlapping tensors": Case(
        header(lambda content: content.update(more=first_tensor(content))), "overlap"
    ),
    "payload behind the tensors": Case(appended("model.safetensors", PICKLE), "do not fill"),
    "weights without embeddings": Case(
        header(renamed("bert.embeddings.word_embeddings.weight", "x")), "the weights have 0 rows"
    ),
}

CASES: Mapping[str, Case] = {**GRAPHS, **FILES, **JSON, **TOKENIZERS, **WEIGHTS}
