"""Opens and verifies a model bundle, and reads the baseline that drift is measured against.

A bundle may come from anywhere, so everything in it is checked before it is used: every file is a
regular file of the directory itself, has the hash that ``tweetscore.json`` records, and is of a
kind that cannot run code.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, InvalidBundle, is_unicode
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.configs import verify_config
from scorer.inference.bundle.metadata import (
    MAX_ROWS,
    METADATA_NAME,
    BaselineFigures,
    Metadata,
    decoded,
    read_metadata,
)
from scorer.inference.bundle.other_models import refuse_checkpoint, refuse_hub_name
from scorer.inference.bundle.tokenizer_file import MAX_TOKENS, verify_tokenizer
from scorer.inference.bundle.untrusted import Stamp, invalid, is_whole, shown
from scorer.inference.normalize import Normalizer
from scorer.records import Activation, Baseline, Task

EMBEDDED = Path(__file__).resolve().parents[2] / "bundled"

_MAX_CANARY_TEXTS = 4_096  # ours has 256, and every run scores them


@dataclass(frozen=True, slots=True, eq=False)
class Canary:
    """Texts with PyTorch's answers: every session is compared with them before it is used."""

    texts: tuple[str, ...]  # as they come in, not normalised
    token_ids: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float32]  # [texts, classes], PyTorch fp32
    task: Task = "single_label"
    activation: Activation = "softmax"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified model directory."""

    directory: Path
    digest: str  # sha256 of tweetscore.json, which holds the hashes of all other files
    metadata: Metadata = field(repr=False)
    name: str
    version: str
    model_type: str
    labels: tuple[str, ...]  # in id order
    max_length: int  # tokens, special ones included
    temperature: float
    normalizer: Normalizer
    stamps: Mapping[str, Stamp] = field(default_factory=dict, repr=False)  # of the verified files

    @property
    def task(self) -> Task:
        """What the model answers."""
        return self.metadata.task

    @property
    def activation(self) -> Activation:
        """What makes a score of a logit."""
        return self.metadata.activation

    def read(self, name: str) -> bytes:
        """Return the bytes that were verified, however the file has changed since.

        Raises:
            InvalidBundle: They are no longer there.
        """
        return untrusted.read_hashed(self.directory / name, self.metadata.files[name])

    def verify_unchanged(self) -> None:
        """Check after loading that no file was replaced or written since it was verified.

        ONNX Runtime opens graph and weights by their paths, the weights as a memory map. So a user
        who may write in the directory can still change them, with a forged time of change: a
        bundle is as trustworthy as the users who may write there.

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
        if kind not in self.metadata.graphs:
            raise DeviceUnavailable(
                f"the bundle {self.name} has no {kind} graph", "use --precision fp32, or auto"
            )
        return self.directory / self.metadata.graphs[kind]

    def canary(self) -> Canary:
        """Read the canary.

        Raises:
            InvalidBundle: Its three lists do not match.
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
        ids = tuple(map(tuple, rows))
        wide = logits.astype(np.float32)
        return Canary(tuple(texts), ids, wide, self.task, self.activation)

    def _are_ids(self, row: list[Any]) -> bool:
        return len(row) <= self.max_length and all(is_whole(i, 0, MAX_TOKENS - 1) for i in row)


def open_bundle(path: Path | None = None) -> Bundle:
    """Verify the bundle at `path`, or the embedded one, and return it.

    Raises:
        InvalidBundle: With the file and what is wrong with it.
    """
    # Resolved once: a link to the directory may change ("current" -> next version) while
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
            refuse_checkpoint(path, directory)
            return directory
        refuse_hub_name(path)
    except (OSError, RuntimeError, ValueError):  # too long, a loop of links, no name of a file
        directory = path
    raise InvalidBundle(f"{directory} is not a model bundle", "name a bundle's directory")


def _verified(directory: Path) -> Bundle:
    metadata_path = directory / METADATA_NAME
    raw = untrusted.read_bytes(metadata_path)
    metadata = read_metadata(metadata_path, raw)
    files = metadata.files
    untrusted.check_directory(directory, METADATA_NAME, files)
    # Hashing leaves the interpreter free, and takes about as long as what is checked meanwhile.
    pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
    try:
        hashed = pool.submit(untrusted.verify_hashes, directory, files)
        bundle = _checked(directory, metadata, hashlib.sha256(raw).hexdigest())
    except InvalidBundle:
        hashed.result()  # a damaged file is called that, whatever its damage looks like
        raise
    finally:
        pool.shutdown(wait=False)  # the command's end does not wait for gigabytes
    stamps = hashed.result()
    if not bundle.stamps.items() <= stamps.items():
        raise invalid(directory / "model.safetensors", "changed while it was read", "run again")
    return replace(bundle, stamps=stamps)


def _checked(directory: Path, metadata: Metadata, digest: str) -> Bundle:
    """Check the content of the files; small ones are checked against their hashes as they are read.

    Returns:
        The bundle with the stamp of its weights, of which only the header was read.
    """
    bundle = Bundle(
        directory=directory,
        digest=digest,
        metadata=metadata,
        name=metadata.name,
        version=metadata.version,
        model_type=metadata.model_type,
        labels=metadata.labels,
        max_length=metadata.max_length,
        temperature=metadata.temperature,
        normalizer=Normalizer(**structs.asdict(metadata.normalizer)),
    )
    weights = untrusted.read_weights(directory / "model.safetensors")
    config = directory / "config.json"
    tokens = verify_config(config, bundle.read(config.name), metadata, weights)
    for graph in metadata.graphs.values():
        untrusted.verify_graph(directory / graph, bundle.read(graph), weights)
    verify_tokenizer(directory / "tokenizer.json", bundle.read("tokenizer.json"), tokens)
    bundle.canary()
    return replace(bundle, stamps={weights.path.name: weights.stamp})


def baseline_of(bundle: Bundle, *, required: bool = False) -> Baseline | None:
    """Return a bundle's baseline; None where it has none that rows can be compared with.

    A checkpoint that was trained elsewhere comes without one, and is a good model all the same.

    Raises:
        InvalidBundle: It has none, and one is required.
    """
    figures = decoded(bundle.metadata.baseline, BaselineFigures)
    baseline = _usable(figures, bundle) if figures else None
    if required and baseline is None:
        raise InvalidBundle(
            f"drift cannot be measured: the model {bundle.name} has no baseline",
            "leave out --fail-on-drift, or train it with `tweetscore model train`",
        )
    return baseline


def _usable(figures: BaselineFigures, bundle: Bundle) -> Baseline | None:
    """Return the baseline where the figures are of this model and belong together."""
    shares, edges = figures.label_shares, figures.score_histogram.edges
    scores, known = figures.score_histogram.counts, figures.length_histogram
    tokens = [str(length) for length in range(bundle.max_length + 1)]
    lengths = [known.get(length, 0) for length in tokens]
    usable = (
        shares.keys() == {*bundle.labels} and abs(sum(shares.values()) - 1) < 1e-3,
        len(edges) == len(scores) + 1 and (edges[0], edges[-1]) == (0, 1),
        list(edges) == sorted({*edges}),
        known.keys() <= {*tokens},
        *(0 < sum(counts) <= MAX_ROWS for counts in (scores, lengths)),
    )
    if not all(usable):
        return None
    return Baseline(
        rows=figures.rows,
        labels=np.array([round(figures.rows * shares[name]) for name in bundle.labels], np.int64),
        score_edges=np.array(edges, np.float64),
        scores=np.array(scores, np.int64),
        lengths=np.array(lengths, np.int64),
        unknown_share=figures.unknown_token_share,
    )
