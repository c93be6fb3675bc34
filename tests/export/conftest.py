"""Tiny bases of every allowed type, with random weights and tokenizers trained on our samples."""

import os
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.once import made_once

LABELLED = Path(__file__).parents[2] / "samples" / "labelled.csv"
POSITIONS = 66
SPREAD = 0.2  # of the random weights: enough for answers that differ from text to text
CLASSES = ("negative", "neutral", "positive")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from a second thread, which waits by computing."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that this one starts


@pytest.fixture(scope="session", autouse=True)
def few_texts_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let exports in this process be measured on few texts."""
    from export.parity import pytorch
    from tests.export import few_texts

    made = made_once(tmp_path_factory, "few-texts", few_texts.write)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch, "_TEXTS", made / "texts.json")
        yield


@pytest.fixture
def all_texts() -> Iterator[None]:
    """Let exports in this process be measured on all the texts."""
    from tests.export import few_texts

    with few_texts.but_all_of_them():
        yield


@pytest.fixture
def few_texts_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports in confined processes be measured on few texts, too."""
    from export import isolation
    from tests.export import few_texts

    def run_on_few(target: str, *how: Any, **settings: Any) -> bytes:
        assert target == "export.conversion:convert_here"
        return run(few_texts.CONFINED, *how, **settings)

    run = isolation.run
    monkeypatch.setattr(isolation, "run", run_on_few)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a command runs in a confined process run in this one, where it can be patched."""
    import msgspec

    from export import isolation

    def run(target: str, argument: bytes, **settings: Any) -> bytes:
        module, _, name = target.partition(":")
        result = getattr(import_module(module), name)(argument, settings["steps"])
        return msgspec.json.encode(result)

    monkeypatch.setattr(isolation, "run", run)


@pytest.fixture(scope="session")
def labelled_csv() -> Path:
    return LABELLED


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a model type to the directory of its tiny base."""
    makers = {"bert": _bert, "distilbert": _distilbert, "roberta": _roberta, "gpt2": _gpt2}

    def base(model_type: str) -> Path:
        def make(directory: Path) -> None:
            import torch

            torch.manual_seed(0)
            model, tokenizer = makers[model_type](directory)
            model.save_pretrained(directory)
            tokenizer.save_pretrained(directory)

        return made_once(tmp_path_factory, f"base-{model_type}", make)

    return base


def _texts() -> list[str]:
    return pl.read_csv(LABELLED)["text"].str.to_lowercase().to_list()


def _word_piece(directory: Path) -> str:
    from tokenizers import BertWordPieceTokenizer

    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(_texts(), vocab_size=600, show_progress=False)
    trained.save_model(str(directory))
    return str(directory / "vocab.txt")


def _byte_pairs(directory: Path, special_tokens: list[str]) -> tuple[str, str]:
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer(add_prefix_space=False)
    trained.train_from_iterator(
        _texts(), vocab_size=700, special_tokens=special_tokens, show_progress=False
    )
    trained.save_model(str(directory))
    return str(directory / "vocab.json"), str(directory / "merges.txt")


def _bert(directory: Path) -> tuple[Any, Any]:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = BertTokenizerFast(_word_piece(directory))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        initializer_range=SPREAD,
    )
    return BertModel(config), tokenizer


def _distilbert(directory: Path) -> tuple[Any, Any]:
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    tokenizer = DistilBertTokenizerFast(_word_piece(directory))
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        dim=32,
        n_layers=1,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=POSITIONS,
        initializer_range=SPREAD,
    )
    return DistilBertModel(config), tokenizer


def _roberta(directory: Path) -> tuple[Any, Any]:
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    special_tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = RobertaTokenizerFast(*_byte_pairs(directory, special_tokens))
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        initializer_range=SPREAD,
    )
    return RobertaModel(config), tokenizer


def byte_level_tokenizer(directory: Path) -> Any:
    """Return a tokenizer of GPT-2's kind, trained on the samples; its files are in `directory`."""
    from transformers import GPT2TokenizerFast

    return GPT2TokenizerFast(*_byte_pairs(directory, ["<|endoftext|>"]))


def _gpt2(directory: Path) -> tuple[Any, Any]:
    from transformers import GPT2Config, GPT2Model

    tokenizer = byte_level_tokenizer(directory)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=1,
        n_head=2,
        n_positions=POSITIONS,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=SPREAD,
    )
    return GPT2Model(config), tokenizer


@pytest.fixture(scope="session")
def checkpoints(
    tiny_base: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function from a model type to a classifier with random weights that spread.

    It has a record of its training, as `model train` writes it.
    """

    def checkpoint(model_type: str) -> Path:
        def make(directory: Path) -> None:
            _save_random_classifier(tiny_base(model_type), directory)
            (directory / "training.json").write_text('{"max_length": 128}', "utf-8")

        return made_once(tmp_path_factory, f"checkpoint-{model_type}", make)

    return checkpoint


@pytest.fixture(scope="session")
def foreign(
    checkpoints: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function from a model type to such a classifier that was trained elsewhere."""

    def checkpoint(model_type: str) -> Path:
        def make(directory: Path) -> None:
            unrecorded = shutil.ignore_patterns("training.json")
            shutil.copytree(
                checkpoints(model_type), directory, ignore=unrecorded, dirs_exist_ok=True
            )

        return made_once(tmp_path_factory, f"foreign-{model_type}", make)

    return checkpoint


@pytest.fixture(scope="session")
def bundles(
    checkpoints: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function from a model type to the bundle of its checkpoint, of all the texts."""
    from export.chain import ExportOptions, export_bundle
    from tests.export import few_texts

    def bundle(model_type: str) -> Path:
        def make(directory: Path) -> None:
            options = ExportOptions(name="tiny")
            with few_texts.but_all_of_them():
                export_bundle(checkpoints(model_type), directory / model_type, options)

        return made_once(tmp_path_factory, f"bundle-{model_type}", make) / model_type

    return bundle


def _save_random_classifier(base: Path, directory: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
        pad_token_id=tokenizer.pad_token_id,
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    spread(model, tokenizer)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def spread(model: Any, tokenizer: Any) -> None:
    """Turn the last layer away from the mean of what it sees, and scale it to logits of 2."""
    import torch

    *_, head = (module for module in model.modules() if isinstance(module, torch.nn.Linear))
    seen: list[Any] = []
    hook = head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        for text in _texts()[::4]:
            model(torch.tensor([tokenizer(text)["input_ids"][: POSITIONS - 2]]))
        hook.remove()
        # GPT-2 scores every token and picks the last one afterwards.
        features = torch.cat([x if x.dim() == 2 else x[:, -1] for x in seen])
        mean = features.mean(0)
        head.weight -= torch.outer(head.weight @ mean, mean) / (mean @ mean)
        head.weight *= 2 / (features @ head.weight.T).std(0)[:, None]
