"""Bases, tokenizers and the Trainer, on tiny models of every allowed type."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from export.loadable import loadable
from export.source import base as base_module
from export.source.base import Base, open_base
from export.train import RECIPES, TrainingConfig, callbacks, finetune, fitting, loss
from export.train.dataset import EncodedRows
from export.train.fitting import blend, one_hot
from export.train.text_encoder import TextEncoder, open_encoder
from scorer.errors import InputMissing, InvalidBundle

MODEL_TYPES = ("bert", "distilbert", "roberta", "gpt2")
LABELS = ("negative", "neutral", "positive")
ROWS = 60
FAST = TrainingConfig(epochs=1, learning_rate=1e-3, batch_size=16, precision="fp32")
TextRows = tuple[Base, TextEncoder, EncodedRows]
TinyBase = Callable[[str], Path]


@pytest.fixture
def text_rows(tiny_base: TinyBase, labelled_csv: Path) -> Callable[[str], TextRows]:
    """Return a function from a model type to base, tokenizer and the labelled samples."""
    samples = pl.read_csv(labelled_csv).head(ROWS)
    label_ids = samples["sentiment"].replace_strict(LABELS, range(3)).to_numpy()

    def rows(model_type: str) -> TextRows:
        base = open_base(str(tiny_base(model_type)))
        encoder = open_encoder(base, max_length=64)
        return base, encoder, EncodedRows(encoder(samples["text"]), label_ids)

    return rows


def fitted(rows: TextRows, recipe: TrainingConfig) -> Any:
    base, encoder, samples = rows
    training_rows = finetune.TrainingRows(samples.input_ids, one_hot(samples.label_ids, 3))
    return finetune.finetune(base, encoder.tokenizer, LABELS, training_rows, recipe)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_padding_does_not_change_an_answer(
    text_rows: Callable[[str], TextRows], model_type: str
) -> None:
    """A row has the same logits alone and in a padded batch, GPT-2's rows too."""
    base, encoder, samples = text_rows(model_type)
    model = finetune.load_classifier(base, encoder.tokenizer, LABELS).eval()
    rows = samples.input_ids[:8]
    assert len({len(ids) for ids in rows}) > 1
    batch = encoder.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    with torch.inference_mode():
        together = model(**batch).logits.numpy()
    assert np.abs(together - finetune.predict(model, rows)).max() <= 1e-5
    assert together.std(axis=0).max() > 1e-4  # the rows get different answers


def test_wrong_pad_token_would_change_gpt2s_answers(
    text_rows: Callable[[str], TextRows],
) -> None:
    """The test above can fail: without the pad token's id GPT-2 answers at a pad."""
    base, encoder, samples = text_rows("gpt2")
    model = finetune.load_classifier(base, encoder.tokenizer, LABELS).eval()
    alone = finetune.predict(model, samples.input_ids[:8])
    batch = encoder.tokenizer.pad({"input_ids": samples.input_ids[:8]}, return_tensors="pt")
    model.config.pad_token_id = 5
    with torch.inference_mode():
        together = model(**batch).logits.numpy()
    assert np.abs(together - alone).max() > 1e-4


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_special_tokens_in_a_tweet_are_words(tiny_base: TinyBase, model_type: str) -> None:
    """Whoever writes a control token gets its letters, not the token."""
    encoder = open_encoder(open_base(str(tiny_base(model_type))), max_length=64)
    tokenizer = encoder.tokenizer
    text = " ".join(tokenizer.all_special_tokens)
    specials = set(tokenizer.all_special_ids)
    ids = encoder(pl.Series([text]))[0]
    around = tokenizer.num_special_tokens_to_add(pair=False)
    inner = ids[1:-1] if around else ids
    unknown = {tokenizer.unk_token_id} if model_type in {"bert", "distilbert"} else set()
    assert inner
    assert not (set(inner) & specials) - unknown


def test_emoji_become_words_where_the_tokenizer_does_not_know_them(tiny_base: TinyBase) -> None:
    """WordPiece gets names, byte-level BPE keeps the characters."""
    normalizers = {
        model_type: open_encoder(open_base(str(tiny_base(model_type))), 64).normalizer.emoji
        for model_type in MODEL_TYPES
    }
    assert normalizers == {
        "bert": "words",
        "distilbert": "words",
        "roberta": "keep",
        "gpt2": "keep",
    }


