"""`tweetscore model train`, from the call to the files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
)

from export.staging import staged
from export.train import RECIPES
from export.train.dataset import labelled
from export.train.labelled_tables import Columns
from export.train.sources import read_table
from export.train.training import choose
from scorer.cli import tweetscore
from scorer.errors import OutputRefused

TinyBase = Callable[[str], Path]
FAST = ["--epochs", "1", "--batch-size", "16", "--learning-rate", "1e-3", "--precision", "fp32"]


def model_train(*arguments: object) -> Result:
    return CliRunner().invoke(tweetscore, ["model", "train", *map(str, arguments)])


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory, labelled_csv: Path) -> tuple[Path, Path]:
    """Return training rows, of which one is null and two are blank, and test rows."""
    directory = tmp_path_factory.mktemp("tables")
    samples = pl.read_csv(labelled_csv)
    blank = pl.DataFrame(
        {"text": [None, "  ", "\u200b"], "sentiment": ["neutral"] * 3}, schema=samples.schema
    )
    pl.concat([samples[:60], blank]).write_csv(directory / "train.csv")
    samples[60:90].write_csv(directory / "test.csv")
    return directory / "train.csv", directory / "test.csv"


@pytest.fixture(scope="module")
def checkpoint(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """Train a tiny GPT-2 once, with most of what can be asked for."""
    output = tmp_path_factory.mktemp("trained") / "tiny"
    train, test = tables
    result = model_train(
        *("-o", output, "--base", tiny_base("gpt2"), "--label-column", "sentiment"),
        *("--data", train, "--test-data", test, "--validation", "0.2", "--refit"),
        *("--distill-folds", "2", "--average-last", "0.5", "--label-smoothing", "0.1", *FAST),
    )
    return output, result


def test_checkpoint_holds_model_evaluation_and_pictures(checkpoint: tuple[Path, Result]) -> None:
    """The directory is whole, readable by all, and has nothing that is not meant to be there."""
    output, result = checkpoint
    assert result.exit_code == 0, result.output
    assert {path.name for path in output.iterdir()} == {
        "config.json",
        "confusion_matrix.png",
        "evaluation.json",
        "merges.txt",
        "model.safetensors",
        "reliability.png",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
        "vocab.json",
    }
    assert {path.stat().st_mode & 0o777 for path in output.iterdir()} == {0o644}
    assert [path.name for path in output.parent.iterdir()] == ["tiny"]


def test_summary_goes_to_stderr(checkpoint: tuple[Path, Result]) -> None:
    """A few lines on stderr show figures and dropped rows; stdout stays empty."""
    _, result = checkpoint
    assert result.stdout == ""
    lines = [x for x in result.stderr.splitlines() if not x.startswith("tweetscore: ")]
    assert lines[0] == "trained on 60 rows of train.csv"
    assert lines[1] == "dropped 1 null and 2 blank texts"
    assert lines[2].startswith("accuracy 0.")
    assert lines[2].endswith("on 30 rows of test.csv")
    assert len(lines) == 4


def test_training_json_tells_the_story(checkpoint: tuple[Path, Result]) -> None:
    """Base, data, every setting, what was dropped, and the baseline; no path of this machine."""
    output, _ = checkpoint
    training = read_json(output / "training.json")
    assert training["name"] == "tiny"
    assert training["data"][0]["name"] == "train.csv"
    assert training["data"][0]["rows"] == 60
    assert training["dropped"] == {"null": 1, "blank": 2}
    assert training["normalizer"] == {"name": "tweetscore", "version": 1, "emoji": "keep"}
    assert training["max_length"] == 66
    recipe = training["recipe"]
    assert (recipe["name"], recipe["epochs"], recipe["precision"]) == ("default", 1, "fp32")
    assert {"base", "epochs", "refit"} <= set(recipe["changed"])
    assert "seed" not in recipe["changed"]
    assert training["baseline"]["rows"] == 12
    assert sum(training["baseline"]["label_shares"].values()) == pytest.approx(1)
    assert str(output.parent) not in (output / "training.json").read_text(encoding="utf-8")


def test_evaluation_is_of_the_test_rows(checkpoint: tuple[Path, Result]) -> None:
    """Every metric of the contract, on all rows of the test file, at the fitted temperature."""
    output, _ = checkpoint
    evaluation = read_json(output / "evaluation.json")
    assert evaluation["data"]["name"] == "test.csv"
    assert evaluation["data"]["rows"] == 30
    assert evaluation["data"]["dropped"] == {"null": 0, "blank": 0}
    assert np.sum(evaluation["confusion_matrix"]) == 30
    assert list(evaluation["per_class"]) == ["negative", "neutral", "positive"]
    assert evaluation["temperature"] == read_json(output / "training.json")["temperature"] != 1
    assert {"accuracy", "macro_f1", "ece", "ece_uncalibrated"} <= set(evaluation)


def test_checkpoint_loads_with_transformers(checkpoint: tuple[Path, Result]) -> None:
    """Others get the labels, the pad token and control tokens as words, without our help."""
    output, _ = checkpoint
    model = AutoModelForSequenceClassification.from_pretrained(output, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert model.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    assert model.config.pad_token_id == tokenizer.pad_token_id == 0
    assert tokenizer.padding_side == "right"
    assert 0 not in tokenizer("<|endoftext|> love")["input_ids"]
    with safe_open(output / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {model.dtype}  # noqa: SIM118
    assert str(model.dtype) == "torch.float32"


def test_without_test_data_the_held_out_rows_are_evaluated(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path: Path
) -> None:
    """The evaluation says that it is of held-out rows."""
    arguments = ("--data", tables[0], "--label-column", "sentiment", "--validation", "0.2")
    result = model_train("-o", tmp_path / "a", "--base", tiny_base("bert"), *arguments, *FAST)
    assert result.exit_code == 0, result.output
    data = read_json(tmp_path / "a" / "evaluation.json")["data"]
    assert (data["name"], data["rows"]) == ("train.csv (held out)", 12)
    assert read_json(tmp_path / "a" / "training.json")["data"][0]["rows"] == 48


def test_without_anything_held_out_there_is_no_evaluation(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path: Path
) -> None:
    """A model that has seen all rows is not praised for knowing them."""
    arguments = ("--data", tables[0], "--label-column", "sentiment", "--validation", "0")
    result = model_train("-o", tmp_path / "a", "--base", tiny_base("bert"), *arguments, *FAST)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "a" / "evaluation.json").exists()
    training = read_json(tmp_path / "a" / "training.json")
    assert (training["temperature"], training["baseline"]["rows"]) == (1, 60)


def test_recipe_takes_the_study_rows(labelled_csv: Path) -> None:
    """The rows of `--recipe study` are those of `datasets`' shuffle(seed=42).select(range(n))."""
    frame = pl.read_csv(labelled_csv)
    dataset = datasets.Dataset.from_dict(frame.to_dict(as_series=False))
    expected = dataset.shuffle(seed=42).select(range(50))["text"]
    chosen, spare = choose(labelled_table(labelled_csv), 50, RECIPES["study"].seed)
    assert chosen.texts.to_list() == list(expected)
    assert len(chosen) + len(spare) == len(frame)
    assert sorted([*chosen.texts, *spare.texts]) == sorted(frame["text"])


