"""The published bundle: its files, its metadata and its model card."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoTokenizer

from export.card import model_card
from export.chain import ExportOptions, export_bundle
from export.parity import pytorch as canary_maker
from export.parity import truth
from export.parity.pytorch import Reference
from export.source.checkpoint import read_checkpoint
from export.summary import summary_of
from scorer.errors import GateFailed, InputMissing, InvalidBundle, OutputRefused, UsageError
from scorer.inference.bundle import open_bundle
from scorer.inference.bundle.metadata import Source

METRICS = {
    "data": {"name": "test.csv", "sha256": "0", "rows": 1200},
    "accuracy": 0.80124,
    "macro_f1": 0.8,
    "ece": 0.02,
    "per_class": {"no": {"precision": 0.5, "recall": 0.25, "f1": 0.3333, "support": 600}},
}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.usefixtures("all_texts")
def test_one_checkpoint_gives_one_bundle(
    checkpoints: Callable[[str], Path], bundles: Callable[[str], Path], tmp_path: Path
) -> None:
    """The same checkpoint exported twice is the same bundle, byte for byte."""
    export_bundle(checkpoints("gpt2"), tmp_path / "again", ExportOptions(name="tiny"))
    assert contents(tmp_path / "again") == contents(bundles("gpt2"))


def test_the_bundle_hashes_every_file(bundles: Callable[[str], Path]) -> None:
    """tweetscore.json records the sha256 of all other files, and no path of this machine."""
    files = contents(bundles("bert"))
    metadata = json.loads(files.pop("tweetscore.json"))
    expected = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert metadata["files"] == expected
    here = str(bundles("bert").parents[1]).encode()
    assert not [name for name, data in files.items() if here in data]


def test_the_canary_holds_what_pytorch_answers(bundles: Callable[[str], Path]) -> None:
    """304 texts, English and Spanish, with transformers' ids and fp32 logits, each text alone."""
    bundle = open_bundle(bundles("roberta"))
    canary = bundle.canary()
    reference = Reference(bundle.directory, bundle.max_length)
    assert len(canary.texts) == 304
    row = max(range(304), key=lambda i: len(canary.token_ids[i]))
    text = bundle.normalizer(_series(canary.texts[row]))[0]
    assert reference.token_ids([text])[0] == list(canary.token_ids[row])
    assert len(canary.token_ids[row]) == bundle.max_length
    assert reference.logits([text])[0].tolist() == canary.logits[row].tolist()


def test_the_canary_has_few_lengths(bundles: Callable[[str], Path]) -> None:
    """Or a session that compiles each would be at it for longer than at scoring."""
    bundle = open_bundle(bundles("bert"))
    canary = bundle.canary()
    lengths = Counter(len(row) for row in canary.token_ids)
    common = {5, 8, 13, 22, 48, bundle.max_length}
    assert len(lengths) < 20  # a single short word has only its own
    work = [length * lengths[length] for length in common - {bundle.max_length}]
    assert max(work) < 1.5 * min(work)
    assert sum(length * texts for length, texts in lengths.items()) < 13.7 * 304
    late = [token for row in canary.token_ids for token in row[24:]]
    assert len(late) > 500
    assert len(set(late)) > 100
    assert len(set(canary.texts)) == 304
    assert {"[CLS]", "<s>", "</s>", "<|endoftext|>"} <= set(" ".join(canary.texts).split())


@pytest.mark.usefixtures("all_texts")
def test_int8_learns_from_whole_texts(bundles: Callable[[str], Path]) -> None:
    """What the canary is cut to must not change a model's answers."""
    bundle = open_bundle(bundles("bert"))
    reference = Reference(bundle.directory, bundle.max_length)
    whole = json.loads(canary_maker._TEXTS.read_text(encoding="utf-8"))
    learned = canary_maker.calibration(reference, bundle.normalizer)
    normalized = bundle.normalizer(pl.Series(whole, dtype=pl.String)).to_list()
    assert learned == reference.token_ids(normalized)
    cut = sum(map(len, bundle.canary().token_ids))
    assert cut < sum(map(len, learned))


def _series(text: str) -> pl.Series:
    return pl.Series([text], dtype=pl.String)


def test_only_measured_figures_are_parity_figures(bundles: Callable[[str], Path]) -> None:
    """What the CPU makes of the fp16 graph is kept apart and marked as not measured."""
    metadata = open_bundle(bundles("bert")).metadata
    assert all(entry["measured"] is True for entry in metadata.parity)
    assert "fp16" not in {entry["precision"] for entry in metadata.parity}
    assert [entry["measured"] for entry in metadata.graph_checks] == [False]