def test_blank_texts_have_no_tokens(tiny_base: TinyBase) -> None:
    """Null, empty and zero-width texts are seen as blank before the model meets them."""
    for model_type in MODEL_TYPES:
        encoder = open_encoder(open_base(str(tiny_base(model_type))), 64)
        blank = encoder(pl.Series([None, "", "  ", "\u200b", "love"]))
        assert [bool(ids) for ids in blank] == [False, False, False, False, True]
        assert encoder(pl.Series([], dtype=pl.String)) == []


@pytest.mark.parametrize(("model_type", "positions"), [("gpt2", 66), ("bert", 66), ("roberta", 64)])
def test_texts_are_cut_where_the_base_ends(
    tiny_base: TinyBase, model_type: str, positions: int
) -> None:
    """No text is longer than the base has positions, whatever the recipe asks for."""
    encoder = open_encoder(open_base(str(tiny_base(model_type))), max_length=128)
    assert encoder.max_length == positions
    assert len(encoder(pl.Series(["love " * 500]))[0]) == positions


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_type_learns(text_rows: Callable[[str], TextRows], model_type: str) -> None:
    """A few steps through the Trainer beat the best that guessing can do, a loss of ln 3."""
    rows = text_rows(model_type)
    model = fitted(rows, replace(FAST, epochs=6, learning_rate=5e-3))
    logits = torch.tensor(finetune.predict(model, rows[2].input_ids))
    entropy = torch.nn.functional.cross_entropy(logits, torch.tensor(rows[2].label_ids))
    assert entropy.item() < 0.9
    assert next(model.parameters()).dtype == torch.float32


def test_training_is_repeatable(text_rows: Callable[[str], TextRows]) -> None:
    """One seed gives one model, bit by bit; another seed another."""
    rows = text_rows("bert")
    first, again, other = (
        finetune.predict(fitted(rows, replace(FAST, seed=seed)), rows[2].input_ids)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "model_type",
    [
        "bert",
        pytest.param("distilbert", marks=pytest.mark.ci),
        pytest.param("roberta", marks=pytest.mark.ci),
        "gpt2",
    ],
)
def test_adapters_are_merged_into_a_plain_classifier(
    text_rows: Callable[[str], TextRows], model_type: str
) -> None:
    """The head learns whole, each linear layer of the body by its adapter, and nothing else."""
    rows = text_rows(model_type)
    plain = finetune.load_classifier(rows[0], rows[1].tokenizer, LABELS)
    model = fitted(rows, replace(FAST, lora=2))
    assert type(model) is type(plain)
    names = [name for name, _ in model.named_parameters()]
    assert names == [name for name, _ in plain.named_parameters()]
    before = dict(plain.named_parameters())
    changed = {
        name
        for name, weight in model.named_parameters()
        if name.startswith(f"{model.base_model_prefix}.") and not torch.equal(weight, before[name])
    }
    assert changed
    linear = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if type(module).__name__ in {"Linear", "Conv1D"}
    }
    assert {name for name in changed if ".pooler." not in name} <= linear


