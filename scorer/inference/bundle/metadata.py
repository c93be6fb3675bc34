"""``tweetscore.json`` as typed structs: the export writes it, and this program decodes it.

Fields that decide an answer are checked when a bundle is opened. Fields about the training may be
missing or of another type, and are `Any` until `decoded` decodes one of them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, ValidationError

from scorer.inference.bundle.untrusted import invalid, is_name, parse_json, shown
from scorer.inference.normalize import VERSIONS, Name
from scorer.records import Activation, Task

METADATA_NAME = "tweetscore.json"
UNKNOWN = "unknown"  # the base of a model that was trained elsewhere
SCHEMA_VERSION = 2
_READABLE = (1, SCHEMA_VERSION)  # bundles of before have the defaults of what version 2 added

_PRECISIONS = {"fp32", "fp16", "int8"}
_MIN_LABELS, _MAX_LABELS = 2, 1_000
#: What makes the scores of a task's logits.
_ACTIVATIONS: Mapping[Task, tuple[Activation, ...]] = {
    "single_label": ("softmax",),
    "multi_label": ("sigmoid",),
    "regression": ("none", "sigmoid"),
}
_REQUIRED_FILES = ("config.json", "tokenizer.json", "canary.json", "model.safetensors")
# Tokens; a shorter text has only special ones, a longer one no memory: attention needs the square.
MIN_LENGTH, MAX_LENGTH = 3, 4_096
_TEMPERATURES = (0.01, 100.0)
MAX_ROWS = 2**53  # beyond it a count is no exact number in JSON
# What a message says that a field has to be.
_NEEDED: Mapping[str, str] = {
    "labels": "a list of names",
    "normalizer": "none, tweetscore or cardiff, with emoji words or keep",
    "max_length": f"a whole number from {MIN_LENGTH} to {MAX_LENGTH}",
    "pad_to": f"nothing, or a whole number from {MIN_LENGTH} to {MAX_LENGTH}",
    "pad_token_id": f"a whole number from 0 to {2**31}",
    "tables": "names of weights, and the row of the first position",
    "temperature": "a number from {} to {}".format(*_TEMPERATURES),
    "graphs": "an object of texts",
    "files": "an object of texts",
    "libraries": "an object of texts",
}
_FIELD = re.compile(r"\$\.(\w+)|field `(\w+)`")  # in a message of msgspec
_OTHER_RELEASE = "install the tweetscore that wrote it"

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=MAX_ROWS)]
T = TypeVar("T")


class Rules(Struct, frozen=True):
    """How texts are cleaned."""

    version: int
    emoji: Literal["words", "keep"]
    name: Name = "tweetscore"


class Tables(Struct, frozen=True):
    """Which of the weights are looked up by token id, and which by position."""

    tokens: str  # the name of a tensor with a row for each
    positions: str | None = None  # where positions are learned or precomputed
    first: Annotated[int, Meta(ge=0, le=2**31)] = 0  # the row of a text's first token


class Metadata(Struct, frozen=True, kw_only=True):
    """The content of ``tweetscore.json``."""

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    model_type: str
    labels: tuple[str, ...]  # in id order
    task: Task = "single_label"
    activation: Activation = "softmax"
    normalizer: Rules
    split_special_tokens: bool = True  # "[SEP]" in a text is words, not the control token
    truncation_side: Literal["right", "left"] = "right"  # where a text that is too long is cut
    max_length: Annotated[int, Meta(ge=MIN_LENGTH, le=MAX_LENGTH)]
    pad_token_id: Annotated[int, Meta(ge=0, le=2**31)]
    tables: Tables | None = None  # bundles of version 1 have four types, whose tables are known
    pad_to: Annotated[int, Meta(ge=MIN_LENGTH, le=MAX_LENGTH)] | None = None  # without a pad id
    temperature: Annotated[float, Meta(ge=_TEMPERATURES[0], le=_TEMPERATURES[1])]
    graphs: dict[str, str]  # precision -> name of the file
    pruned: Any = None  # whether the last layer is
    libraries: dict[str, str]  # their versions at the export
    files: dict[str, str]  # name -> sha256
    base_model: Any = None  # BaseModel
    training: Any = None  # Training
    metrics: Any = None  # Metrics
    baseline: Any = None  # BaselineFigures
    parity: Any = None  # list[Parity]: what was measured, and was within the gate
    graph_checks: Any = None  # list[Parity]: of a GPU's graph on a CPU
    outside_gate: Any = None  # list[Place]
    as_trained: Any = None  # AsTrained: the user's checkpoint as its pipeline runs it
    source: Any = None  # Source
    license: Any = None  # the SPDX name or text that the model came with


class BaseModel(Struct, frozen=True):
    """The base model of the fine-tuning."""

    name: str  # or UNKNOWN
    sha256: str = ""


class Dataset(Struct, frozen=True):
    """Rows that the model was trained or tested on."""

    name: str
    rows: int
    sha256: str = ""


class Training(Struct, frozen=True):
    """How the model was trained, as far as the model card shows it."""

    data: tuple[Dataset, ...] = ()


class ClassMetrics(Struct, frozen=True):
    """How well one class is recognised."""

    precision: float
    recall: float
    f1: float
    support: int


class Metrics(Struct, frozen=True):
    """The metrics on labelled rows."""

    accuracy: float
    macro_f1: float
    ece: float
    data: Dataset
    per_class: dict[str, ClassMetrics] = {}


class Parity(Struct, frozen=True):
    """How one session compares with PyTorch."""

    provider: str
    precision: str
    architecture: str
    texts: int
    label_agreement: float
    largest_difference: float


class AsTrained(Struct, frozen=True):
    """How the bundle's weights in fp32 compare with the user's checkpoint in its pipeline."""

    dtype: str  # that the pipeline computes in
    texts: int
    label_agreement: float
    largest_difference: float
    normalizer: Name = "none"  # that the pipeline's texts were cleaned with
    rounded: bool = False  # the bundle has the checkpoint's weights in another type


class Source(Struct, frozen=True):
    """Where a checkpoint came from."""

    name: str  # OWNER/NAME on the Hub, or a directory's last part
    revision: str | None = None  # the Hub's commit
    base: str | None = None  # of an adapter: what it was merged into, NAME[@COMMIT]


class Histogram(Struct, frozen=True):
    """Rows in bins."""

    edges: Annotated[tuple[Share, ...], Meta(min_length=2, max_length=1_000)]
    counts: tuple[Count, ...]


class BaselineFigures(Struct, frozen=True):
    """Counts of the model's answers to rows that it was not trained on."""

    rows: Annotated[int, Meta(ge=1, le=MAX_ROWS)]
    label_shares: dict[str, Share]
    score_histogram: Histogram
    length_histogram: dict[str, Count]  # tokens -> rows
    unknown_token_share: Share