def test_a_failed_gate_publishes_nothing(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a bundle nor leftovers appear, and an old bundle stays."""
    old = tmp_path / "bundle"
    old.mkdir()
    (old / "tweetscore.json").write_text("{}", "utf-8")
    monkeypatch.setattr(truth, "MIN_SPREAD", 2.1)
    with pytest.raises(GateFailed):
        export_bundle(checkpoints("bert"), old, ExportOptions(overwrite=True))
    with pytest.raises(GateFailed):
        export_bundle(checkpoints("bert"), tmp_path / "new", ExportOptions())
    assert contents(old) == {"tweetscore.json": b"{}"}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_existing_bundle_is_replaced_only_on_request(
    checkpoints: Callable[[str], Path], bundles: Callable[[str], Path], tmp_path: Path
) -> None:
    """Without --overwrite an existing directory stops the export before any work."""
    copy = Path(shutil.copytree(bundles("bert"), tmp_path / "bundle"))
    with pytest.raises(OutputRefused, match="--overwrite"):
        export_bundle(checkpoints("bert"), copy, ExportOptions())
    export_bundle(checkpoints("bert"), copy, ExportOptions(overwrite=True, version="2"))
    assert open_bundle(copy).version == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_training_recorded_reaches_the_bundle(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """training.json and evaluation.json decide normaliser, length, temperature and figures."""
    checkpoint = Path(shutil.copytree(checkpoints("bert"), tmp_path / "checkpoint"))
    training = {
        "name": "mine",
        "base_model": {"name": "some/base", "sha256": "ab"},
        "data": [{"name": "some/tweets", "sha256": "cd", "rows": 27481}],
        "recipe": {"epochs": 2},
        "normalizer": {"version": 1, "emoji": "keep"},
        "max_length": 40,
        "temperature": 1.7,
        "baseline": {"labels": [0.3]},
    }
    (checkpoint / "training.json").write_text(json.dumps(training), "utf-8")
    (checkpoint / "evaluation.json").write_text(json.dumps(METRICS), "utf-8")
    export_bundle(checkpoint, tmp_path / "bundle", ExportOptions())
    bundle = open_bundle(tmp_path / "bundle")
    assert (bundle.name, bundle.max_length, bundle.temperature) == ("mine", 40, 1.7)
    assert bundle.normalizer.emoji == "keep"
    assert bundle.metadata.metrics == METRICS
    assert bundle.metadata.baseline == training["baseline"]
    assert bundle.metadata.training == {key: training[key] for key in ("data", "recipe")}
    card = (tmp_path / "bundle" / "README.md").read_text("utf-8")
    front: Any = ModelCard(card).data
    assert front.datasets == ["some/tweets"]
    assert front.base_model == "some/base"
    values = {result.metric_type: result.metric_value for result in front.eval_results}
    assert values == {"accuracy": 0.8012, "f1": 0.8, "ece": 0.02}


def test_the_baseline_has_the_names_that_the_labels_get(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Labels that are renamed by the export are found again when drift is measured."""
    checkpoint = Path(shutil.copytree(checkpoints("bert"), tmp_path / "checkpoint"))
    before = json.loads((checkpoint / "config.json").read_text("utf-8"))["id2label"]
    shares = {before[str(i)]: share for i, share in enumerate((0.2, 0.3, 0.5))}
    training = {"baseline": {"rows": 10, "label_shares": shares}}
    (checkpoint / "training.json").write_text(json.dumps(training), "utf-8")
    options = ExportOptions(label_names=("z", "y", "x"))
    export_bundle(checkpoint, tmp_path / "bundle", options)
    found = open_bundle(tmp_path / "bundle").metadata.baseline
    assert found == {"rows": 10, "label_shares": {"z": 0.2, "y": 0.3, "x": 0.5}}


def test_the_bundle_reads_texts_as_text_for_transformers_too(
    bundles: Callable[[str], Path],
) -> None:
    """A literal <|endoftext|> is words, also when transformers opens the bundle."""
    tokenizer = AutoTokenizer.from_pretrained(bundles("gpt2"))
    assert tokenizer.pad_token_id not in tokenizer("so <|endoftext|> it is")["input_ids"]
    assert tokenizer.padding_side == "right"


def test_the_card_says_where_a_model_came_from(bundles: Callable[[str], Path]) -> None:
    """The Hub's commit, an adapter's base, and the licence, by a name that the Hub knows."""
    bundle = open_bundle(bundles("bert"))
    source = Source("owner/adapter", "c0ffee", base="owner/base@decade")
    summary = summary_of(bundle.directory, bundle.metadata)
    plain = model_card(summary)
    assert "Licence: not known, as the checkpoint does not say it." in plain
    assert "unknown" not in plain
    told = msgspec.structs.replace(summary, source=source, license="see LICENSE")
    card = model_card(told)
    assert "Exported from: owner/adapter at c0ffee.\n" in card
    assert "Merged from the adapter owner/adapter and its base owner/base@decade.\n" in card
    front: Any = ModelCard(card).data
    assert (front.license, front.license_name) == ("other", "see LICENSE")
    known: Any = ModelCard(model_card(msgspec.structs.replace(told, license="mit"))).data
    assert (known.license, known.license_name) == ("mit", None)


@pytest.mark.parametrize(
    ("task", "activation", "words"),
    [
        (
            "single_label",
            "softmax",
            "one of the labels for each text; scores add up to 1 (softmax)",
        ),
        (
            "multi_label",
            "sigmoid",
            (
                "any number of the labels for each text; "
                "scores are independent of each other (sigmoid)"
            ),
        ),
        ("regression", "sigmoid", "a value for each text; scores are from 0 to 1 (sigmoid)"),
        ("regression", "none", "a value for each text; scores are any number (the logit)"),
    ],
)
def test_the_card_says_what_a_model_answers(
    task: str, activation: str, words: str, bundles: Callable[[str], Path]
) -> None:
    """The task in one line, and nothing of classes where there is a value."""
    bundle = open_bundle(bundles("bert"))
    summary = summary_of(bundle.directory, bundle.metadata)
    told: Any = {"task": task, "activation": activation}
    card = model_card(msgspec.structs.replace(summary, **told))
    assert f"\nTask: {task}, {words}.\n" in card
    is_value = task == "regression"
    assert ("classifier of short texts into" in card) is not is_value
    assert ("A score is a probability" in card) is not is_value
    assert ("softmax at temperature 1" in card) is (activation == "softmax")


def test_notes_join_the_card(bundles: Callable[[str], Path]) -> None:
    """The user's Markdown comes before the figures, and its YAML goes into the card's."""
    bundle = open_bundle(bundles("bert"))
    notes = "---\nlicense: apache-2.0\nlanguage: en\n---\n## Licences\n\nData: CC BY 4.0\n"
    card = model_card(summary_of(bundle.directory, bundle.metadata), notes)
    front: Any = ModelCard(card).data
    assert (front.license, front.language) == ("apache-2.0", "en")
    assert front.pipeline_tag == "text-classification"
    assert card.index("Data: CC BY 4.0") < card.index("## Use")


def _changed(checkpoint: Path, target: Path, **changes: object) -> Path:
    copy = Path(shutil.copytree(checkpoint, target))
    path = copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return copy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"model_type": None}, "the model type None"),
        ({"problem_type": "regression"}, "a regression of 3 values, and one can be scored"),
        ({"pad_token_id": None}, "--pad-to 128"),
        ({"pad_token_id": 10**6}, "has pad_token_id 1000000"),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "--label-names"),
        ({"id2label": {"0": "good", "1": "good"}}, "all have to be different"),
    ],
)
def test_a_checkpoint_that_cannot_be_served_is_named(
    checkpoints: Callable[[str], Path], tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    """Each is an error that says what to do, found before transformers reads the checkpoint."""
    checkpoint = _changed(checkpoints("gpt2"), tmp_path / "checkpoint", **changes)
    with pytest.raises(InvalidBundle) as caught:
        read_checkpoint(checkpoint)
    assert words in str(caught.value)


def test_generic_labels_get_names(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    """LABEL_0 and its like can be replaced, one name per class."""
    generic = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    checkpoint = _changed(checkpoints("bert"), tmp_path / "checkpoint", id2label=generic)
    assert read_checkpoint(checkpoint, ("bad", "so-so", "good")).labels == ("bad", "so-so", "good")
    with pytest.raises(UsageError, match="2 label names for 3 classes"):
        read_checkpoint(checkpoint, ("bad", "good"))


@pytest.mark.parametrize(
    ("file", "is_foreign"), [(None, True), ("training.json", False), ("tweetscore.json", False)]
)
def test_a_checkpoint_is_foreign_where_no_file_of_ours_is(
    foreign: Callable[[str], Path], tmp_path: Path, file: str | None, is_foreign: bool
) -> None:
    """What `model train` or an export wrote says how its texts are prepared; others keep theirs."""
    checkpoint = _changed(foreign("bert"), tmp_path / "checkpoint")
    if file:
        (checkpoint / file).write_text("{}", "utf-8")
    assert read_checkpoint(checkpoint).foreign is is_foreign


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    """A missing directory is exit 66, and no name on a hub."""
    with pytest.raises(InputMissing):
        read_checkpoint(tmp_path / "nothing")


def test_a_headless_model_is_not_a_classifier(
    tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    """A base model without a classification head is refused, not given a random one."""
    labels = {"0": "no", "1": "yes"}
    base = _changed(tiny_base("bert"), tmp_path / "base", id2label=labels)
    with pytest.raises(InvalidBundle, match="missing: classifier"):
        export_bundle(base, tmp_path / "bundle", ExportOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_threads_do_not_change_the_reference(bundles: Callable[[str], Path]) -> None:
    """PyTorch's answers are computed the same way on any number of cores, which it gets back."""
    bundle = open_bundle(bundles("bert"))
    threads = torch.get_num_threads()
    Reference(bundle.directory, bundle.max_length).logits(["a text"])
    assert torch.get_num_threads() == threads
