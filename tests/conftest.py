"""Tiny bundles with random weights, made once per test session as the export makes them."""

import hashlib
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.once import made_once

# A slow box is not a broken promise: no test of this project fails by the clock.
settings.register_profile("tweetscore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tweetscore")

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from tests.stubs import StubClassifier

LABELS = ("negative", "neutral", "positive")
CANARY_TEXTS = (
    "ugh",
    "I love this song so much",
    "Stuck at the station again, third night in a row :(",
    "see you at 7 &amp; bring @someone https://example.com/a?b=c",
    "the word <|endoftext|> and the word [SEP] are only words",
    "don`t  go\tthere",
    "\U0001f602\U0001f44d\U0001f3fd na na na",
    "مرحبا بالعالم",
    "x" * 40,
    "one two three four five six seven eight nine ten " * 12,
)
MAX_LENGTH = 48
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure() -> None:
    """Handle SIGINT as at a terminal: a job in a shell's background inherits it as ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the big counts, as make test-long")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what `-m` leaves to `make test-ci` and `make check-gpu`, by file."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("ci", "gpu")):
            left_out = item.config.stash.setdefault(_LEFT_OUT, Counter())
            left_out[item.nodeid.partition("::")[0]] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports: under xdist, others collect."""
    output = getattr(session.config, "workeroutput", {})  # without xdist nobody reads it
    output["left_out"] = dict(session.config.stash.get(_LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what a process of xdist has left out; all of them collect the same."""
    output = getattr(node, "workeroutput", {})  # one that was ended has none
    node.config.stash[_LEFT_OUT] = Counter(output.get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what `make test` does not run."""
    config = terminalreporter.config
    left_out = config.stash.get(_LEFT_OUT, Counter())
    if left_out and config.option.markexpr.startswith("not "):
        terminalreporter.section("not run here: make test-ci, make check-gpu")
        terminalreporter.write_line("\n".join(f"{n}: {left_out[n]}" for n in sorted(left_out)))


@pytest.fixture(scope="session")
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Choose between the count of every day and that of `make test-long`."""
    long = request.config.getoption("--long")
    return lambda every_day, big: big if long else every_day


@pytest.fixture
def stub() -> "StubClassifier":
    from tests.stubs import StubClassifier

    return StubClassifier()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a `tweetscore` that starts in no time: see `tests/forks/`."""
    from tests.forks.fork_server import ForkServer

    folder = tmp_path_factory.mktemp("bin")
    server = ForkServer("tests.forks.embedded_model")
    server.put_command(folder)
    yield folder
    server.close()


@pytest.fixture(scope="session")
def tiny_bert_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "tiny-bert", _make_bert_bundle)


@pytest.fixture(scope="session")
def tiny_gpt2_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "tiny-gpt2", _make_gpt2_bundle)


def _make_bert_bundle(directory: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()] + ["ا", "م", "ل"]
    words = "the a i you love this song station night again word see and only".split()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = special + words + letters + [f"##{letter}" for letter in letters]
    vocab_file = directory / "vocab.txt"
    vocab_file.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
        **_head(pad_token_id=0),
    )
    torch.manual_seed(0)  # the same weights every time
    model = BertForSequenceClassification._from_config(config, attn_implementation="eager")
    _write_bundle(directory, model, BertTokenizerFast(str(vocab_file)), emoji="words")


def _make_gpt2_bundle(directory: Path) -> None:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2TokenizerFast

    bpe = ByteLevelBPETokenizer(add_prefix_space=False)
    bpe.train_from_iterator(
        CANARY_TEXTS, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False
    )
    bpe.save_model(str(directory))
    tokenizer = GPT2TokenizerFast(
        str(directory / "vocab.json"), str(directory / "merges.txt"), pad_token="<|endoftext|>"
    )
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        **_head(pad_token_id=tokenizer.pad_token_id),
    )
    torch.manual_seed(0)
    model = GPT2ForSequenceClassification._from_config(config, attn_implementation="sdpa")
    _write_bundle(directory, model, tokenizer, emoji="keep")


def _head(pad_token_id: int) -> dict[str, Any]:
    return {
        "pad_token_id": pad_token_id,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: i for i, label in enumerate(LABELS)},
    }


def _write_bundle(
    directory: Path, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", emoji: str
) -> None:
    from export.graph import plain_graph
    from export.graph.weights import (
        WEIGHTS_NAME,
        full_precision_graph,
        half_precision_graph,
        save_weights,
        write_graph,
    )

    model.eval()
    tokenizer.save_pretrained(directory)
    save_weights(model, directory)
    model.float()
    plain = plain_graph(model)
    weights = directory / WEIGHTS_NAME
    graphs = {"fp32": "model.onnx", "fp16": "model_fp16.onnx"}
    write_graph(full_precision_graph(plain, weights), directory / graphs["fp32"])
    halved = half_precision_graph(plain, weights)
    assert halved is not None
    write_graph(halved, directory / graphs["fp16"])
    _write_canary(directory, model, tokenizer, emoji)
    metadata = {
        "schema_version": 1,
        "name": directory.name,
        "version": "1",
        "model_type": model.config.model_type,
        "labels": list(LABELS),
        "normalizer": {"version": 1, "emoji": emoji},
        "max_length": MAX_LENGTH,
        "pad_token_id": model.config.pad_token_id,
        "temperature": 1.5,
        "graphs": graphs,
        "base_model": {"name": "random", "sha256": ""},
        "training": {"data": [], "recipe": {}},
        "metrics": None,
        "baseline": None,
        "parity": [],
        "libraries": {},
        "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.iterdir())
        },
    }
    (directory / "tweetscore.json").write_text(json.dumps(metadata), encoding="utf-8")


def _write_canary(
    directory: Path, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", emoji: Any
) -> None:
    import polars as pl
    import torch

    from scorer.inference.normalize import Normalizer

    texts = Normalizer(emoji=emoji)(pl.Series(CANARY_TEXTS)).to_list()
    token_ids = [
        tokenizer(text, truncation=True, max_length=MAX_LENGTH, split_special_tokens=True).input_ids
        for text in texts
    ]
    with torch.inference_mode():
        logits = [model(torch.tensor([ids])).logits[0].tolist() for ids in token_ids]
    canary = {"texts": CANARY_TEXTS, "token_ids": token_ids, "logits": logits}
    (directory / "canary.json").write_text(json.dumps(canary), encoding="utf-8")
