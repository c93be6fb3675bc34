"""Opens and verifies a model bundle; the only reader of ``tweetscore.json``.

A bundle may come from anywhere, so nothing in it is believed before it has been checked:
every file is a regular file of the directory itself, has the hash that ``tweetscore.json``
records, and is of a kind that cannot run code.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, InvalidBundle
from scorer.inference import untrusted
from scorer.inference.normalize import VERSION as NORMALIZER_VERSION
from scorer.inference.normalize import Normalizer
from scorer.inference.untrusted import invalid

METADATA_NAME = "tweetscore.json"
SCHEMA_VERSION = 1
MODEL_TYPES = ("bert", "distilbert", "roberta", "gpt2")
EMBEDDED = Path(__file__).resolve().parent.parent / "bundled"

_MIN_LABELS = 2
_MIN_LENGTH, _MAX_LENGTH = 3, 100_000  # tokens; shorter leaves no room between special ones
_TEMPERATURES = (0.01, 100.0)
_REQUIRED_FILES = ("config.json", "tokenizer.json", "canary.json", "model.safetensors")


@dataclass(frozen=True, slots=True, eq=False)
class Canary:
    """Texts with PyTorch's answers, to hold every session against before it is used."""

    texts: tuple[str, ...]  # as they come in, not normalised
    token_ids: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float32]  # [texts, classes], PyTorch fp32


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified model directory."""

    directory: Path
    digest: str  # sha256 of tweetscore.json, which holds the hashes of all other files
    metadata: Mapping[str, Any] = field(repr=False)
    name: str
    version: str
    model_type: str
    labels: tuple[str, ...]  # in id order
    max_length: int  # tokens, special ones included
    pad_token_id: int
    temperature: float
    normalizer: Normalizer

    def graph(self, precision: str) -> Path:
        """Return the graph that serves a precision; bf16 is computed from the fp32 graph.

        Raises:
            DeviceUnavailable: The bundle has none for that precision.
        """
        kind = "fp16" if precision == "fp16" else "fp32"
        if kind not in self.metadata["graphs"]:
            raise DeviceUnavailable(
                f"the bundle {self.name} has no {kind} graph", "use --precision fp32, or auto"
            )
        return self.directory / str(self.metadata["graphs"][kind])

    def canary(self) -> Canary:
        """Read the canary.

        Raises:
            InvalidBundle: Its three lists do not belong together.
        """
        path = self.directory / "canary.json"
        content = untrusted.read_json(path)
        try:
            texts = tuple(str(text) for text in content["texts"])
            token_ids = tuple(tuple(int(i) for i in row) for row in content["token_ids"])
            logits = np.array(content["logits"], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise invalid(path, f"is not a canary ({error!r})") from error
        if not texts or len(token_ids) != len(texts):
            raise invalid(path, f"has {len(texts)} texts and {len(token_ids)} rows of token ids")
        if logits.shape != (len(texts), len(self.labels)) or not np.isfinite(logits).all():
            raise invalid(path, f"has logits of shape {logits.shape}, or not all of them finite")
        return Canary(texts, token_ids, logits)


def open_bundle(path: Path | None = None) -> Bundle:
    """Verify the bundle at `path`, or the embedded one, and return it.

    Raises:
        InvalidBundle: With the file and what is wrong with it.
    """
    # Resolved once: a link to the directory may move on ("current" -> next version) while
    # this run still reads.
    directory = (path or EMBEDDED).resolve()
    if not directory.is_dir():
        raise InvalidBundle(f"{directory} is not a model bundle", "name a bundle's directory")
    try:
        return _verified(directory)
    except OSError as error:
        raise InvalidBundle(
            f"{error.filename} cannot be read ({error.strerror})", "check its permissions"
        ) from error


def _verified(directory: Path) -> Bundle:
    metadata_path = directory / METADATA_NAME
    raw = untrusted.read_bytes(metadata_path)
    metadata = _Metadata(metadata_path, untrusted.parse_json(metadata_path, raw))
    untrusted.verify_directory(directory, METADATA_NAME, metadata.files())
    for graph in metadata.graphs().values():
        untrusted.verify_graph(directory / graph, directory / "model.safetensors")
    untrusted.verify_tokenizer(directory / "tokenizer.json")
    bundle = metadata.bundle(hashlib.sha256(raw).hexdigest())
    _check_config(bundle)
    return bundle


@dataclass(frozen=True, slots=True)
class _Metadata:
    """``tweetscore.json`` while its fields are being checked."""

    path: Path
    content: dict[str, Any]

    def bundle(self, digest: str) -> Bundle:
        return Bundle(
            directory=self.path.parent,
            digest=digest,
            metadata=self.content,
            name=self._text("name"),
            version=self._text("version"),
            model_type=self._one_of("model_type", MODEL_TYPES),
            labels=self._labels(),
            max_length=self._integer("max_length", _MIN_LENGTH, _MAX_LENGTH),
            pad_token_id=self._integer("pad_token_id", 0, 2**31),
            temperature=self._temperature(),
            normalizer=self._normalizer(),
        )

    def files(self) -> dict[str, str]:
        """Return the sha256 of every file, after the schema is known to be ours."""
        if self.content.get("schema_version") != SCHEMA_VERSION:
            raise invalid(
                self.path,
                f"has schema version {self.content.get('schema_version')!r}; "
                f"this program reads version {SCHEMA_VERSION}",
                "install the tweetscore that wrote it",
            )
        files = self._mapping("files")
        for name in (*_REQUIRED_FILES, *self.graphs().values()):
            if name not in files:
                raise invalid(self.path, f"does not list {name}")
        return files

    def graphs(self) -> dict[str, str]:
        graphs = self._mapping("graphs")
        if "fp32" not in graphs or not set(graphs) <= {"fp32", "fp16"}:
            raise invalid(self.path, "needs a graph for fp32, and may have one for fp16")
        return graphs

    def _labels(self) -> tuple[str, ...]:
        labels = self.content.get("labels")
        if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
            raise invalid(self.path, "needs labels: a list of names")
        if len(labels) < _MIN_LABELS or len(set(labels)) != len(labels):
            raise invalid(self.path, "needs at least two labels, all different")
        return tuple(labels)

    def _normalizer(self) -> Normalizer:
        rules = self.content.get("normalizer")
        if not isinstance(rules, dict) or rules.get("version") != NORMALIZER_VERSION:
            raise invalid(
                self.path,
                f"needs normaliser {rules!r}; this program has version {NORMALIZER_VERSION}",
                "install the tweetscore that wrote it",
            )
        if rules.get("emoji") not in ("words", "keep"):
            raise invalid(self.path, "needs a normaliser with emoji words or keep")
        return Normalizer(emoji=rules["emoji"])

    def _text(self, key: str) -> str:
        value = self.content.get(key)
        if not isinstance(value, str) or not value:
            raise invalid(self.path, f"needs {key}: a text")
        return value

    def _one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self._text(key)
        if value not in choices:
            raise invalid(self.path, f"has {key} {value!r}, not one of {', '.join(choices)}")
        return value

    def _integer(self, key: str, least: int, most: int) -> int:
        value = self.content.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise invalid(self.path, f"needs {key}: a whole number from {least} to {most}")
        return value

    def _temperature(self) -> float:
        value = self.content.get("temperature")
        least, most = _TEMPERATURES
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            value = math.nan
        if not least <= value <= most:
            raise invalid(self.path, f"needs temperature: a number from {least} to {most}")
        return float(value)

    def _mapping(self, key: str) -> dict[str, str]:
        value = self.content.get(key)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise invalid(self.path, f"needs {key}: an object of texts")
        return value


def _check_config(bundle: Bundle) -> None:
    """Hold ``config.json`` against ``tweetscore.json``: other tools believe the former."""
    path = bundle.directory / "config.json"
    config = untrusted.read_json(path)
    if config.get("model_type") != bundle.model_type:
        raise invalid(path, f"has model_type {config.get('model_type')!r}, not {bundle.model_type}")
    if "auto_map" in config:
        raise invalid(path, "asks for code of its own (auto_map), which is not allowed")
    names = config.get("id2label")
    if names != {str(i): label for i, label in enumerate(bundle.labels)}:
        raise invalid(path, f"has id2label {names!r}, not the labels of {METADATA_NAME}")
    positions = config.get("n_positions", config.get("max_position_embeddings"))
    # RoBERTa numbers its positions from pad_token_id + 1.
    reserved = bundle.pad_token_id + 1 if bundle.model_type == "roberta" else 0
    if not isinstance(positions, int) or bundle.max_length > positions - reserved:
        raise invalid(path, f"has {positions} positions, too few for {bundle.max_length} tokens")
