"""A hostile checkpoint is refused in one clear line, before a library loads any of it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from export.source.checkpoint import read_checkpoint
from export.source.text_rules import text_rules
from scorer.errors import InputMissing, InvalidBundle, TweetscoreError
from tests.hostile.checkpoint_cases import CASES, COUNT

# What would load a model, or knows how to, or fetches one.
LOADERS = {"tokenizers", "torch", "transformers", "peft", "sentencepiece", "safetensors", "onnx"}
# argv: the checkpoints. Reports what was imported, and what was opened elsewhere.
WORKER = """
import json, os, sys
from export.source.checkpoint import read_checkpoint
from export.source.text_rules import text_rules
from scorer.errors import TweetscoreError

opened = []
directories = [os.path.realpath(path) for path in sys.argv[1:]]
modules = {*sys.modules}

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.append(os.path.abspath(arguments[0]))

sys.addaudithook(watch)
codes = []
for directory in directories:
    try:
        read_checkpoint(directory)
        codes.append(0)
    except TweetscoreError as error:
        codes.append(error.exit_code)
inside = tuple(f"{directory}/" for directory in directories)
libraries = tuple({os.path.realpath(path) for path in sys.path if path})
print(json.dumps({
    "codes": codes,
    "opened": [path for path in opened if not path.startswith((*inside, *libraries))],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


@pytest.fixture(scope="module")
def good(tiny_bert_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint that is read."""
    directory = tmp_path_factory.mktemp("good") / "model"
    ignored = shutil.ignore_patterns("tweetscore.json", "*.onnx", "canary.json", "README.md")
    shutil.copytree(tiny_bert_bundle, directory, ignore=ignored)
    (directory / "tokenizer_config.json").write_text("{}", "utf-8")
    assert read_checkpoint(directory).foreign
    return directory


@pytest.fixture(scope="module")
def checkpoints(good: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return every hostile checkpoint, made once."""
    root = tmp_path_factory.mktemp("hostile")
    made = {}
    for number, (name, case) in enumerate(CASES.items()):
        made[name] = Path(shutil.copytree(good, root / str(number) / "model"))
        case.change(made[name])
    return made


def test_the_number_of_cases_is_the_one_of_the_pages() -> None:
    """docs/guarantees.md quotes it."""
    assert len(CASES) == COUNT


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused(
    checkpoints: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is wrong and what can be done, on one line however long that is."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((InvalidBundle, InputMissing), match=CASES[name].problem) as refusal:
        read_checkpoint(checkpoints[name])
    line = str(refusal.value)
    assert line.isprintable()
    assert len(line) < 900
    assert refusal.value.remedy
    assert refusal.value.exit_code in (66, 78)


def test_refusing_loads_nothing(good: Path, checkpoints: dict[str, Path]) -> None:
    """No loader is imported, and no file outside is opened: not the one that a link leads to."""
    command = [sys.executable, "-c", WORKER, *map(str, (good, *checkpoints.values()))]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["codes"][0] == 0
    assert {*answer["codes"][1:]} == {66, 78}
    assert answer["opened"] == []
    assert LOADERS.isdisjoint(answer["modules"])


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    1e308,
    "x",
    "",
    [],
    [1],
    {},
    {"x": 1},
    {"0": 1},
    ["a", None],
)


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        ("config.json", "id2label label2id max_position_embeddings model_type n_positions"),
        ("config.json", "num_labels pad_token_id problem_type vocab_size transformers_version"),
        ("config.json", "layer_types rope_parameters"),
        ("tokenizer_config.json", "extra_special_tokens model_max_length tokenizer_class"),
        ("training.json", "base_model data max_length normalizer split_special_tokens temperature"),
        ("tweetscore.json", "max_length metrics name normalizer temperature training"),
    ],
)
def test_no_type_of_a_value_is_a_bug_of_ours(
    good: Path, tmp_path: Path, file: str, keys: str
) -> None:
    """Whatever stands where a number or a text is needed: an error of ours, or a checkpoint."""
    directory = Path(shutil.copytree(good, tmp_path / "model"))
    path = directory / file
    content = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for key in keys.split():
        for written_by in ({}, {"transformers_version": "5.0.0"}):
            for value in ODD:
                path.write_text(json.dumps(content | written_by | {key: value}), "utf-8")
                with suppress(TweetscoreError):
                    read = read_checkpoint(directory)
                    assert read.temperature > 0
                    assert text_rules(read, None, None).max_length > 0
            path.write_text(json.dumps({k: v for k, v in content.items() if k != key}), "utf-8")
            with suppress(TweetscoreError):
                read_checkpoint(directory)