def labelled_table(path: Path) -> Any:
    columns = Columns(label="sentiment")
    return labelled(read_table(str(path), "train", columns), columns)


def test_option_wins_over_its_recipe(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path: Path
) -> None:
    """A recipe is a set of defaults; the record says what was changed."""
    result = model_train(
        *("-o", tmp_path / "a", "--recipe", "study", "--base", tiny_base("gpt2")),
        *("--data", tables[0], "--label-column", "sentiment", "--train-rows", "20"),
        *("--validation", "0.25", "--epochs", "1"),
    )
    assert result.exit_code == 0, result.output
    training = read_json(tmp_path / "a" / "training.json")
    assert training["data"][0]["rows"] + sum(training["dropped"].values()) == 20
    assert training["recipe"]["name"] == "study"
    assert training["recipe"]["changed"] == ["base", "epochs", "train_rows", "validation"]
    assert (training["recipe"]["batch_size"], training["recipe"]["accumulation"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--label-column", "mood"], 65, "has no column 'mood', only: text, sentiment"),
        ([], 65, "--label-column sentiment"),
        (["--label-column", "sentiment", "--text-column", "txt"], 65, "--text-column text"),
        (["--label-column", "sentiment", "--label-names", "good,bad"], 65, "has unknown labels"),
        (["--label-column", "sentiment", "--data", "gone.csv"], 66, "no training data in gone.csv"),
        (["--label-column", "sentiment", "--base", "./gone"], 66, "there is no base model in"),
        (["--label-column", "sentiment", "--validation", "0.01"], 65, "cannot be held out"),
        (["--label-column", "sentiment", "--distill-folds", "1"], 2, "--distill-folds"),
        (["--epochs", "0"], 2, "--epochs"),
        (["--recipe", "cake"], 2, "'cake' is not one of"),
    ],
)
def test_errors_are_one_line_with_their_code(
    tables: tuple[Path, Path],
    tiny_base: TinyBase,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    """Each mistake has its exit code and remedy, and leaves nothing behind."""
    result = model_train(
        *("-o", tmp_path / "a", "--data", tables[0], "--base", tiny_base("bert"), *arguments)
    )
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_data_are_read_before_a_base_is_fetched(
    tables: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typo in a column, or a class of one row, costs no download."""
    monkeypatch.setattr("export.train.training.open_base", refused)
    arguments = ("-o", tmp_path / "a", "--base", "owner/base", "--data", tables[0])
    result = model_train(*arguments, "--label-column", "sentimnt")
    assert result.exit_code == 65
    assert f"tweetscore model train -o {tmp_path}/a --base owner/base" in result.stderr
    assert result.stderr.endswith("--label-column sentiment\n")
    alone = pl.concat(
        [pl.read_csv(tables[0]), pl.DataFrame({"text": ["a"], "sentiment": ["Neutral"]})]
    )
    alone.write_csv(tmp_path / "alone.csv")
    result = model_train(*arguments[:-1], tmp_path / "alone.csv", "--label-column", "sentiment")
    assert (result.exit_code, "class 'Neutral' of alone.csv" in result.stderr) == (65, True)


def test_messages_are_json_where_asked_for(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path: Path
) -> None:
    """Warnings and the summary are objects, a line each, as those of a run; rows are named."""
    result = model_train(
        *("-o", tmp_path / "a", "--base", tiny_base("bert"), "--label-column", "sentiment"),
        *("--data", tables[0], "--test-data", tables[0], "--validation", "0"),
        *("--log-format", "json", *FAST),
    )
    assert result.exit_code == 0, result.output
    messages = [json.loads(line) for line in result.stderr.splitlines()]
    said = {message["event"]: message for message in messages}
    assert "60 test rows of 60 are training rows too" in said["data"]["message"]
    assert said["data"]["level"] == "warning"
    assert "the temperature is 1" in said["temperature"]["message"]
    assert said["trained"]["data"][0]["rows"] == 60
    assert said["trained"]["evaluation"]["data"]["rows"] == 60


def test_fewer_than_two_classes_is_65(tiny_base: TinyBase, tmp_path: Path) -> None:
    """Classes count only where they have a text."""
    pl.DataFrame({"text": ["a", "b", " "], "label": ["x", "x", "y"]}).write_csv(tmp_path / "d.csv")
    result = model_train(
        "-o", tmp_path / "a", "--data", tmp_path / "d.csv", "--base", tiny_base("bert")
    )
    assert result.exit_code == 65
    assert "d.csv has fewer than two classes with text (x)" in result.stderr


def test_test_data_without_texts_are_65_before_any_training(
    tables: tuple[Path, Path], tiny_base: TinyBase, tmp_path: Path
) -> None:
    """Nobody waits for a training whose evaluation cannot be made."""
    pl.DataFrame({"text": [" "], "sentiment": ["neutral"]}).write_csv(tmp_path / "test.csv")
    result = model_train(
        *("-o", tmp_path / "a", "--data", tables[0], "--base", tiny_base("bert")),
        *("--label-column", "sentiment", "--test-data", tmp_path / "test.csv"),
    )
    assert result.exit_code == 65
    assert "test.csv has no row with a text" in result.stderr


def test_base_that_is_not_allowed_is_78(tables: tuple[Path, Path], tmp_path: Path) -> None:
    """A base that brings code is refused on the command line too."""
    (tmp_path / "base").mkdir()
    config = {"model_type": "llama", "vocab_size": 9, "auto_map": {"AutoModel": "evil.Model"}}
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    result = model_train(
        *("-o", tmp_path / "a", "--data", tables[0], "--base", tmp_path / "base"),
        *("--label-column", "sentiment"),
    )
    assert result.exit_code == 78
    assert "config.json has auto_map" in result.stderr


def test_directory_that_is_not_ours_is_73(tables: tuple[Path, Path], tmp_path: Path) -> None:
    """What stands at the output is not touched, with or without --overwrite."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years")
    for more in ([], ["--overwrite"]):
        result = model_train("-o", tmp_path / "a", "--data", tables[0], *more)
        assert result.exit_code == 73
        assert "exists and holds no training.json" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "thesis.txt"]


