"""A bundle is verified before anything in it is loaded."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scorer.errors import DeviceUnavailable, InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle, untrusted
from scorer.inference.bundle.configs import verify_config
from scorer.inference.normalize import Normalizer

Change = Callable[[Path], None]


@pytest.fixture
def bundle(tiny_bert_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert_bundle, tmp_path / "bundle"))


def rewrite(directory: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one JSON file and record its new hash, as an attacker would."""
    path = directory / name
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))
    if name != "tweetscore.json":
        record(directory, name)


def record(directory: Path, name: str) -> None:
    digest = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    rewrite(directory, "tweetscore.json", lambda m: m["files"].update({name: digest}))


def metadata(**fields: Any) -> Change:
    return lambda directory: rewrite(directory, "tweetscore.json", lambda m: m.update(fields))


def tables(**fields: Any) -> dict[str, Any]:
    names = {"tokens": "word", "positions": "position"}
    known = {each: f"bert.embeddings.{name}_embeddings.weight" for each, name in names.items()}
    return known | fields


def config(**fields: Any) -> Change:
    return lambda directory: rewrite(directory, "config.json", lambda c: c.update(fields))


def tokenizer(part: str, component: Any) -> Change:
    return lambda directory: rewrite(
        directory, "tokenizer.json", lambda t: t.update({part: component})
    )


def canary(**fields: Any) -> Change:
    return lambda directory: rewrite(directory, "canary.json", lambda c: c.update(fields))


def test_a_sound_bundle_opens(tiny_bert_bundle: Path) -> None:
    """Everything the rest of the program asks for is read from it."""
    bundle = open_bundle(tiny_bert_bundle)
    assert bundle.labels == ("negative", "neutral", "positive")
    assert (bundle.model_type, bundle.max_length, bundle.temperature) == ("bert", 48, 1.5)
    assert bundle.normalizer == Normalizer(emoji="words")
    assert bundle.graph("fp16").name == "model_fp16.onnx"
    assert bundle.graph("bf16") == bundle.graph("fp32") == tiny_bert_bundle / "model.onnx"
    content = (tiny_bert_bundle / "tweetscore.json").read_bytes()
    assert bundle.digest == hashlib.sha256(content).hexdigest()
    known = bundle.canary()
    assert known.logits.shape == (len(known.texts), 3)
    assert known.logits.dtype == np.float32


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "config.json", "vocab.txt"])
def test_one_changed_byte_is_found(bundle: Path, name: str) -> None:
    """Whichever file it is in, the message names the file."""
    path = bundle / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidBundle, match=rf"{name} does not have the sha256"):
        open_bundle(bundle)


def test_a_damaged_header_of_the_weights_is_called_damage(bundle: Path) -> None:
    """Its hash says more than what the header looks like, however long it takes to compute."""
    path = bundle / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[8] ^= 1  # the brace that opens the header
    path.write_bytes(content)
    with pytest.raises(InvalidBundle, match=r"model\.safetensors does not have the sha256"):
        open_bundle(bundle)


