"""The inputs of the contenders: the texts, and the model in the form that each of them reads.

    python -m benchmarks.inputs MODEL FOLDER DATA ROWS...
    python -m benchmarks.inputs describe FOLDER ROWS

All of it is made before any clock runs. The peers get the texts normalised by us, since what they
are to be compared in is the model's work; tweetscore gets them as they are. Conversions are made
with the tools of each engine from one checkpoint: the bundle's weights, widened to fp32.
"""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import reference
from scorer.inference.bundle import Bundle, open_bundle

ROOT = Path(__file__).parents[1]


def prepare(name: str, folder: Path, data: Path, sizes: Sequence[int]) -> None:
    """Make a model's folder: model.json, the conversions, and inputs of each size."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = open_bundle(ROOT / "scorer" / "bundled" if name == "minilm" else _gpt2(folder, data))
    facts = {
        "bundle": str(bundle.directory),
        "labels": list(bundle.labels),
        "max_length": bundle.max_length,
        "temperature": bundle.temperature,
        "model_type": json.loads((bundle.directory / "config.json").read_text())["model_type"],
        "pad_token_id": json.loads((bundle.directory / "config.json").read_text())["pad_token_id"],
    }
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    steps: dict[str, Callable[[Path, Path], None]] = {
        "checkpoint": lambda _, target: _checkpoint(bundle, target),
        "onnx": _onnx,
        "onnx-int8": _onnx_int8,
        "openvino": _openvino,
        "ctranslate2-float32": lambda made, target: _ctranslate2(made, target, "float32"),
        "ctranslate2-int8": lambda made, target: _ctranslate2(made, target, "int8"),
    }
    for step, make in steps.items():
        _once(folder, step, make)
    _texts(bundle, folder, data, sizes)
    reference.compute(folder, max(sizes))


def _once(folder: Path, step: str, make: Callable[[Path, Path], None]) -> None:
    """Make a subfolder under another name first, so that half of one is never taken for it."""
    if (folder / step).exists():
        return
    unfinished = folder / f"{step}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    make(folder, unfinished)
    unfinished.rename(folder / step)


def _gpt2(folder: Path, data: Path) -> Path:
    """Return a bundle of a full-size GPT-2, exported as any model is.

    Its tokenizer learns from the tweets, so that they have about as many tokens as with GPT-2's.
    """
    from export.chain import ExportOptions, export_bundle
    from tests.export.full_size_gpt2 import save_checkpoint

    def make(_: Path, target: Path) -> None:
        save_checkpoint(target / "checkpoint", _tweets(data).to_list())
        export_bundle(
            target / "checkpoint", target / "bundle", ExportOptions(name="gpt2-random-weights")
        )
        shutil.rmtree(target / "checkpoint")

    _once(folder, "exported", make)
    return folder / "exported" / "bundle"


def _checkpoint(bundle: Bundle, target: Path) -> None:
    from transformers import AutoTokenizer

    from export.parity.pytorch import load_model

    model = load_model(bundle.directory)
    model.save_pretrained(target)
    loader: Any = AutoTokenizer
    loader.from_pretrained(bundle.directory).save_pretrained(target)
    head = getattr(model, "classifier", None)
    if head is not None:
        weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
        np.savez(target.parent / "head.npz", weight=weight, bias=bias)


def _onnx(made: Path, target: Path) -> None:
    """Export with Optimum, with the attention that gives the faster graph, as for our own."""
    from optimum.exporters.onnx import onnx_export_from_model

    from export.architectures import architecture_of
    from export.parity.pytorch import load_model

    model_type = json.loads((made / "model.json").read_text("utf-8"))["model_type"]
    model = load_model(made / "checkpoint", attention=architecture_of(model_type).attention)
    onnx_export_from_model(model, target, task="text-classification", do_validation=False)


def _onnx_int8(made: Path, target: Path) -> None:
    """Quantise the constant matrices, per channel; activations are quantised at run time."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        made / "onnx" / "model.onnx",
        target / "model.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": TensorProto.FLOAT},
    )


def _openvino(made: Path, target: Path) -> None:
    import openvino as ov

    # Not convert_model: that one reports its use to its makers.
    model = ov.Core().read_model(made / "onnx" / "model.onnx")
    ov.save_model(model, target / "model.xml", compress_to_fp16=False)


def _ctranslate2(made: Path, target: Path, arithmetic: str) -> None:
    from ctranslate2.converters import TransformersConverter
    from ctranslate2.converters import transformers as known

    class GPT2Classifier(known.GPT2Loader):  # type: ignore[misc]  # the library has no types
        """A GPT-2 whose last matrix gives classes instead of a vocabulary."""

        architecture_name = "GPT2ForSequenceClassification"

        def get_model_spec(self, model: Any) -> Any:
            model.lm_head = model.score
            return super().get_model_spec(model)

    known._MODEL_LOADERS["GPT2Config"] = GPT2Classifier()
    quantization = None if arithmetic == "float32" else arithmetic
    converter = TransformersConverter(str(made / "checkpoint"))
    converter.convert(str(target), quantization=quantization, force=True)


def _texts(bundle: Bundle, folder: Path, data: Path, sizes: Sequence[int]) -> None:
    tweets = _tweets(data)
    normalised = bundle.normalizer(tweets)
    for rows in sizes:
        for name, column in (("tweets", tweets), ("normalised", normalised)):
            column.head(rows).to_frame().write_parquet(folder / f"{name}-{rows}.parquet")


def _tweets(data: Path) -> pl.Series:
    return pl.read_csv(data / "train.csv", columns=["text"])["text"].drop_nulls()


def describe(folder: Path, rows: int) -> dict[str, Any]:
    """Return the heading of an input's table."""
    texts = pl.read_parquet(folder / f"normalised-{rows}.parquet")["text"]
    tokens = int(reference.kept(folder)["lengths"][:rows].sum())
    return {"rows": len(texts), "tokens": tokens, "distinct": texts.n_unique()}


if __name__ == "__main__":
    _, what, into, *more = sys.argv
    if what == "describe":
        sys.stdout.write(json.dumps(describe(Path(into), int(more[0]))) + "\n")
    else:
        prepare(what, Path(into), Path(more[0]), [int(number) for number in more[1:]])
