"""Which texts a bundle was compared on, and what it keeps of them."""

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from export import parity, parity_texts
from export.chain import ExportOptions, export_bundle
from export.parity.pytorch import Reference
from export.parity_texts import kept_in, record_of, sampled
from export.steps import Steps
from scorer.cli import tweetscore
from scorer.errors import GateFailed, InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle

SEVEN = ("alegría", "tristeza", "enfado", "miedo", "asco", "sorpresa", "otros")


def seven_classes(checkpoint: Path, target: Path, never: int | None = None) -> Path:
    """Give a checkpoint seven classes in place of three; one of them never wins."""
    import torch

    copy = Path(shutil.copytree(checkpoint, target))
    weights = load_file(copy / "model.safetensors")
    head = weights["classifier.weight"]
    angles = torch.arange(7) * (2 * torch.pi / 7)  # each wins in its own direction
    weights["classifier.weight"] = torch.stack((angles.cos(), angles.sin()), 1) @ head[:2]
    weights["classifier.bias"] = torch.zeros(7)
    if never is not None:
        weights["classifier.weight"][never] = 0
        weights["classifier.bias"][never] = -50.0
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    path = copy / "config.json"
    names = {str(i): name for i, name in enumerate(SEVEN)}
    ids = {name: i for i, name in enumerate(SEVEN)}
    config = {**json.loads(path.read_text("utf-8")), "id2label": names, "label2id": ids}
    path.write_text(json.dumps(config), "utf-8")
    return copy


def test_a_class_of_another_language_may_be_rare(
    foreign: Callable[[str], Path], tmp_path: Path
) -> None:
    """Seven Spanish classes are exported, the one that no text is answered with is named."""
    told: list[str] = []
    checkpoint = seven_classes(foreign("bert"), tmp_path / "seven", SEVEN.index("asco"))
    texts = ("me da asco", "un texto en español")
    options = ExportOptions(parity_texts=texts)
    export_bundle(
        checkpoint, tmp_path / "bundle", options, Steps(lambda said, _: told.append(said))
    )
    (warning,) = [said for said in told if said.startswith("warning: ")]
    assert "no text is answered with asco:" in warning
    place = told.index(warning)
    assert not any("graphs" in said for said in told[:place])
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.labels == SEVEN
    report = parity.check(bundle, Reference(bundle.directory, bundle.max_length))
    assert {each.figures.texts for each in report.measured} == {
        each["texts"] for each in bundle.metadata.parity
    }
    assert {*texts} <= {*(kept_in(bundle) or ())}


def test_a_constant_model_fails_before_a_graph_is_built(
    foreign: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds: the long part of an export has not begun."""
    checkpoint = seven_classes(foreign("bert"), tmp_path / "constant")
    weights = load_file(checkpoint / "model.safetensors")
    weights["classifier.weight"] *= 0
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr("export.graphs.save_graphs", None)
    with pytest.raises(GateFailed, match="prove nothing"):
        export_bundle(checkpoint, tmp_path / "bundle", ExportOptions())


def test_texts_are_distinct_and_few() -> None:
    """All, or some at even distances where they are too many or too long."""
    assert sampled([]) == ()
    assert sampled(["a", "b", "a"]) == ("a", "b")
    many = [f"text {i}" for i in range(25_000)]
    some = sampled(many)
    assert 5_000 < len(some) <= parity_texts.MOST_TEXTS
    assert some[:2] == ("text 0", "text 3")
    long = sampled([f"{i}" + "x" * 300_000 for i in range(10)])
    assert 0 < sum(map(len, long)) <= 2_000_000


def test_more_texts_than_are_kept_are_said(
    bundles: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of compressed NDJSON, as `tweetscore run` reads it."""
    monkeypatch.setattr(parity_texts, "MOST_TEXTS", 2)
    path = tmp_path / "texts.ndjson.gz"
    lines = "".join(json.dumps({"text": f"texto {i}"}) + "\n" for i in range(6))
    path.write_bytes(gzip.compress(lines.encode()))
    seen: list[tuple[str, ...]] = []

    def check(_: Bundle, texts: tuple[str, ...], __: object) -> None:
        seen.append(texts)
        raise GateFailed("stopped", "here")

    monkeypatch.setattr("export.conversion.check_confined", check)
    call = ["model", "check", str(bundles("bert")), "--parity-data", str(path)]
    result = CliRunner().invoke(tweetscore, call)
    assert result.exit_code == 76
    assert f"of 6 texts of {path}, 2 at even distances are measured" in result.stderr
    assert seen == [("texto 0", "texto 3")]


def changed(bundle: Path, target: Path, content: object) -> Bundle:
    copy = Path(shutil.copytree(bundle, target))
    (copy / "parity.json").write_text(json.dumps(content), "utf-8")
    path = copy / "tweetscore.json"
    said = json.loads(path.read_text("utf-8"))
    said["files"]["parity.json"] = hashlib.sha256((copy / "parity.json").read_bytes()).hexdigest()
    path.write_text(json.dumps(said), "utf-8")
    return open_bundle(copy)


@pytest.mark.parametrize("content", [{}, {"texts": "abc"}, {"texts": ["a", 1]}, {"texts": [None]}])
def test_texts_that_are_none_make_an_invalid_bundle(
    bundles: Callable[[str], Path], tmp_path: Path, content: object
) -> None:
    """Only `model check` reads them, and it says which file is wrong."""
    with pytest.raises(InvalidBundle, match=r"parity.json needs texts"):
        kept_in(changed(bundles("bert"), tmp_path / "changed", content))


def test_a_bundle_of_before_keeps_none() -> None:
    """The embedded one was made before bundles kept their texts."""
    assert kept_in(open_bundle()) is None
    assert record_of(["a", "b", "a"]) == {"texts": ["a", "b"]}
