"""What is no bundle yet is answered with the commands that make one of it, without a network."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scorer.cli import tweetscore
from scorer.errors import InvalidBundle
from scorer.inference.bundle import open_bundle


@pytest.fixture
def tweets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file in the current directory, by its name alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my tweets.csv").write_text("text\nhello\n", "utf-8")
    return Path("my tweets.csv")


@pytest.fixture
def checkpoint(tiny_bert_bundle: Path, tmp_path: Path) -> Path:
    """Return a model without tweetscore.json and graphs, as transformers saves it."""
    directory = tmp_path / "my-model"
    ignored = shutil.ignore_patterns("tweetscore.json", "*.onnx", "canary.json")
    return Path(shutil.copytree(tiny_bert_bundle, directory, ignore=ignored))


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(tweetscore, [str(word) for word in words])


@pytest.mark.parametrize(
    ("name", "source", "output"),
    [
        ("cardiffnlp/twitter-roberta", "hf:cardiffnlp/twitter-roberta", "twitter-roberta/"),
        ("hf:owner/model", "hf:owner/model", "model/"),
        ("hf:owner/model@v1.0", "hf:owner/model@v1.0", "model/"),
        ("hf:gpt2", "hf:gpt2", "gpt2/"),
    ],
)
def test_a_name_of_the_hub_is_answered_with_two_commands(
    tweets: Path, name: str, source: str, output: str
) -> None:
    """The second one is the call itself, with the bundle that the first one makes."""
    result = run("run", tweets, "--model", name, "--scores", "all")
    assert result.exit_code == 78
    _, _, commands = result.stderr.strip().partition("; try: ")
    export, _, again = commands.partition(" && ")
    assert shlex.split(export) == ["tweetscore", "model", "export", source, "-o", output]
    assert shlex.split(again) == [
        *("tweetscore", "run", "my tweets.csv", "--scores", "all", "--model", output)
    ]
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["whole", "adapter", "pickle"])
def test_a_checkpoint_is_answered_with_two_commands(
    tweets: Path, checkpoint: Path, kind: str
) -> None:
    """It is a model, but nothing has compared its graph with it."""
    if kind == "adapter":
        (checkpoint / "config.json").rename(checkpoint / "adapter_config.json")
    if kind == "pickle":
        (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    result = run("run", tweets, "--model", "my-model/")
    assert result.exit_code == 78
    assert result.stderr == (
        f"tweetscore: {checkpoint} is a checkpoint, and not yet a bundle; try: tweetscore model "
        "export my-model -o my-model-bundle/ && tweetscore run 'my tweets.csv' "
        "--model my-model-bundle/\n"
    )


@pytest.mark.parametrize(
    ("origin", "source"),
    [("owner/model", "hf:owner/model"), ("/home/me/model", "CHECKPOINT"), (None, "CHECKPOINT")],
)
def test_a_graph_without_its_weights_is_exported_from_its_checkpoint(
    tweets: Path, checkpoint: Path, origin: str | None, source: str
) -> None:
    """A directory of Optimum's names the model of the Hub that it came from, or nothing."""
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.onnx").write_bytes(b"a graph")
    path = checkpoint / "config.json"
    path.write_text(json.dumps({"_name_or_path": origin}) if origin else "not JSON", "utf-8")
    result = run("run", tweets, "--model", checkpoint)
    assert result.exit_code == 78
    assert "is a model in ONNX without the weights of PyTorch" in result.stderr
    assert f"; try: tweetscore model export {source} -o my-model-bundle/ && " in result.stderr


def test_without_an_input_the_commands_are_shown_in_general(tweets: Path) -> None:
    """Other commands and Python have no call of `run` that could be typed again."""
    with pytest.raises(InvalidBundle) as caught:
        open_bundle(Path("owner/model"))
    general = "try: tweetscore model export hf:owner/model -o model/ && tweetscore run ... "
    assert caught.value.remedy == f"{general}--model model/"
    assert general in run("text", "hello", "--model", "owner/model").stderr
    assert tweets.exists()


@pytest.mark.parametrize("name", ["bundle", "there/model", "/owner/model", "a/b/c", "a b/c"])
def test_a_path_that_leads_nowhere_is_a_path(tweets: Path, name: str) -> None:
    """What cannot be a name of the Hub, or lies in a directory that is there, is a typing error."""
    Path("there").mkdir()
    with pytest.raises(InvalidBundle, match="is not a model bundle; name a bundle's directory"):
        open_bundle(Path(name))
    assert tweets.exists()


def test_an_empty_directory_is_no_checkpoint(tmp_path: Path) -> None:
    """Nothing in it tells what it was meant to be."""
    with pytest.raises(InvalidBundle, match=r"tweetscore\.json cannot be read"):
        open_bundle(tmp_path)
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(InvalidBundle, match=r"tweetscore\.json cannot be read"):
        open_bundle(tmp_path)
    (tmp_path / "tweetscore.json").symlink_to("nowhere")
    with pytest.raises(InvalidBundle, match=r"tweetscore\.json is not a regular file"):
        open_bundle(tmp_path)
