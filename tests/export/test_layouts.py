"""The layouts in which checkpoints lie on a disk: each gives transformers the same model."""

import json
import pickle
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.loadable import loadable
from export.parity.pytorch import load_model
from export.source.base import open_base
from export.source.checkpoint import read_checkpoint
from scorer.errors import InputMissing, InvalidBundle
from tests.export.conftest import CLASSES

Checkpoints = Callable[[str], Path]
PLAIN = ("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def checkpoint(checkpoints: Checkpoints, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    return Path(shutil.copytree(checkpoints("bert"), tmp_path / "checkpoint"))


def weights_of(directory: Path, scratch: Path, **options: Any) -> dict[str, torch.Tensor]:
    """Return the weights that transformers loads of a checkpoint."""
    found = read_checkpoint(directory, **options)
    with loadable(found.base, scratch) as base:
        names = {"id2label": dict(enumerate(found.labels))}
        return dict(load_model(base.directory, changes=names).state_dict())


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


@pytest.mark.parametrize(("shards", "pickled"), [(False, True), (True, False), (True, True)])
def test_the_weights_are_the_same_in_every_layout(
    checkpoints: Checkpoints, tmp_path: Path, *, shards: bool, pickled: bool
) -> None:
    """Whole and in shards, as safetensors and as pytorch_model.bin."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoints("gpt2"))
    directory = tmp_path / "checkpoint"
    size = "50KB" if shards else "1GB"
    model.save_pretrained(directory, safe_serialization=not pickled, max_shard_size=size)
    AutoTokenizer.from_pretrained(checkpoints("gpt2")).save_pretrained(directory)
    assert (len([*directory.glob("*-of-*")]) > 1) == shards
    assert_equal(weights_of(directory, tmp_path), model.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]


def test_a_folder_of_the_trainer_is_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    """What the Trainer keeps to go on is neither read nor shown to transformers."""
    folder = checkpoint.rename(tmp_path / "checkpoint-500")
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin"):
        (folder / name).write_bytes(pickle.dumps(Bomb()))
    (folder / "trainer_state.json").write_text("not JSON", "utf-8")
    (folder / "runs").mkdir()
    with loadable(read_checkpoint(folder).base, tmp_path) as base:
        shown = {path.name for path in base.directory.iterdir()}
    assert shown == {"config.json", "model.safetensors", "vocab.txt", *PLAIN}


def test_what_a_killed_process_laid_out_is_laid_out_anew(checkpoint: Path, tmp_path: Path) -> None:
    """A training that goes on finds the directory of the one before."""
    (tmp_path / ".source").mkdir()
    (tmp_path / ".source" / "config.json").write_text("{}", "utf-8")
    assert "classifier.weight" in weights_of(checkpoint, tmp_path)


def test_safetensors_are_preferred_to_a_pickle(checkpoint: Path, tmp_path: Path) -> None:
    """Where both are there the pickle is not opened."""
    (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert "classifier.weight" in weights_of(checkpoint, tmp_path)


class Bomb:
    """Runs code where a pickle of it is loaded without care."""

    def __reduce__(self) -> Any:
        """Return what an unpickler would call."""
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("kind", ["code", "not tensors", "cut off"])
def test_a_pickle_that_holds_more_than_weights_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One line, exit 78, and nothing of it has run."""
    monkeypatch.chdir(tmp_path)
    (checkpoint / "model.safetensors").unlink()
    path = checkpoint / "pytorch_model.bin"
    torch.save({"a": Bomb() if kind == "code" else 1}, path)
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidBundle) as caught:
        weights_of(checkpoint, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path} holds ")
    assert message.isprintable()
    assert caught.value.exit_code == 78
    assert not (tmp_path / "exploded").exists()
    assert not (tmp_path / ".source").exists()


@pytest.fixture
def adapter(tiny_base: Callable[[str], Path], tmp_path: Path) -> tuple[Path, Any]:
    """Return an adapter with its classifier, as peft saves it, and the model that it gives."""
    from peft import LoraConfig, get_peft_model

    base: Any = AutoModelForSequenceClassification.from_pretrained(
        tiny_base("roberta"), num_labels=3
    )
    adapted: Any = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=4, use_dora=True))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.normal_(0, 0.3)
    directory = tmp_path / "adapter"
    adapted.save_pretrained(directory)
    return directory, adapted.merge_and_unload()