def test_the_weights_that_were_checked_are_those_that_were_hashed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file may take their place in between, even one with the right hash."""
    read, verify, swapped = untrusted.read_weights, untrusted.verify_hashes, threading.Event()

    def swap(path: Path) -> untrusted.Weights:
        weights = read(path)
        shutil.copyfile(path, twin := path.with_suffix(".twin"))
        twin.replace(path)
        swapped.set()
        return weights

    def late(*arguments: Any) -> Any:
        assert swapped.wait(30)
        return verify(*arguments)

    monkeypatch.setattr(untrusted, "read_weights", swap)
    monkeypatch.setattr(untrusted, "verify_hashes", late)
    with pytest.raises(InvalidBundle, match=r"model\.safetensors changed while it was read"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tweetscore.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    """A file that is gone is the first thing to know."""
    (bundle / name).unlink()
    with pytest.raises(InvalidBundle, match=f"{name} cannot be read"):
        open_bundle(bundle)


@pytest.mark.parametrize("path", ["nowhere", "bundle/config.json"])
def test_a_path_that_is_no_directory(bundle: Path, path: str) -> None:
    """A wrong path is said to be no bundle."""
    with pytest.raises(InvalidBundle, match="is not a model bundle"):
        open_bundle(bundle.parent / path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (metadata(schema_version=3), "schema version 3"),
        (metadata(schema_version=None), "schema version None"),
        (metadata(name=""), "needs name"),
        (metadata(model_type=""), "needs model_type"),
        (metadata(model_type="llama"), "has model_type 'bert', not llama"),
        (metadata(tables={"tokens": 1}), "needs tables"),
        (metadata(tables={"tokens": "no.such"}), "and the weights have 0 rows"),
        (metadata(tables=tables(positions="no.such")), "64 positions, and the weights have 0"),
        (metadata(tables=tables(first=20)), "too few for 48 tokens"),
        (metadata(labels=["one"]), "at least two labels"),
        (metadata(labels=["a", "a"]), "all different"),
        (metadata(labels="abc"), "a list of names"),
        (metadata(labels=["a", 1, None]), "a list of names"),
        (metadata(max_length=True), "needs max_length"),
        (metadata(max_length=0), "needs max_length"),
        (metadata(max_length=65), "too few for 65 tokens"),
        (metadata(pad_token_id=-1), "needs pad_token_id"),
        (metadata(temperature=0), "needs temperature"),
        (metadata(temperature=float("nan")), "not JSON"),
        (metadata(temperature="1"), "needs temperature"),
        (metadata(temperature=10**400), "needs temperature"),
        (metadata(normalizer={"version": 2, "emoji": "keep"}), "needs normaliser"),
        (metadata(normalizer={"version": 1, "emoji": "keep", "name": "ours"}), "needs normaliser"),
        (metadata(normalizer={"version": 1, "emoji": "keep", "name": ["none"]}), "has none 1"),
        (metadata(normalizer={"version": 1, "emoji": "words", "name": "none"}), "keeps emoji"),
        (metadata(truncation_side="middle"), "truncation_side"),
        (metadata(normalizer={"version": 1, "emoji": "drop"}), "emoji words or keep"),
        (metadata(graphs={"fp16": "model_fp16.onnx"}), "needs a graph for fp32"),
        (metadata(graphs={"fp32": "model.onnx", "int4": "x.onnx"}), "needs a graph for fp32"),
        (metadata(graphs={"fp32": "other.onnx"}), "does not list other.onnx"),
        (metadata(files=[]), "needs files"),
        (metadata(files={}), "does not list config.json"),
        (config(model_type="gpt2"), "has model_type 'gpt2'"),
        (config(auto_map={"AutoModel": "m.M"}), "code of its own"),
        (config(id2label={"0": "positive", "1": "neutral", "2": "negative"}), "has id2label"),
        (config(max_position_embeddings=16), "16 positions, and the weights have 64"),
        (config(vocab_size=10**9), r"vocab_size 1000000000, and the weights have \d+ rows"),
        (
            tokenizer("normalizer", {"type": "Replace", "pattern": {"Regex": "(a+)+"}}),
            "linear time",
        ),
        (tokenizer("normalizer", {"type": "Precompiled"}), "without its table"),
        (tokenizer("pre_tokenizer", {"type": "Split"}), "the pattern None"),
        (tokenizer("pre_tokenizer", {"type": "FixedLength"}), "'FixedLength'"),
        (tokenizer("pre_tokenizer", "BertPreTokenizer"), "of the type 'str'"),
        (tokenizer("model", {"type": "Unigram"}), "needs a vocabulary"),
        (tokenizer("model", None), "of the type 'NoneType'"),
        (
            tokenizer(
                "pre_tokenizer",
                {
                    "type": "Sequence",
                    "pretokenizers": [{"type": "ByteLevel"}, {"type": "FixedLength"}],
                },
            ),
            "'FixedLength'",
        ),
    ],
)
def test_what_it_says_is_checked(bundle: Path, change: Change, problem: str) -> None:
    """A bundle with matching hashes and wrong content is refused, in one line with a remedy."""
    change(bundle)
    with pytest.raises(InvalidBundle, match=problem) as refusal:
        open_bundle(bundle)
    assert refusal.value.remedy
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/hostname", "a/b.json", "..", ".hidden"])
def test_no_path_leaves_the_directory(bundle: Path, name: str) -> None:
    """A listed name is a plain file name of the directory."""
    rewrite(bundle, "tweetscore.json", lambda m: m["files"].update({name: "0" * 64}))
    with pytest.raises(InvalidBundle, match="not a plain file name"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tweetscore.json"])
def test_links_are_refused(bundle: Path, name: str) -> None:
    """A link to the very same content is still a link."""
    outside = bundle.parent / name
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    with pytest.raises(InvalidBundle, match=f"{name} is (a link|not a regular file)"):
        open_bundle(bundle)


def test_hard_links_and_a_linked_directory_are_fine(bundle: Path) -> None:
    """Installers hard-link files, and `current` may be a link to a version."""
    os.link(bundle / "model.safetensors", bundle.parent / "the-installers-cache")
    (bundle.parent / "current").symlink_to(bundle)
    assert open_bundle(bundle.parent / "current").directory == bundle.resolve()


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "extra.PKL", "x.pt", "a.so"])
@pytest.mark.parametrize("listed", [True, False])
def test_code_and_pickles_are_refused(bundle: Path, name: str, listed: bool) -> None:
    """Listed or not, nothing lies there that a tool would unpickle or import."""
    (bundle / name).write_bytes(b"x")
    if listed:
        record(bundle, name)
    with pytest.raises(InvalidBundle, match=f"{name} may hold code"):
        open_bundle(bundle)


def test_a_directory_is_refused_and_a_notice_is_not(bundle: Path) -> None:
    """A bundle is flat; a stray text file or a .gitattributes is harmless."""
    (bundle / "NOTES.txt").write_text("mine")
    (bundle / ".gitattributes").write_text("* binary")
    open_bundle(bundle)
    (bundle / "code").mkdir()
    with pytest.raises(InvalidBundle, match="is a directory"):
        open_bundle(bundle)


def test_a_pipe_is_refused_before_it_is_read(bundle: Path) -> None:
    """A named pipe would hang the night."""
    (bundle / "vocab.txt").unlink()
    os.mkfifo(bundle / "vocab.txt")
    with pytest.raises(InvalidBundle, match="not a regular file"):
        open_bundle(bundle)


def test_an_oversized_file_is_refused_before_it_is_read(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte over the limit of its kind is too much."""
    size = (bundle / "canary.json").stat().st_size
    monkeypatch.setitem(untrusted._MAX_BYTES, ".json", size - 1)
    with pytest.raises(InvalidBundle, match=r"json has \d+ bytes, more than"):
        open_bundle(bundle)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '"x"', "\xff"])
