"""What opens a model's files runs in a confined process: the conversion, and the check of a bundle.

The JSON files of the model are judged before, here, without torch. What comes back is a directory
whose files are verified as if they came from anywhere.
"""

import base64
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from export import isolation
from export.chain import ExportOptions, convert, leave_out_scikit_learn
from export.isolation.limits import Limits
from export.source.checkpoint import Checkpoint
from export.steps import Steps
from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle

LimitsOf = Callable[[int], Limits]  # of the bytes of the weights


class _Conversion(Struct, frozen=True):
    checkpoint: Checkpoint
    stage: Path
    options: ExportOptions


class _Check(Struct, frozen=True):
    bundle: Path
    texts: tuple[str, ...]


class Measured(Struct, frozen=True):
    """What a check has found."""

    lines: list[str]  # for people, one for each session
    entries: list[dict[str, Any]]  # as in ``tweetscore.json``


@dataclass(frozen=True, slots=True)
class ConfinedConverter:
    """Converts in a process that can only read the checkpoint and write into the stage."""

    limits: LimitsOf

    def __call__(
        self, checkpoint: Checkpoint, stage: Path, options: ExportOptions, steps: Steps
    ) -> None:
        """Fill the stage; see `export.chain.convert` and `isolation.run` for the errors."""
        base = checkpoint.base
        weights = [*base.weights.files, *(base.adapter.weights.files if base.adapter else ())]
        asked = _Conversion(checkpoint, stage, options)
        places = {base.directory, base.tokenizer, *(file.parent for file in weights)}
        limits = self.limits(_size(weights))
        _run("convert_here", asked, places, limits, steps, writable=[stage])
        _require_plain(stage)


def convert_here(argument: bytes, steps: Steps) -> None:
    """Convert: what the confined process runs."""
    asked = _decode(argument, _Conversion)
    convert(asked.checkpoint, asked.stage, asked.options, steps)


def check_confined(bundle: Bundle, texts: Sequence[str], limits: LimitsOf) -> Measured:
    """Measure the parity of a verified bundle in a process that can only read it.

    Raises:
        GateFailed: The fp32 promise does not hold.
        TweetscoreError: As `isolation.run`.
    """
    asked = _Check(bundle.directory, tuple(texts))
    weights = [bundle.directory / "model.safetensors"]
    found = _run("check_here", asked, [bundle.directory], limits(_size(weights)), Steps())
    return msgspec.json.decode(found, type=Measured)


def check_here(argument: bytes, steps: Steps) -> Measured:
    """Check: what the confined process runs."""
    leave_out_scikit_learn()
    from export import parity
    from export.parity.pytorch import Reference

    asked = _decode(argument, _Check)
    opened = open_bundle(asked.bundle)
    reference = Reference(opened.directory, opened.max_length, opened.metadata.pad_to)
    report = parity.check(opened, reference, asked.texts, steps)
    report.require_fp16_graph()
    entries = [{**entry.record(), "measured": True} for entry in report.measured]
    return Measured([*report.lines()], entries)


def _run(
    name: str,
    asked: Struct,
    places: Iterable[Path],
    limits: Limits,
    steps: Steps,
    writable: Sequence[Path] = (),
) -> bytes:
    return isolation.run(
        f"{__name__}:{name}",
        _encode(asked),
        readable=[file for place in places for file in (place, *_leaves(place))],
        writable=writable,
        limits=limits,
        steps=steps,
    )


def _size(weights: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in weights)


def _leaves(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory, links resolved: the Hub's cache has nothing else."""
    yield from (entry.resolve() for entry in directory.iterdir() if entry.is_file())


def _require_plain(stage: Path) -> None:
    """Refuse what a library of ours never leaves in the stage, before its modes are set."""
    for entry in stage.iterdir():
        status = entry.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or entry.name.startswith("."):
            raise InvalidBundle(
                f"the conversion left {entry.name}, which is no file of a bundle", "do not use it"
            )


def _encode(asked: Struct) -> bytes:
    try:
        return msgspec.json.encode(asked, enc_hook=_plain)
    except UnicodeEncodeError as error:
        raise InvalidBundle(
            f"the checkpoint has a text that is no Unicode ({error.reason})", "save it again"
        ) from error


def _decode(argument: bytes, kind: type[Any]) -> Any:
    return msgspec.json.decode(argument, type=kind, dec_hook=_path)


def _plain(value: Any) -> Any:
    """Return a path as bytes, as its name need not be UTF-8, and for any working directory."""
    if not isinstance(value, Path):
        raise NotImplementedError(type(value))  # what msgspec asks of a hook
    return os.fsencode(value.absolute())


def _path(kind: type, value: Any) -> Path:
    if kind is not Path:
        raise NotImplementedError(kind)  # likewise
    return Path(os.fsdecode(base64.b64decode(value)))