def test_an_adapter_is_merged_into_its_base(
    adapter: tuple[Path, Any], tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    """The classifier comes with the adapter, the tokenizer from the base; both are named."""
    directory, merged = adapter
    names = ("bad", "so-so", "good")
    assert_equal(weights_of(directory, tmp_path, label_names=names), merged.state_dict())
    found = read_checkpoint(directory, names)
    assert (found.base.source.name, found.base.source.base) == (
        "adapter",
        tiny_base("roberta").name,
    )
    assert found.base.tokenizer == tiny_base("roberta")
    with pytest.raises(InvalidBundle, match="--label-names NAME,NAME,"):
        read_checkpoint(directory)
    named = {"0": "bad", "1": "so-so", "2": "good"}
    (directory / "config.json").write_text(json.dumps({"id2label": named}), "utf-8")
    assert read_checkpoint(directory).labels == names


def test_a_base_that_is_elsewhere_is_named(
    adapter: tuple[Path, Any], tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    """What the adapter names is not here: --base says where it is, for an adapter alone."""
    directory, merged = adapter
    rewrite(directory / "adapter_config.json", base_model_name_or_path="/home/somebody/base")
    with pytest.raises(InputMissing, match=r"somebody/base', which is not found; .* --base BASE"):
        read_checkpoint(directory, CLASSES)
    base = str(tiny_base("roberta"))
    assert_equal(
        weights_of(directory, tmp_path, label_names=CLASSES, base=base), merged.state_dict()
    )
    with pytest.raises(InvalidBundle, match=r"so it needs no base; leave out --base"):
        read_checkpoint(Path(base), CLASSES, base)
    other = str(tiny_base("bert"))
    with pytest.raises(InvalidBundle, match=r"does not fit its base|has the weights"):
        weights_of(directory, tmp_path, label_names=CLASSES, base=other)


def test_a_pickled_adapter_is_converted_by_the_command_that_is_shown(
    adapter: tuple[Path, Any], tmp_path: Path
) -> None:
    """Older versions of peft saved no safetensors."""
    from safetensors.torch import load_file

    directory, merged = adapter
    saved = directory / "adapter_model.safetensors"
    torch.save(load_file(saved), directory / "adapter_model.bin")
    saved.unlink()
    with pytest.raises(InvalidBundle, match=r"is an adapter without adapter_model\.saf") as caught:
        read_checkpoint(directory, CLASSES)
    _, _, command = caught.value.remedy.partition("try: python3 ")
    subprocess.run([sys.executable, *shlex.split(command)], check=True)
    assert_equal(weights_of(directory, tmp_path, label_names=CLASSES), merged.state_dict())


def test_an_adapter_without_its_classifier_is_refused(
    adapter: tuple[Path, Any], tmp_path: Path
) -> None:
    """A random classifier is not exported."""
    from safetensors.torch import load_file, save_file

    directory, _ = adapter
    path = directory / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if "lora_" in name}, path)
    with pytest.raises(InvalidBundle, match=r"has the weights classifier\.dense\.bias, "):
        weights_of(directory, tmp_path, label_names=("no", "yes"))


def test_an_onnx_directory_is_exported_from_its_weights(checkpoint: Path, tmp_path: Path) -> None:
    """Beside PyTorch weights the graph is left alone; alone it cannot be compared with a model."""
    (checkpoint / "onnx").mkdir()
    (checkpoint / "onnx" / "model.onnx").write_bytes(b"a graph")
    assert "classifier.weight" in weights_of(checkpoint, tmp_path)
    (checkpoint / "model.safetensors").unlink()
    rewrite(checkpoint / "config.json", _name_or_path="owner/model")
    with pytest.raises(InvalidBundle) as caught:
        read_checkpoint(checkpoint)
    assert "holds an ONNX graph, onnx/model.onnx, without the PyTorch weights" in str(caught.value)
    assert caught.value.remedy.endswith("tweetscore model export hf:owner/model -o BUNDLE")


def test_a_directory_without_weights_says_what_is_there(checkpoint: Path) -> None:
    """Weights of other libraries are named; they are not read."""
    (checkpoint / "model.safetensors").rename(checkpoint / "tf_model.h5")
    with pytest.raises(InvalidBundle, match=r"no pytorch_model\.bin, only tf_model\.h5; save"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("card", "file", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "", "apache-2.0"),
        ("---\r\nlanguage: en\r\nlicense: 'mit'\r\n---\r\n", "LICENSE", "mit"),
        ("---\nlicense:\n- cc-by-4.0\n---\n", "", "cc-by-4.0"),
        ("---\nlicense: [mit]  # or so\n---\n", "", "mit"),
        ("---\nlicense: other\nlicense_name: llama3\n---\n", "LICENSE", "llama3"),
        ("---\nlanguage: en\n---\nlicense: mit\n", "", None),
        ("license: mit\n", "", None),
        ("---\nlicense: \x1b[2J\n---\n", "", None),
        ("---\nlicense: unknown\n---\n", "LICENSE.txt", "see LICENSE.txt"),
        (None, "LICENSE", "see LICENSE"),
        (None, "", None),
    ],
)
def test_the_licence_is_what_the_card_says(
    checkpoint: Path, card: str | None, file: str, licence: str | None
) -> None:
    """The card's front matter says it, or else the name of a file; nothing is guessed."""
    if card is not None:
        (checkpoint / "README.md").write_bytes(card.encode())
    if file:
        (checkpoint / file).write_text("Do what you like.", "utf-8")
    assert open_base(str(checkpoint)).licence == licence