def test_metadata_that_is_no_object(bundle: Path, content: str) -> None:
    """Broken, absurdly nested or other JSON is one clear error."""
    (bundle / "tweetscore.json").write_text(content, encoding="latin-1")
    with pytest.raises(InvalidBundle, match=r"tweetscore.json is not (JSON|a JSON object)"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"location": "../../etc/passwd"}, "keeps data in '../../etc/passwd'"),
        ({"location": "/etc/passwd"}, "keeps data in"),
        ({"location": "config.json"}, "keeps data in 'config.json'"),
        ({"offset": "0"}, "outside the data section"),
        ({"offset": "99999999996"}, "outside the data section"),
        ({"offset": "-8"}, "offset or length is no number"),
        ({"length": "8"}, "something else than fp32, fp16 or bf16 tensors"),
        ({"length": "-1"}, "offset or length is no number"),
        ({"length": ""}, "offset or length is no number"),
    ],
)
def test_a_graph_stays_inside_the_weights(
    bundle: Path, change: dict[str, str], problem: str
) -> None:
    """External data is bytes of the tensors in model.safetensors, and nothing else."""
    import onnx

    graph = onnx.load(bundle / "model.onnx", load_external_data=False)
    outside = next(t for t in graph.graph.initializer if t.external_data)
    for entry in outside.external_data:
        entry.value = change.get(entry.key, entry.value)
    (bundle / "model.onnx").write_bytes(graph.SerializeToString())
    record(bundle, "model.onnx")
    with pytest.raises(InvalidBundle, match=problem):
        open_bundle(bundle)


def test_a_type_without_positions_reads_what_its_config_says(bundle: Path) -> None:
    """Where positions are computed, no table bounds them; where nothing does, 4,096 tokens do."""

    def described(config: Change) -> Bundle:
        rewrite(bundle, "tweetscore.json", lambda m: m.update(model_type="bloom", tables=words))
        config(bundle)
        return open_bundle(bundle)

    words = tables(positions=None)
    assert described(config(model_type="bloom", max_position_embeddings=None)).max_length == 48
    assert described(config(max_position_embeddings=48)).model_type == "bloom"
    with pytest.raises(InvalidBundle, match="has 47 positions, too few for 48 tokens"):
        described(config(max_position_embeddings=47))
    with pytest.raises(InvalidBundle, match="has 'many' positions"):
        described(config(max_position_embeddings="many"))