OTHER_TYPES: dict[str, dict[str, Any]] = {
    "electra": {"embedding_size": 16},  # its attention has no form of PyTorch's own
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "mpnet": {},
    "albert": {"embedding_size": 16},
    "modernbert": {"pad_token_id": 0, "reference_compile": False},
    "qwen2": {"num_key_value_heads": 2},
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(
    "model_type",
    [
        name if name == "electra" else pytest.param(name, marks=pytest.mark.ci)
        for name in OTHER_TYPES
    ],
)
def test_types_that_nobody_thought_of_are_trained(
    tiny_base: TinyBase, text_rows: Callable[[str], TextRows], tmp_path: Path, model_type: str
) -> None:
    """What transformers can load as a classifier learns, and so do adapters on top of it."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base("bert"))
    config = AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        hidden_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66,
        **OTHER_TYPES[model_type],
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    base = open_base(str(tmp_path))
    with loadable(base, tmp_path) as opened:
        rows = (opened, open_encoder(opened, 64), text_rows("bert")[2])
        for lora in (0, 2):
            model = fitted(rows, replace(FAST, lora=lora))
            assert model.config.model_type == model_type
            assert np.isfinite(finetune.predict(model, rows[2].input_ids[:4])).all()


def test_training_prints_nothing(
    text_rows: Callable[[str], TextRows], capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal there is no progress bar, no log and no hint of a library."""
    fitted(text_rows("bert"), FAST)
    assert capfd.readouterr() == ("", "")


def test_average_of_the_last_weights(text_rows: Callable[[str], TextRows]) -> None:
    """Averaging over a last part that is one step long changes nothing; over half it does."""
    rows = text_rows("bert")
    steps = -(-len(rows[2]) // FAST.batch_size)
    plain, last_step, half = (
        finetune.predict(fitted(rows, replace(FAST, average_last=share)), rows[2].input_ids)
        for share in (0.0, 1 / steps, 0.5)
    )
    assert np.array_equal(plain, last_step)
    assert not np.array_equal(plain, half)


def test_average_is_the_mean_of_snapshots() -> None:
    """Weights 3 and 4 of four steps average to 3.5 over the last half."""
    average = callbacks.AverageLast(0.5)
    model = torch.nn.Linear(1, 1, bias=False)
    for step in (1, 2, 3, 4):
        model.weight.data.fill_(step)
        state = SimpleNamespace(max_steps=4, global_step=step)
        average.on_step_end(None, state, None, model=model)
    average.on_train_end(None, state, None, model=model)
    assert model.weight.item() == 3.5


def test_loss_of_soft_targets() -> None:
    """The loss is the cross-entropy with the whole target, averaged over an accumulated step."""
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    targets = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    loss_of = loss.soft_cross_entropy(0.0)
    by_hand = -(targets * logits.log_softmax(1)).sum(1)
    outputs = SimpleNamespace(logits=logits)
    assert loss_of(outputs, targets).item() == pytest.approx(by_hand.mean().item())
    # The Trainer counts the numbers in both batches of a step: 8 in 4 rows.
    accumulated = loss_of(outputs, targets, num_items_in_batch=torch.tensor(8))
    assert accumulated.item() == pytest.approx(by_hand.sum().item() / 4)


def test_label_smoothing_equals_smoothed_targets() -> None:
    """A smoothing of 0.3 over three classes turns 1, 0, 0 into 0.8, 0.1, 0.1."""
    outputs = SimpleNamespace(logits=torch.tensor([[1.0, 0.5, -1.0]]))
    hard, soft = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.8, 0.1, 0.1]])
    smoothed = loss.soft_cross_entropy(0.3)(outputs, hard)
    assert smoothed.item() == pytest.approx(loss.soft_cross_entropy(0.0)(outputs, soft).item())


def test_balanced_weights_let_a_rare_class_weigh_as_much_as_another() -> None:
    """Nine rows of one class and one of another; a class without rows weighs nothing."""
    targets = one_hot(np.array([0] * 9 + [1]), 3)
    weights = loss.balanced_weights(targets)
    assert weights.tolist() == pytest.approx([10 / 18, 5, 0])
    outputs = SimpleNamespace(logits=torch.zeros(10, 3))
    balanced = loss.soft_cross_entropy(0.0, weights)(outputs, torch.tensor(targets))
    plain = loss.soft_cross_entropy(0.0)(outputs, torch.tensor(targets))
    assert balanced.item() == pytest.approx(plain.item())  # the scale of the loss stays


def stub_training(losses: Sequence[float], patience: int) -> tuple[int, float]:
    """Let an epoch's loss be the next of some; return the epochs and the weight in the end."""
    model = torch.nn.Linear(1, 1, bias=False)
    left = iter(losses)
    validation = callbacks.Validation(
        lambda _: (next(left), 0.5), lambda _: None, keep_best=True, patience=patience
    )
    control = SimpleNamespace(should_training_stop=False)
    epochs = 0
    while epochs < len(losses) and not control.should_training_stop:
        epochs += 1
        model.weight.data.fill_(epochs)
        validation.on_epoch_end(None, None, control, model=model)
    validation.on_train_end(None, None, control, model=model)
    return epochs, model.weight.item()