def test_staged_directory_replaces_its_own_kind_only_if_asked(tmp_path: Path) -> None:
    """An earlier result stays until --overwrite, and then goes in one step."""
    target = tmp_path / "deep" / "a"
    for content, overwrite in (("1", False), ("2", True)):
        with staged(target, marker="mark", overwrite=overwrite) as stage:
            (stage / "mark").write_text(content)
    assert (target / "mark").read_text() == "2"
    with (
        pytest.raises(OutputRefused, match="use --overwrite"),
        staged(target, marker="mark", overwrite=False),
    ):
        pytest.fail("the stage was opened")
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_a_directory_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    """One that only its owner may enter stays so, whether it held a result or was just made."""
    (target := tmp_path / "a").mkdir(mode=0o700)
    for content in ("1", "2"):
        with staged(target, marker="mark", overwrite=True) as stage:
            (stage / "mark").write_text(content)
        assert target.stat().st_mode & 0o7777 == 0o700
    target.chmod(0o2750)
    with staged(target, marker="mark", overwrite=True) as stage:
        (stage / "mark").write_text("3")
    assert target.stat().st_mode & 0o7777 == 0o2750
    with staged(tmp_path / "b", marker="mark", overwrite=True) as stage:
        (stage / "mark").write_text("1")
    assert (tmp_path / "b").stat().st_mode & 0o7777 == 0o755