def decoded(part: Any, kind: type[T]) -> T | None:
    """Return a field about the training as a struct; None where it is of another type."""
    with suppress(ValidationError):
        return msgspec.convert(part, kind, from_attributes=True)
    return None


def read_metadata(path: Path, raw: bytes) -> Metadata:
    """Decode ``tweetscore.json`` and check the fields that decide an answer.

    Raises:
        InvalidBundle: With the field and what is wrong with it.
    """
    content = parse_json(path, raw)
    _check_versions(path, content)
    try:
        metadata = msgspec.convert(content, Metadata)
    except ValidationError as error:
        match = _FIELD.search(str(error))
        field = match.group(match.lastindex or 0) if match else ""
        raise invalid(path, f"needs {field}: {_NEEDED.get(field, 'a text')}") from error
    for problem in (*_problems(metadata), *_missing_files(metadata)):
        raise invalid(path, problem)
    return metadata


def _check_versions(path: Path, content: Mapping[str, Any]) -> None:
    """Raise InvalidBundle where another release would be needed to read the bundle."""
    if content.get("schema_version") not in _READABLE:
        found = shown(content.get("schema_version"))
        known = " and ".join(map(str, _READABLE))
        problem = f"has schema version {found}; this program reads the versions {known}"
        raise invalid(path, problem, _OTHER_RELEASE)
    rules = content.get("normalizer")
    fields = rules if isinstance(rules, dict) else {}
    wanted = [fields.get("name", "tweetscore"), fields.get("version")]
    if wanted not in map(list, VERSIONS.items()):
        kinds = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
        problem = f"needs normaliser {shown(rules)}; this program has {kinds}"
        raise invalid(path, problem, _OTHER_RELEASE)


def _problems(metadata: Metadata) -> Iterator[str]:
    """Yield the problems that types cannot express."""
    for field in ("name", "version", "model_type"):
        if not is_name(getattr(metadata, field)):
            yield f"needs {field}: a text"
    if metadata.normalizer.emoji == "words" and metadata.normalizer.name != "tweetscore":
        yield f"needs normalizer: {metadata.normalizer.name} keeps emoji"
    if not all(map(is_name, metadata.labels)):
        yield "needs labels: a list of names"
    yield from _task_problems(metadata)


def _task_problems(metadata: Metadata) -> Iterator[str]:
    task, activation, count = metadata.task, metadata.activation, len(metadata.labels)
    if activation not in _ACTIVATIONS[task]:
        yield f"has activation {activation} for {task}, which needs {_ACTIVATIONS[task][0]}"
    if task == "regression" and count != 1:
        yield "needs one label, the name of its value, for regression"
    if activation == "none" and metadata.temperature != 1:
        yield "needs temperature 1 where a logit is the value"
    if task == "regression":
        return
    if not _MIN_LABELS <= count <= _MAX_LABELS or len({*metadata.labels}) != count:
        yield f"needs at least two labels, at most {_MAX_LABELS}, all different"


def _missing_files(metadata: Metadata) -> Iterator[str]:
    graphs = metadata.graphs
    if "fp32" not in graphs or not graphs.keys() <= _PRECISIONS:
        yield "needs a graph for fp32, and may have ones for fp16 and int8"
    if not all(name.endswith(".onnx") for name in graphs.values()):
        yield f"has graphs in {shown(graphs)}, not in .onnx files"
    for name in (*_REQUIRED_FILES, *graphs.values()):
        if name not in metadata.files:
            yield f"does not list {name}"