def test_training_ends_on_its_best_epoch() -> None:
    """Early, where patience is at its end; an equal loss is no better one."""
    assert stub_training([3, 1, 2, 2, 0.5], patience=2) == (4, 2)
    assert stub_training([3, 1, 1, 2, 0.5], patience=3) == (5, 5)
    assert stub_training([3, 1, 2, 2, 1.5], patience=0) == (5, 2)


def test_accumulated_batches_equal_one_batch(text_rows: Callable[[str], TextRows]) -> None:
    """Batch 4 x 4 is the step of batch 16: the study's way and ours differ by rounding only."""
    rows = text_rows("distilbert")
    recipe = replace(FAST, epochs=1, group_by_length=False, learning_rate=1e-4)
    base = without_dropout(rows[0])
    whole, split = (
        finetune.predict(fitted((base, *rows[1:]), changed), rows[2].input_ids)
        for changed in (recipe, replace(recipe, batch_size=4, accumulation=4))
    )
    assert np.abs(whole - split).max() < 1e-3


def test_fp32_is_fp32_after_bf16(tmp_path: Path) -> None:
    """The Trainer tells accelerate of bf16 by the environment, where the next one finds it."""
    assert finetune.arguments(replace(FAST, precision="bf16"), tmp_path).bf16
    finetune.arguments(FAST, tmp_path)
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "no"


def without_dropout(base: Base) -> Base:
    directory = base.directory.with_name(f"{base.directory.name}-no-dropout")
    shutil.copytree(base.directory, directory, dirs_exist_ok=True)
    config = json.loads((directory / "config.json").read_text())
    config |= {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}
    (directory / "config.json").write_text(json.dumps(config))
    return open_base(str(directory))


def test_blend_of_label_and_answer() -> None:
    """Half label, half a model that is undecided between three classes."""
    targets = blend(np.array([1]), np.zeros((1, 3), dtype=np.float32), weight=0.5)
    assert targets[0].tolist() == pytest.approx([1 / 6, 4 / 6, 1 / 6])
    assert targets.dtype == np.float32


