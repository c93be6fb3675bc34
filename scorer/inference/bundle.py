"""Opens and verifies a model bundle; the only reader of ``tweetscore.json``.

A bundle may come from anywhere, so nothing in it is believed before it has been checked:
every file is a regular file of the directory itself, has the hash that ``tweetscore.json``
records, and is of a kind that cannot run code.
"""

import hashlib
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, InvalidBundle
from scorer.inference import untrusted
from scorer.inference.config_data import verify_config
from scorer.inference.normalize import VERSION as NORMALIZER_VERSION
from scorer.inference.normalize import Normalizer
from scorer.inference.tokenizer_data import MAX_TOKENS, verify_tokenizer
from scorer.inference.untrusted import Stamp, invalid, is_name, is_unicode, is_whole, shown

METADATA_NAME = "tweetscore.json"
SCHEMA_VERSION = 1
MODEL_TYPES = ("bert", "distilbert", "roberta", "gpt2")
EMBEDDED = Path(__file__).resolve().parent.parent / "bundled"

_MIN_LABELS, _MAX_LABELS = 2, 1_000
# Tokens; shorter leaves no room between special ones, longer no memory: attention needs the square.
_MIN_LENGTH, _MAX_LENGTH = 3, 4_096
_MAX_CANARY_TEXTS = 4_096  # ours has 256, and every run scores them
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
    stamps: Mapping[str, Stamp] = field(default_factory=dict, repr=False)  # of the verified files

    def read(self, name: str) -> bytes:
        """Return the bytes that were verified, however the file has changed since.

        Raises:
            InvalidBundle: They are no longer there.
        """
        return untrusted.read_hashed(self.directory / name, self.metadata["files"][name])

    def verify_unchanged(self) -> None:
        """Check after loading that no file was replaced or written since it was verified.

        ONNX Runtime opens graph and weights by their paths, the weights as a memory map. So who
        may write in the directory can still change them, forging a file's time of change: a
        bundle is as trustworthy as the people who may write there.

        Raises:
            InvalidBundle: A file was.
        """
        untrusted.verify_unchanged(self.directory, self.stamps)

    def graph(self, precision: str) -> Path:
        """Return the graph that serves a precision; bf16 is computed from the fp32 graph.

        Raises:
            DeviceUnavailable: The bundle has none for that precision.
        """
        kind = "fp32" if precision == "bf16" else precision
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
        content = untrusted.parse_json(path, self.read(path.name))
        texts, rows, answers = (content.get(key) for key in ("texts", "token_ids", "logits"))
        if not isinstance(texts, list) or not 0 < len(texts) <= _MAX_CANARY_TEXTS:
            raise invalid(path, f"needs texts: a list of 1 to {_MAX_CANARY_TEXTS}")
        if not all(is_unicode(text) for text in texts):
            raise invalid(path, "has a text that is none")
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise invalid(path, "needs token_ids: a row for each text")
        if not all(isinstance(row, list) and self._are_ids(row) for row in rows):
            raise invalid(path, "has a row of token_ids that no text of this model can get")
        try:
            logits = np.array(answers, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise invalid(path, f"has logits that are not numbers ({shown(error)})") from error
        if logits.shape != (len(texts), len(self.labels)):
            raise invalid(path, f"has logits of shape {logits.shape}")
        if not (np.abs(logits) <= np.finfo(np.float32).max).all():
            raise invalid(path, "has logits that are not finite")
        return Canary(tuple(texts), tuple(map(tuple, rows)), logits.astype(np.float32))

    def _are_ids(self, row: list[Any]) -> bool:
        return len(row) <= self.max_length and all(is_whole(i, 0, MAX_TOKENS - 1) for i in row)


def open_bundle(path: Path | None = None) -> Bundle:
    """Verify the bundle at `path`, or the embedded one, and return it.

    Raises:
        InvalidBundle: With the file and what is wrong with it.
    """
    # Resolved once: a link to the directory may move on ("current" -> next version) while
    # this run still reads.
    directory = _resolved(path or EMBEDDED)
    try:
        return _verified(directory)
    except OSError as error:
        raise InvalidBundle(
            f"{error.filename} cannot be read ({error.strerror})", "check its permissions"
        ) from error


def _resolved(path: Path) -> Path:
    """Return the directory that a path means now; InvalidBundle where there can be none."""
    try:
        directory = path.resolve()
        if directory.is_dir():
            return directory
    except (OSError, RuntimeError, ValueError):  # too long, a loop of links, no name of a file
        directory = path
    raise InvalidBundle(f"{directory} is not a model bundle", "name a bundle's directory")


def _verified(directory: Path) -> Bundle:
    metadata_path = directory / METADATA_NAME
    raw = untrusted.read_bytes(metadata_path)
    metadata = _Metadata(metadata_path, untrusted.parse_json(metadata_path, raw))
    files = metadata.files()
    untrusted.check_directory(directory, METADATA_NAME, files)
    # Hashing leaves the interpreter free, and takes about as long as what is checked meanwhile.
    pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
    try:
        hashed = pool.submit(untrusted.verify_hashes, directory, files)
        bundle = _checked(metadata, hashlib.sha256(raw).hexdigest())
    except InvalidBundle:
        hashed.result()  # a damaged file is called that, whatever its damage looks like
        raise
    finally:
        pool.shutdown(wait=False)  # the command's end does not wait for gigabytes
    stamps = hashed.result()
    if not bundle.stamps.items() <= stamps.items():
        raise invalid(directory / "model.safetensors", "changed while it was read", "run again")
    return replace(bundle, stamps=stamps)


def _checked(metadata: "_Metadata", digest: str) -> Bundle:
    """Check what the files say; small ones are held against their hashes as they are read.

    Returns:
        The bundle with the stamp of its weights, of which only the header was read.
    """
    bundle = metadata.bundle(digest)
    directory = bundle.directory
    weights = untrusted.read_weights(directory / "model.safetensors")
    tokens = verify_config(bundle, weights)
    for graph in metadata.graphs().values():
        untrusted.verify_graph(directory / graph, bundle.read(graph), weights)
    verify_tokenizer(directory / "tokenizer.json", bundle.read("tokenizer.json"), tokens)
    bundle.canary()
    return replace(bundle, stamps={weights.path.name: weights.stamp})


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
                f"has schema version {shown(self.content.get('schema_version'))}; "
                f"this program reads version {SCHEMA_VERSION}",
                "install the tweetscore that wrote it",
            )
        self._mapping("libraries")  # which messages name
        files = self._mapping("files")
        for name in (*_REQUIRED_FILES, *self.graphs().values()):
            if name not in files:
                raise invalid(self.path, f"does not list {name}")
        return files

    def graphs(self) -> dict[str, str]:
        graphs = self._mapping("graphs")
        if "fp32" not in graphs or not set(graphs) <= {"fp32", "fp16", "int8"}:
            raise invalid(self.path, "needs a graph for fp32, and may have ones for fp16 and int8")
        if not all(name.endswith(".onnx") for name in graphs.values()):
            raise invalid(self.path, f"has graphs in {shown(graphs)}, not in .onnx files")
        return graphs

    def _labels(self) -> tuple[str, ...]:
        labels = self.content.get("labels")
        if not isinstance(labels, list) or not all(is_name(label) for label in labels):
            raise invalid(self.path, "needs labels: a list of names")
        if not _MIN_LABELS <= len(labels) <= _MAX_LABELS or len(set(labels)) != len(labels):
            raise invalid(
                self.path, f"needs at least two labels, at most {_MAX_LABELS}, all different"
            )
        return tuple(labels)

    def _normalizer(self) -> Normalizer:
        rules = self.content.get("normalizer")
        if not isinstance(rules, dict) or rules.get("version") != NORMALIZER_VERSION:
            raise invalid(
                self.path,
                f"needs normaliser {shown(rules)}; this program has version {NORMALIZER_VERSION}",
                "install the tweetscore that wrote it",
            )
        if rules.get("emoji") not in ("words", "keep"):
            raise invalid(self.path, "needs a normaliser with emoji words or keep")
        return Normalizer(emoji=rules["emoji"])

    def _text(self, key: str) -> str:
        value = self.content.get(key)
        if not is_name(value):
            raise invalid(self.path, f"needs {key}: a text")
        return value

    def _one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self._text(key)
        if value not in choices:
            raise invalid(self.path, f"has {key} {shown(value)}, not one of {', '.join(choices)}")
        return value

    def _integer(self, key: str, least: int, most: int) -> int:
        value = self.content.get(key)
        if not is_whole(value, least, most):
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