def test_failure_leaves_the_earlier_result(tmp_path: Path) -> None:
    """What fails half-way leaves neither a half nor a hole."""
    with staged(tmp_path / "a", marker="mark", overwrite=False) as stage:
        (stage / "mark").write_text("1")
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "a")
    assert (tmp_path / "a" / "mark").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("after", [True, False])
def test_a_signal_at_the_rename_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """Never neither, and what is complete is not taken back."""
    with staged(tmp_path / "a", marker="mark", overwrite=False) as stage:
        (stage / "mark").write_text("1")
    real = Path.replace

    def interrupt(path: Path, target: Path) -> Path:
        is_new = (path / "mark").exists() and (path / "mark").read_text() == "2"
        if is_new and not after:
            raise KeyboardInterrupt
        done = real(path, target)
        if is_new:
            raise KeyboardInterrupt
        return done

    def replaced() -> None:
        with staged(tmp_path / "a", marker="mark", overwrite=True) as stage:
            (stage / "mark").write_text("2")

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replaced()
    assert (tmp_path / "a" / "mark").read_text() == ("2" if after else "1")


def test_an_old_directory_that_cannot_be_removed_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one has its place by then."""
    for content in ("1", "2"):
        with staged(tmp_path / "a", marker="mark", overwrite=True) as stage:
            (stage / "mark").write_text(content)
            monkeypatch.setattr("os.rmdir", refused)
    assert (tmp_path / "a" / "mark").read_text() == "2"


def refused(*_: Any, **__: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


def interrupted(target: Path) -> None:
    with staged(target, marker="mark", overwrite=True) as stage:
        (stage / "mark").write_text("2")
        raise KeyboardInterrupt


def test_full_disk_is_74(
    tables: tuple[Path, Path],
    tiny_base: TinyBase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights that cannot be written are a storage error; the library's failure is a stub."""

    def no_space(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(BertForSequenceClassification, "save_pretrained", no_space)
    arguments = ("--data", tables[0], "--label-column", "sentiment", "--validation", "0")
    result = model_train("-o", tmp_path / "a", "--base", tiny_base("bert"), *arguments, *FAST)
    assert result.exit_code == 74
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []
