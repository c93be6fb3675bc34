"""Models of the Hugging Face Hub, against a stand-in that speaks its API on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils._http import reset_sessions

from export.source import hub
from export.source.base import open_base
from export.source.checkpoint import read_checkpoint
from scorer.errors import InputMissing, InvalidBundle
from scorer.inference.bundle.metadata import Source
from tests.export.stub_hub import COMMIT, LATER, Repository, StubHub

CARD = b"---\nlicense: apache-2.0\n---\n# A model\n"
Files = dict[str, bytes]


@pytest.fixture
def files(foreign: Callable[[str], Path]) -> Files:
    """Return what a repository of the Hub holds: the model, its card, and what nobody needs."""
    found = {path.name: path.read_bytes() for path in foreign("bert").iterdir()}
    others = ("pytorch_model.bin", "modeling.py", "onnx/model.onnx", "tf_model.h5", "optimizer.pt")
    return {**found, "README.md": CARD, **dict.fromkeys(others, b"nobody wants it")}


@pytest.fixture
def stub(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    """Return a Hub with one model, and a cache that is empty."""
    with StubHub({"owner/model": Repository({COMMIT: files})}) as stub:
        monkeypatch.setattr(constants, "ENDPOINT", stub.url)
        template = f"{stub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield stub
    monkeypatch.undo()
    reset_sessions()


def sent(stub: StubHub) -> list[str]:
    """Return the names of the files that were sent, in order."""
    names = [line.rpartition("/")[2] for line in stub.asked if line.startswith("GET owner/")]
    stub.asked.clear()
    return names


def offline(monkeypatch: pytest.MonkeyPatch, *, no: bool = False) -> None:
    """Set HF_HUB_OFFLINE, which the library reads when it opens its connections."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", not no)
    reset_sessions()


def test_a_model_of_the_hub_is_fetched_with_its_commit(stub: StubHub) -> None:
    """Only what is judged and read is sent, the weights last; where it came from is recorded."""
    checkpoint = read_checkpoint("hf:owner/model")
    names = sent(stub)
    assert names[0] == "config.json"
    assert names[-1] == "model.safetensors"
    assert {*names[1:-1]} == {
        *("README.md", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
        "vocab.txt",
    }
    assert checkpoint.base.source == Source("owner/model", COMMIT)
    assert (checkpoint.name, checkpoint.base.licence) == ("model", "apache-2.0")
    assert checkpoint.foreign


def test_what_the_cache_has_is_not_asked_for_again(stub: StubHub) -> None:
    """The second time the Hub is asked for the commit and its files, and for no file."""
    first = open_base("hf:owner/model").directory
    stub.asked.clear()
    assert open_base("hf:owner/model").directory == first
    assert stub.asked == [
        "GET api/models/owner/model/revision/main",
        f"GET api/models/owner/model/revision/{COMMIT}",
    ]


@pytest.mark.parametrize("how", ["HF_HUB_OFFLINE", "the server is down"])
def test_without_the_hub_the_cache_answers(
    stub: StubHub, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Offline, a model that was fetched before is what its revision was then."""
    first = open_base("hf:owner/model").directory
    stub.asked.clear()
    if how == "HF_HUB_OFFLINE":
        offline(monkeypatch)
    else:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert read_checkpoint("hf:owner/model").base.source == Source("owner/model", COMMIT)
    assert open_base(f"hf:owner/model@{COMMIT}").directory == first
    assert stub.asked == []


def test_half_of_a_model_in_the_cache_is_none(
    stub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a fetch was cut off, the cache alone does not do: the weights are not there."""
    open_base("hf:owner/model")
    link = hub.fetched("owner/model") / "model.safetensors"
    link.resolve().unlink()
    link.unlink()
    offline(monkeypatch)
    with pytest.raises(InputMissing, match="HF_HUB_OFFLINE is set; run the command again after: "):
        open_base("hf:owner/model")
    offline(monkeypatch, no=True)
    stub.asked.clear()
    open_base("hf:owner/model")
    assert sent(stub) == ["model.safetensors"]


def test_a_revision_is_a_branch_a_tag_or_a_commit(stub: StubHub, files: Files) -> None:
    """A later commit of main does not change what a tag stands for."""
    stub.repositories["owner/model"] = Repository(
        {COMMIT: files, LATER: {**files, "README.md": b"---\nlicense: mit\n---\n"}},
        {"main": LATER, "v1": COMMIT, "refs/pr/1": LATER},
    )
    licences = {
        revision: open_base(f"hf:owner/model{revision}").licence
        for revision in ("", "@v1", f"@{COMMIT}")
    }
    assert licences == {"": "mit", "@v1": "apache-2.0", f"@{COMMIT}": "apache-2.0"}
    with pytest.raises(InputMissing, match="has no revision v2; take a branch, a tag or a commit"):
        open_base("hf:owner/model@v2")


def test_a_base_is_named_with_or_without_the_prefix(stub: StubHub) -> None:
    """`--base OWNER/NAME` stays, and a name without an owner is one of the Hub with hf: alone."""
    assert open_base("owner/model").name == "owner/model"
    stub.repositories["bert-base"] = Repository({}, moved_to="owner/model")
    assert open_base("hf:bert-base").sha256 == open_base("hf:owner/model").sha256


def test_shards_are_fetched_by_their_index(stub: StubHub, files: Files) -> None:
    """The files that the index names are fetched, and no others."""
    shard = files.pop("model.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "model-1-of-1.safetensors"}}
    files |= {
        "model-1-of-1.safetensors": shard,
        "model-2-of-1.safetensors": shard,
        "model.safetensors.index.json": json.dumps(index).encode(),
    }
    weights = open_base("hf:owner/model").weights
    assert [path.name for path in weights.files] == ["model-1-of-1.safetensors"]
    assert sent(stub)[-2:] == ["model.safetensors.index.json", "model-1-of-1.safetensors"]


def test_pickles_are_fetched_where_there_is_nothing_else(stub: StubHub, files: Files) -> None:
    """A repository without safetensors gives its pytorch_model.bin."""
    del files["model.safetensors"]
    assert open_base("hf:owner/model").weights.kind == "pickle"
    assert sent(stub)[-1] == "pytorch_model.bin"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.Model"}}, "has auto_map"),
        ("config.json", {"_attn_implementation_internal": "evil/kernel"}, "can run code"),
        ("config.json", {"transformers_weights": "../../../x.bin"}, "has transformers_weights"),
        ("adapter_config.json", {"auto_map": {}}, "has auto_map"),
    ],
)
def test_a_configuration_is_judged_before_anything_else_is_fetched(
    stub: StubHub, files: Files, file: str, content: object, said: str
) -> None:
    """What must not be is refused while only configurations have been sent."""
    files[file] = json.dumps(content).encode()
    with pytest.raises(InvalidBundle, match=said):
        open_base("hf:owner/model")
    assert {*sent(stub)} <= {"config.json", "adapter_config.json"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:owner/nothing", "the Hub has no model owner/nothing, or none that you may read; "),
        ("hf:owner/gated", "is gated: its terms have to be accepted first; accept them on "),
        ("hf:owner/empty", "has neither config.json nor adapter_config.json"),
        ("hf:a/b/c", "names no model of the Hub; write hf:OWNER/NAME"),
        ("hf:../b", "names no model of the Hub"),
        ("hf:/owner/model", "names no model of the Hub"),
        ("hf:owner/model@../../x", "names no model of the Hub"),
    ],
)
def test_what_the_hub_does_not_give_is_said_in_one_line(
    stub: StubHub, files: Files, name: str, said: str
) -> None:
    """Each with what to do: a login, another name, an address to look at."""
    stub.repositories["owner/gated"] = Repository({COMMIT: files}, gated=True)
    stub.repositories["owner/empty"] = Repository({COMMIT: {"README.md": CARD}})
    with pytest.raises((InputMissing, InvalidBundle)) as caught:
        open_base(name)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_hub_that_cannot_be_reached_is_named(
    stub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network and without a cache: the reason, and a command that shows it."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputMissing) as caught:
        open_base("hf:owner/model")
    assert str(caught.value) == (
        "owner/model cannot be fetched from the Hub (no connection); see whether it answers: "
        "curl -sI http://127.0.0.1:9/owner/model"
    )
    assert caught.value.exit_code == 66
    assert stub.asked == []


def environment(stub: StubHub, home: Path) -> dict[str, str]:
    return os.environ | {"HF_ENDPOINT": stub.url, "HF_HOME": str(home), "no_proxy": "127.0.0.1"}


def export(*words: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("tweetscore"), "model", "export", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def recorded(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "tweetscore.json").read_text("utf-8"))
    return found


def test_the_command_exports_a_model_of_the_hub(
    stub: StubHub, files: Files, tmp_path: Path
) -> None:
    """`model export hf:OWNER/NAME` by HF_ENDPOINT, and from the cache with HF_HUB_OFFLINE."""
    files["LICENSE"] = b"Do what you like."
    bundle, online = tmp_path / "bundle", environment(stub, tmp_path / "home")
    done = export("hf:owner/model", "-o", bundle, environment=online)
    assert done.returncode == 0, done.stderr
    metadata = recorded(bundle)
    assert metadata["source"] == {"name": "owner/model", "revision": COMMIT, "base": None}
    assert metadata["license"] == "apache-2.0"
    assert (bundle / "LICENSE").read_bytes() == files["LICENSE"]
    stub.asked.clear()
    words = ("hf:owner/model", "-o", tmp_path / "again", "--label-names", "only,two")
    done = export(*words, environment=online | {"HF_HUB_OFFLINE": "1"})
    assert "2 label names for 3 classes" in done.stderr  # so the model was found
    assert stub.asked == []


def test_a_tokenizer_alone_comes_without_weights(
    stub: StubHub, checkpoints: Callable[[str], Path]
) -> None:
    """A checkpoint of the Trainer's may have none; its base on the Hub has it."""
    found = read_checkpoint(checkpoints("bert"), tokenizer="hf:owner/model")
    assert found.base.tokenizer.name == COMMIT
    assert found.base.directory == checkpoints("bert")
    names = sent(stub)
    assert "tokenizer.json" in names
    assert "model.safetensors" not in names


@pytest.fixture
def adapter(checkpoints: Callable[[str], Path], stub: StubHub, tmp_path: Path) -> None:
    """Put an adapter on the Hub, of which the other model is the base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    base: Any = AutoModelForSequenceClassification.from_pretrained(checkpoints("bert"))
    adapted: Any = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2))
    torch.manual_seed(4)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.01)
    adapted.save_pretrained(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    settings = json.loads(config.read_text("utf-8")) | {"base_model_name_or_path": "owner/model"}
    config.write_text(json.dumps(settings), "utf-8")
    found = {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()}
    stub.repositories["owner/adapter"] = Repository({LATER: found}, {"main": LATER})


NAMES = ("bad", "so-so", "good")


@pytest.mark.usefixtures("adapter")
def test_an_adapter_and_its_base_are_fetched(stub: StubHub) -> None:
    """Both commits are recorded; of the base's owner comes the licence that the adapter has not."""
    base = read_checkpoint("hf:owner/adapter", NAMES).base
    assert base.source == Source("owner/adapter", LATER, base=f"owner/model@{COMMIT}")
    assert base.licence == "apache-2.0"
    assert {*sent(stub)} >= {"adapter_model.safetensors", "model.safetensors"}


@pytest.mark.ci
@pytest.mark.usefixtures("adapter")
def test_the_command_exports_an_adapter_of_the_hub(stub: StubHub, tmp_path: Path) -> None:
    """The confined process may read what was fetched, of both."""
    bundle, online = tmp_path / "bundle", environment(stub, tmp_path / "home")
    words = ("hf:owner/adapter", "-o", bundle, "--label-names", ",".join(NAMES))
    done = export(*words, environment=online)
    assert done.returncode == 0, done.stderr
    assert recorded(bundle)["base_model"]["name"] == "owner/model"
    assert recorded(bundle)["labels"] == [*NAMES]


@pytest.mark.usefixtures("adapter")
def test_an_adapter_of_the_hub_names_no_directory_of_this_box(
    stub: StubHub, tmp_path: Path
) -> None:
    """Even one that is there: who put the adapter on the Hub has no business in it."""
    files = stub.repositories["owner/adapter"].commits[LATER]
    config = json.loads(files["adapter_config.json"])
    for place in (str(tmp_path), "."):
        config["base_model_name_or_path"] = place
        files["adapter_config.json"] = json.dumps(config).encode()
        stub.repositories["owner/adapter"].commits[COMMIT] = files
        stub.repositories["owner/adapter"].refs["main"] = COMMIT
        with pytest.raises(InputMissing, match=r"is not found; say where it is: .* --base BASE"):
            open_base("hf:owner/adapter")
