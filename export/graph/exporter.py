"""What Optimum exports: which model types, with which inputs."""

from collections.abc import Collection
from typing import Any

from export.model_types import defaults_of
from scorer.errors import InvalidBundle

# What a text gives; `scorer.inference.runtime.host` feeds them. What else a model takes, it has to
# do without, as in transformers' pipeline: LayoutLM's boxes, Longformer's global attention.
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
PLAIN_INPUTS = INPUTS - {"token_type_ids"}
_TASK = "text-classification"
ANOTHER = "choose a model of another type: docs/models.md lists those that are tested"


def require_exportable(model_type: str) -> None:
    """Check by its type that a classifier can be exported.

    Raises:
        InvalidBundle: Optimum does not export it, or transformers does not know it, or its answers
            depend on the batch.
    """
    if defaults_of(model_type).is_encoder_decoder:
        # transformers refuses a batch whose texts do not have equally many of its end tokens,
        # and a text may well say "</s>".
        raise InvalidBundle(
            f"a classifier of the type {model_type} is an encoder-decoder, which answers texts "
            "only together with those of as many end-of-text tokens",
            ANOTHER,
        )
    _description(model_type)


def exporter_config(config: Any, inputs: Collection[str]) -> Any:
    """Return Optimum's description of a text classifier's export.

    Args:
        config: The model's.
        inputs: The only ones that the graph may take. XLM without token types answers otherwise
            than with types of 0, so its graph asks for them only where the tokenizer gives them.
    """
    base = _description(config.model_type)

    class Exported(base):  # type: ignore[misc, valid-type]  # a class that is known at run time
        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return {name: axes for name, axes in super().inputs.items() if name in inputs}

    return Exported(config, task=_TASK)


def _description(model_type: str) -> Any:
    """Return Optimum's class for a model type, which describes inputs and outputs."""
    import optimum.exporters.onnx.model_configs  # noqa: F401 - registers the types
    from optimum.exporters.tasks import TasksManager

    defaults_of(model_type)  # a type that transformers does not know is called that
    try:
        constructor: Any = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=model_type, task=_TASK, library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise InvalidBundle(
            f"Optimum exports no text classifier of the type {model_type!r}", ANOTHER
        ) from error
    return constructor.func
