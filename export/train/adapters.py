"""LoRA: a large base stays as it is, and small matrices beside its own are trained."""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from scorer.installation import needed

_SCALE = 2  # of what is learnt, as usual: alpha is twice the rank


def with_adapters(model: Any, rank: int) -> Any:
    """Return a classifier of which the head and matrices of a rank are trained, and no more.

    Args:
        model: As transformers loads it. All linear layers of its body get an adapter.
        rank: Of the matrices.

    Raises:
        MissingExtra: peft is not installed.
    """
    with needed("export", "--lora needs"):
        import peft

    body = model.base_model_prefix
    whole = {name for name, child in model.named_children() if name != body and _learns(child)}
    if getattr(model.base_model, "pooler", None) is not None:
        whole.add("pooler")  # part of the head in all but name: many bases come without it
    linear = {
        name: module
        for name, module in model.base_model.named_modules(prefix=body)
        if isinstance(module, (torch.nn.Linear, Conv1D)) and "pooler" not in name.split(".")
    }
    config = peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS,
        r=rank,
        lora_alpha=_SCALE * rank,
        target_modules=sorted(linear),
        modules_to_save=sorted(whole),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in linear.values()),
    )
    return peft.get_peft_model(model, config)


def merged(model: Any) -> Any:
    """Return the classifier as a plain one, what the adapters learnt in its own weights."""
    return model.merge_and_unload()


def _learns(module: torch.nn.Module) -> bool:
    return any(True for _ in module.parameters())