def test_a_type_of_which_nothing_is_known_names_its_tables(bundle: Path) -> None:
    """Only the four types of version 1 do without: theirs are known."""
    rewrite(bundle, "tweetscore.json", lambda m: m.update(model_type="bloom"))
    config(model_type="bloom")(bundle)
    with pytest.raises(InvalidBundle, match="of the type 'bloom', whose tables are not named"):
        open_bundle(bundle)


def test_a_table_without_dimensions_has_no_rows(bundle: Path) -> None:
    """A tensor may be a single number, and none of those can be looked up."""
    weights = untrusted.read_weights(bundle / "model.safetensors")
    path = bundle / "config.json"
    shapes = {**weights.shapes, "bert.embeddings.word_embeddings.weight": ()}
    with pytest.raises(InvalidBundle, match="and the weights have 0 rows"):
        verify_config(
            path, path.read_bytes(), open_bundle(bundle).metadata, replace(weights, shapes=shapes)
        )


def test_weights_that_are_no_safetensors(bundle: Path) -> None:
    """A header longer than the file is found before any library reads it."""
    (bundle / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    record(bundle, "model.safetensors")
    with pytest.raises(InvalidBundle, match="not a safetensors file"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "change",
    [
        canary(texts=[]),
        canary(texts=["one"]),
        canary(logits=[[0.0, 1.0]]),
        canary(logits="x"),
        canary(token_ids=None),
        canary(logits=[[float("nan")] * 3] * 10),
    ],
)
def test_a_canary_of_unequal_parts_is_refused(bundle: Path, change: Change) -> None:
    """Texts, ids and logits belong together, and logits are numbers."""
    change(bundle)
    with pytest.raises(InvalidBundle, match=r"canary\.json"):
        open_bundle(bundle).canary()


def test_a_bundle_may_lack_the_gpu_graph(bundle: Path) -> None:
    """Then fp16 is what is not there, and everything else works."""
    rewrite(bundle, "tweetscore.json", lambda m: m["graphs"].pop("fp16"))
    opened = open_bundle(bundle)
    assert opened.graph("fp32").name == "model.onnx"
    with pytest.raises(DeviceUnavailable, match="no fp16 graph"):
        opened.graph("fp16")


def test_a_file_that_cannot_be_read_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions are a fault of the bundle's installation, not an I/O error of the run."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(untrusted, "read_bytes", refuse)
    with pytest.raises(InvalidBundle, match=r"tweetscore\.json cannot be read \(Permission denied"):
        open_bundle(bundle)


def test_a_file_that_is_replaced_after_verifying_is_noticed(bundle: Path) -> None:
    """Even by one with the same content: more files may be replaced later."""
    opened = open_bundle(bundle)
    opened.verify_unchanged()
    shutil.copy2(bundle / "model.safetensors", bundle / "copy.safetensors")
    (bundle / "copy.safetensors").replace(bundle / "model.safetensors")
    with pytest.raises(InvalidBundle, match=r"model\.safetensors changed while it was loaded"):
        opened.verify_unchanged()


def test_a_file_that_is_written_after_verifying_is_noticed(bundle: Path) -> None:
    """In place, too."""
    opened = open_bundle(bundle)
    with (bundle / "model.onnx").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(InvalidBundle, match=r"model\.onnx changed while it was loaded"):
        opened.verify_unchanged()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "canary.json", "config.json"])
def test_a_file_that_is_swapped_between_hash_and_check_is_noticed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What is checked are the very bytes that were hashed."""
    files = json.loads((bundle / "tweetscore.json").read_bytes())["files"]
    stamps = untrusted.verify_hashes(bundle, files)
    (bundle / name).write_bytes(b"{}")
    monkeypatch.setattr(untrusted, "verify_hashes", lambda *_: stamps)
    with pytest.raises(InvalidBundle, match=f"{name} does not have the sha256"):
        open_bundle(bundle)


def test_a_pipe_that_takes_a_files_place_does_not_hang(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a name and its opening, a file can turn into anything."""
    look = untrusted._status

    def swap(path: Path) -> os.stat_result:
        status = look(path)
        path.unlink()
        os.mkfifo(path)
        return status

    monkeypatch.setattr(untrusted, "_status", swap)
    with pytest.raises(InvalidBundle, match="not a regular file"):
        open_bundle(bundle)
