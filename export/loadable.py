"""A directory that transformers loads: what was judged of a model, and nothing else.

Links to its files, configurations written anew, and safetensors: pickles are converted, an adapter
is merged. A file that nobody judged is not there to be opened.
"""

import json
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.source.adapter import Adapter
from export.source.base import Base
from export.source.files import names_in, read_json
from export.source.hub import TOKENIZER_FILES
from export.source.versions import tokenizer_config_of_4
from export.source.weight_files import ADAPTER, Weights
from scorer.errors import InvalidBundle

_TOKENIZER_CONFIG = "tokenizer_config.json"
_MERGED = "merged"


@contextmanager
def loadable(base: Base, stage: Path) -> Iterator[Base]:
    """Yield a model whose directory transformers can load, for as long as the block lasts.

    Args:
        base: As it was judged.
        stage: A directory that may be written to; what is made in it is gone at the end.

    Raises:
        InvalidBundle: Its weights cannot be read.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of the loading of shards
    directory = stage / ".source"
    shutil.rmtree(directory, ignore_errors=True)  # a killed training may have left it
    directory.mkdir()
    try:
        _lay_out(base, directory)
        yield replace(base, directory=directory, tokenizer=directory, adapter=None)
    except InvalidBundle as error:
        raise error.reworded(
            lambda text: text.replace(str(directory), str(base.directory))
        ) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # gone with its stage, where that is published


def _lay_out(base: Base, directory: Path) -> None:
    for name in names_in(base.tokenizer).intersection(TOKENIZER_FILES):
        _link(base.tokenizer / name, directory / name)
    written = directory / _TOKENIZER_CONFIG
    if written.exists():
        config = tokenizer_config_of_4(read_json(base.tokenizer / _TOKENIZER_CONFIG))
        written.unlink()
        _write(written, config)
    if base.adapter is not None:
        _merge(base, base.adapter, directory)
        return
    _write(directory / "config.json", base.config)
    _put_weights(base.weights, directory)


def _link(file: Path, place: Path) -> None:
    place.symlink_to(file.resolve())


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _put_weights(weights: Weights, directory: Path) -> None:
    if weights.kind == "pickle":
        _convert(weights, directory / "model.safetensors")
        return
    for file in (*weights.files, *([weights.index] if weights.index else [])):
        _link(file, directory / file.name)


def _convert(weights: Weights, path: Path) -> None:
    """Write pickled weights as safetensors, without running what else the pickles ask for."""
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    for file in weights.files:
        try:
            content = torch.load(file.resolve(), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0].partition(". ")[0]
            raise InvalidBundle(
                f"{file} holds more than weights, or is damaged, and nothing of it was run "
                f"({reason})",
                "ask its owner for model.safetensors",
            ) from error
        if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
            raise InvalidBundle(
                f"{file} holds something else than the weights of a model",
                "save the model with save_pretrained of transformers",
            )
        tensors |= content
    # Two names may stand for one tensor, which safetensors does not admit.
    save_file(
        {str(name): tensor.detach().clone().contiguous() for name, tensor in tensors.items()},
        path,
        metadata={"format": "pt"},
    )


def _merge(base: Base, adapter: Adapter, directory: Path) -> None:
    """Merge an adapter into its base, as `merge_and_unload` does it, in the base's own dtype."""
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForSequenceClassification

    from export.graph import quiet

    whole, parts = directory / "base", directory / "adapter"
    whole.mkdir()
    parts.mkdir()
    _write(whole / "config.json", base.config)
    _put_weights(base.weights, whole)
    _write(parts / "adapter_config.json", adapter.config)
    _link(adapter.weights.files[0], parts / ADAPTER)
    with quiet():
        model, report = AutoModelForSequenceClassification.from_pretrained(
            whole,
            dtype="auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        _check_lacking(base, adapter, report)
        settings = LoraConfig(**{k: v for k, v in adapter.config.items() if k != "peft_type"})
        try:
            merged: Any = PeftModel.from_pretrained(model, str(parts), config=settings)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise _misfit(base, str(error).strip().partition("\n")[0]) from error
        used = {*get_peft_model_state_dict(merged)} ^ adapter.weights.shapes.keys()
        if used:
            raise _misfit(base, ", ".join(sorted(used)[:3]))
        merged.merge_and_unload().save_pretrained(directory)
    for made in (whole, parts):
        shutil.rmtree(made)


def _check_lacking(base: Base, adapter: Adapter, report: Mapping[str, Any]) -> None:
    """Check that what the base has not, such as the classifier, came with the adapter."""
    lacking = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    given = adapter.weights.shapes.keys()
    random = sorted(key for key in lacking if f"base_model.model.{key}" not in given)
    if random:
        raise InvalidBundle(
            f"neither the base of {base.directory} nor the adapter has the weights "
            f"{', '.join(random[:3])}",
            "train it with task_type SEQ_CLS, so that the classifier is saved with it",
        )


def _misfit(base: Base, reason: str) -> InvalidBundle:
    return InvalidBundle(
        f"the adapter in {base.directory} does not fit its base ({reason})",
        "name the base that it was trained on with --base",
    )
