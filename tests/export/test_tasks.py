"""Models of several labels, of a value, of one logit: as transformers' own pipeline has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from scorer.api.scorer import Scorer
from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.loading import ModelHandle
from scorer.options import ModelSpec, RunOptions
from scorer.run import pipeline
from scorer.verify import verify
from tests.export.conftest import LABELLED, spread
from tests.once import made_once

EMOTIONS = tuple(f"emotion {number}" for number in range(28))
MANY = tuple(f"intent {number}" for number in range(300))
MODELS: dict[str, dict[str, Any]] = {
    "multi": {"problem_type": "multi_label_classification", "id2label": dict(enumerate(EMOTIONS))},
    "value": {"problem_type": "regression", "id2label": {0: "stars"}},
    "logit": {"id2label": {0: "LABEL_0"}},
    "many": {"id2label": dict(enumerate(MANY))},
}


@pytest.fixture(scope="module")
def checkpoint(
    tiny_base: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function from the name of a model to its checkpoint."""

    def make(kind: str, directory: Path) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.manual_seed(3)
        tokenizer = AutoTokenizer.from_pretrained(tiny_base("bert"))
        model = AutoModelForSequenceClassification.from_pretrained(
            tiny_base("bert"), **MODELS[kind]
        ).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.3)
            spread(model, tokenizer)
            if kind == "value":
                model.classifier.weight *= 150  # values of any size
                model.classifier.bias += 40
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return lambda kind: made_once(
        tmp_path_factory, f"task-{kind}", lambda directory: make(kind, directory)
    )


@pytest.fixture(scope="module")
def bundle(
    checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Bundle]:
    """Return a function from the name of a model to its bundle."""
    from export.chain import ExportOptions, export_bundle

    def make(kind: str, directory: Path) -> None:
        export_bundle(checkpoint(kind), directory / kind, ExportOptions(name="tiny"))

    return lambda kind: open_bundle(
        made_once(tmp_path_factory, f"task-bundle-{kind}", lambda folder: make(kind, folder)) / kind
    )


def piped(bundle: Bundle, texts: pl.Series) -> NDArray[np.float64]:
    """Return the scores of transformers' own pipeline, [texts, classes]."""
    import torch
    from transformers import pipeline as of_transformers

    made: Any = of_transformers(
        "text-classification", model=str(bundle.directory), device="cpu", dtype=torch.float32
    )
    answers = made(
        bundle.normalizer(texts).to_list(),
        top_k=None,
        truncation=True,
        max_length=bundle.max_length,
    )
    found = [{each["label"]: each["score"] for each in answer} for answer in answers]
    return np.array([[answer[name] for name in bundle.labels] for answer in found])


def texts() -> pl.Series:
    return pl.read_csv(LABELLED)["text"].unique(maintain_order=True).head(120)


def run(bundle: Bundle, input_: Path, **options: Any) -> Path:
    wanted = RunOptions.of(
        (input_,), model=bundle.directory, device="cpu", precision="fp32", **options
    )
    (outcome,) = pipeline.run(wanted)
    assert outcome.error is None, outcome.error
    return outcome.output


@pytest.mark.parametrize("kind", ["multi", pytest.param("many", marks=pytest.mark.ci)])
def test_probabilities_are_those_of_the_pipeline(
    bundle: Callable[[str], Bundle], tmp_path: Path, kind: str
) -> None:
    """All of them within 1e-5, and so the labels; every output holds the same, and verifies."""
    model = bundle(kind)
    wanted = piped(model, texts())
    pl.DataFrame({"text": ["", *texts()]}).write_parquet(tmp_path / "in.parquet")
    found = pl.read_parquet(output := run(model, tmp_path / "in.parquet", scores="all"))
    scores = found.select(f"score_{name}" for name in model.labels)
    assert np.abs(scores[1:].to_numpy() - wanted).max() <= 1e-5
    assert found["label"][1:].to_list() == [model.labels[i] for i in wanted.argmax(axis=1)]
    assert np.abs(found["score"][1:].to_numpy() - wanted.max(axis=1)).max() <= 1e-5
    assert found.row(0)[1:] == (None,) * (len(found.columns) - 1)
    if kind == "multi":
        sets = [[n for n, p in zip(EMOTIONS, row, strict=True) if p >= 0.5] for row in wanted]
        assert found["labels"].to_list() == [None, *sets]
        assert model.task == "multi_label"
        assert len({len(labels) for labels in sets}) > 5
    else:
        assert model.task == "single_label"
        assert np.allclose(wanted.sum(axis=1), 1)
    checked = verify(output, rescore=50, model=model.directory)
    assert (checked.findings, checked.rescored) == ((), 50)
    scored = Scorer(model.directory, device="cpu", precision="fp32").score(["", *texts()])
    assert scored.equals(found.select(scored.columns))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("value", "stars"), pytest.param("logit", "score", marks=pytest.mark.ci)],
)
def test_a_value_is_that_of_the_pipeline(
    bundle: Callable[[str], Bundle], tmp_path: Path, kind: str, name: str
) -> None:
    """A score alone, beside whatever the input calls label."""
    model = bundle(kind)
    assert (model.task, model.labels) == ("regression", (name,))
    wanted = piped(model, texts())[:, 0]
    frame = pl.DataFrame({"text": ["", *texts()], "label": "theirs"})
    frame.write_csv(tmp_path / "in.csv")
    output = run(model, tmp_path / "in.csv")
    found = pl.read_csv(output)
    assert found.columns == ["text", "label", "score"]
    assert found["score"][0] is None
    assert np.abs(found["score"][1:].to_numpy() - wanted).max() <= 1e-5 * np.ptp(wanted)
    if kind == "value":
        assert np.ptp(wanted) > 100
        assert (wanted < 0).any()
    else:
        assert 0 < wanted.min() < 0.5 < wanted.max() < 1
    checked = verify(output, rescore=121, model=model.directory)
    assert (checked.findings, checked.rescored) == ((), 121)


def test_every_device_of_this_box_is_within_the_gate(bundle: Callable[[str], Bundle]) -> None:
    """The canary is measured by the task: sets of labels, and differences of a value's range."""
    for kind in ("multi", "value"):
        model = ModelHandle.of(ModelSpec(bundle(kind).directory, "cpu"))
        figures = model.prove().canary
        assert figures.within_gate(model.prove().runtime.precision)


def test_weights_of_other_classes_than_the_configuration_are_refused(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """Names for three classes, a layer for 28: no traceback, and nothing is written."""
    import json
    import shutil

    from export.chain import ExportOptions, export_bundle

    copy = Path(shutil.copytree(checkpoint("multi"), tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidBundle, match=r"mismatched: .*classifier"):
        export_bundle(copy, tmp_path / "out", ExportOptions())
    assert not (tmp_path / "out").exists()