def test_distillation_asks_models_that_have_not_seen_the_row(
    text_rows: Callable[[str], TextRows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fold's rows are absent from what its model learnt, and from the temperature's model."""
    base, encoder, samples = text_rows("bert")
    learnt: list[tuple[set[int], NDArray[np.float32]]] = []
    number = {id(ids): i for i, ids in enumerate(samples.input_ids)}

    def stub_finetune(
        base: Any, tokenizer: Any, labels: Any, rows: Any, recipe: Any, stage: Any
    ) -> set[int]:
        seen = {number[id(ids)] for ids in rows.input_ids}
        learnt.append((seen, rows.targets))
        return seen

    def stub_predict(seen: set[int], input_ids: Any) -> NDArray[np.float32]:
        assert not seen & {number[id(ids)] for ids in input_ids}
        return np.zeros((len(input_ids), 3), dtype=np.float32)

    monkeypatch.setattr(fitting, "finetune", stub_finetune)
    monkeypatch.setattr(fitting, "predict", stub_predict)
    recipe = replace(FAST, distill_folds=3, validation=0.2, refit=True)
    result = fitting.fit(base, encoder, LABELS, samples, None, recipe)
    sizes = [len(seen) for seen, _ in learnt]
    assert sizes == [32, 32, 32, 48, 60]
    assert result.training_rows == 60
    assert learnt[0][1].max() == 1
    assert [targets.max() for _, targets in learnt[3:]] == pytest.approx([2 / 3, 2 / 3])


def test_spare_rows_give_the_temperature(text_rows: Callable[[str], TextRows]) -> None:
    """Rows that a recipe leaves over are held out, so that it learns all of its own."""
    base, encoder, samples = text_rows("bert")
    rows, spare = samples.take(np.arange(0, 20)), samples.take(np.arange(20, 60))
    result = fitting.fit(base, encoder, LABELS, rows, spare, replace(FAST, validation=0.2))
    assert result.held_out is not None
    assert (result.training_rows, len(result.held_out[0])) == (20, 4)


def test_without_validation_the_temperature_is_one(text_rows: Callable[[str], TextRows]) -> None:
    """Nothing held out, nothing fitted."""
    base, encoder, samples = text_rows("bert")
    result = fitting.fit(base, encoder, LABELS, samples, None, replace(FAST, validation=0.0))
    assert (result.temperature, result.held_out) == (1.0, None)


def test_study_recipe_is_pinned() -> None:
    """`--recipe study` is the study: its rows, its batches, the Trainer's defaults."""
    study = RECIPES["study"]
    assert study == TrainingConfig(
        base="openai-community/gpt2",
        epochs=3,
        learning_rate=5e-5,
        batch_size=1,
        accumulation=4,
        label_smoothing=0,
        warmup=0,
        weight_decay=0,
        seed=42,
        group_by_length=False,
        precision="fp32",
        train_rows=3000,
        test_rows=2000,
        average_last=0,
        refit=False,
        distill_folds=0,
    )
    arguments = finetune.arguments(study, Path("scratch"))
    assert arguments.lr_scheduler_type == "linear"
    assert arguments.max_grad_norm == 1
    assert arguments.optim == "adamw_torch_fused"


def test_base_that_is_not_there_is_66(tmp_path: Path) -> None:
    """A missing directory is missing; it is not looked up on the hub."""
    for name in (str(tmp_path / "nowhere"), "./nowhere", "nowhere"):
        with pytest.raises(InputMissing, match="there is no base model in") as caught:
            open_base(name)
        assert caught.value.exit_code == 66
    with pytest.raises(InputMissing, match=r"holds no config\.json"):
        open_base(str(tmp_path))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("config.json", {"model_type": None}, "model type None"),
        ("config.json", {"model_type": ["bert"]}, "model type ['bert'], which is no name"),
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "has auto_map"),
        ("config.json", {"text_config": [{"auto_map": {}}]}, "has auto_map"),
        ("config.json", {"_attn_implementation_internal": "evil/kernel"}, "can run code"),
        ("config.json", {"quantization_config": {}}, "has quantization_config"),
        ("config.json", {"max_position_embeddings": 0}, "says that there are 0 positions"),
        ("config.json", {"max_position_embeddings": [512]}, "there are [512] positions"),
        ("tokenizer_config.json", {"auto_map": {}}, "has auto_map"),
    ],
)
def test_base_that_is_not_allowed_is_78(
    tiny_base: TinyBase, tmp_path: Path, file: str, change: dict[str, Any], said: str
) -> None:
    """What a base must not be is found in its JSON files, and named."""
    directory = shutil.copytree(tiny_base("bert"), tmp_path / "base")
    path = directory / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidBundle) as caught:
        open_base(str(directory))
    assert said in str(caught.value)
    assert caught.value.exit_code == 78


def test_base_is_judged_without_transformers() -> None:
    """The package that judges imports nothing that would act on what it reads."""
    modules = [*Path(base_module.__file__).parent.glob("*.py")]
    assert len(modules) > 1
    for module in modules:
        source = module.read_text(encoding="utf-8")
        assert "import transformers" not in source
        assert "from transformers" not in source


def test_base_whose_weights_do_not_fit_is_78(tiny_base: TinyBase, tmp_path: Path) -> None:
    """A body of random weights is not trained on in silence."""
    directory = shutil.copytree(tiny_base("bert"), tmp_path / "base")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    base = open_base(str(directory))
    tokenizer = open_encoder(base, 64).tokenizer
    with pytest.raises(InvalidBundle, match=r"lack bert\.encoder\.layer\.1"):
        finetune.load_classifier(base, tokenizer, LABELS)
    (directory / "model.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(InvalidBundle, match="cannot be read"):
        finetune.load_classifier(base, tokenizer, LABELS)


def test_head_of_another_size_is_replaced(tiny_base: TinyBase, tmp_path: Path) -> None:
    """A classifier of five classes may be the base of one with three."""
    model = AutoModelForSequenceClassification.from_pretrained(tiny_base("bert"), num_labels=5)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_base("bert")).save_pretrained(tmp_path)
    base = open_base(str(tmp_path))
    model = finetune.load_classifier(base, open_encoder(base, 64).tokenizer, LABELS)
    assert model.config.num_labels == 3
    assert model.config.id2label == dict(enumerate(LABELS))
