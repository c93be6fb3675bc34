"""Fetches a model of the Hugging Face Hub into its cache: what is judged, and nothing else."""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from export.source.files import hub_repository, names_in, read_json
from export.source.refusals import refuse_code
from export.source.weight_files import ADAPTER, main_file, shards_of
from scorer.errors import InputMissing, InvalidBundle
from scorer.hints import word
from scorer.inference.bundle.metadata import Source

PREFIX = "hf:"
_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
_SPEC = re.compile(rf"{PREFIX}({_NAME.pattern})(?:@([\w./-]+))?", re.ASCII)
_CONFIGS = ("config.json", "adapter_config.json")
#: What a tokenizer is read from; a file of another name is neither fetched nor shown to a library.
TOKENIZER_FILES = (
    "added_tokens.json",
    "bpe.codes",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "spm.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
CARD = "README.md"
#: What has to go with a model that is passed on, as its licence may ask.
LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")
_NETWORK = {  # what its client raises without an answer; its own words fill a page
    "ChunkedEncodingError": "the answer was cut off",
    "ConnectTimeout": "no answer in time",
    "ConnectionError": "no connection",
    "ReadTimeout": "no answer in time",
    "SSLError": "its certificate is not trusted",
}
_OURS = ("evaluation.json", "training.json", "tweetscore.json")


def parse(text: str) -> tuple[str, str | None] | None:
    """Return the name and the revision in `hf:OWNER/NAME[@REVISION]`; None for anything else.

    Raises:
        InputMissing: It begins so, and cannot be the name of a model.
    """
    if not text.startswith(PREFIX):
        return None
    match = _SPEC.fullmatch(text)
    if match is None or ".." in text:
        raise InputMissing(
            f"{text} names no model of the Hub", "write hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
        )
    return match[1], match[2]


def is_name(text: str) -> bool:
    """Whether a text can be the name of a model of the Hub."""
    return bool(_NAME.fullmatch(text)) and ".." not in text and len(text) <= 96


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether there is a vocabulary among the names of a directory."""
    words = ("tokenizer.json", "vocab.json", "vocab.txt")
    return any(name in words or name.endswith(".model") for name in names)


def source_of(directory: Path) -> Source:
    """Return where a model came from: a snapshot in the Hub's cache says it by its path."""
    place = directory.resolve()
    repository = hub_repository(place)
    if repository is None:
        return Source(place.name)
    name = repository.name.removeprefix("models--").replace("--", "/", 1)
    return Source(name, place.name)


def fetched(name: str, revision: str | None = None, *, weights: bool = True) -> Path:
    """Return the directory in the Hub's cache that holds a model, or all of it but the weights.

    The Hub is asked which commit a revision is, and which files that has; what the cache has of
    the commit is not asked for again. Configurations are fetched and judged first, then what they
    make necessary. Without the Hub, the cache's own knowledge of the revision is used.

    Raises:
        InputMissing: Neither the Hub nor the cache gives it.
        InvalidBundle: It is of a kind that is not allowed.
    """
    with _errors(name, revision):
        directory = _configured(name, revision)
        names = _listed(name, directory)
        for file in _wanted(names, weights=weights):
            for shard in shards_of(_fetch(name, directory, file)):
                _fetch(name, directory, shard)
    return directory


def _configured(name: str, revision: str | None) -> Path:
    """Return the snapshot with its configurations, judged; InvalidBundle where there are none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    directory = Path(snapshot_download(name, revision=revision, allow_patterns=[*_CONFIGS]))
    found = [directory / config for config in _CONFIGS if (directory / config).exists()]
    for path in found:
        refuse_code(path, read_json(path))
    if not found:
        raise InvalidBundle(
            f"{name} on the Hub has neither {' nor '.join(_CONFIGS)}",
            "choose a model that transformers can load",
        )
    return directory


def _listed(name: str, directory: Path) -> frozenset[str]:
    """Return the files at the top of a commit; without the Hub those in the cache, if all are."""
    from huggingface_hub import HfApi

    try:
        info: Any = HfApi().model_info(name, revision=directory.name)
    except OSError as error:
        names = names_in(directory)
        main = _weights(names)
        # The weights are fetched last: where they are, all is.
        answered = getattr(error, "response", None) is not None
        if answered or not main or not names.issuperset(shards_of(directory / main)):
            raise
        return names
    paths = [file.rfilename for file in info.siblings or ()]
    return frozenset(path for path in paths if "/" not in path)


def _fetch(name: str, directory: Path, file: str) -> Path:
    """Return a file of a snapshot, asking for it only where the cache has it not."""
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file, revision=directory.name))


def _weights(names: Collection[str]) -> str | None:
    return ADAPTER if ADAPTER in names else main_file(names)


def _wanted(names: Collection[str], *, weights: bool) -> list[str]:
    """Return the files to fetch, of the names in a repository; the weights come last."""
    small = [file for file in (*TOKENIZER_FILES, CARD, *LICENCE_FILES, *_OURS) if file in names]
    main = _weights(names) if weights else None
    return [*small, *([main] if main else [])]


@contextmanager
def _errors(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the Hub or the network answers into an error of ours."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        yield
    except (OSError, ValueError) as error:  # the Hub's own errors are children of OSError
        cause: BaseException = error
        if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
            cause = error.__cause__  # itself it says only that the cache is empty
        raise InputMissing(*_told(name, revision, cause)) from error


def _told(name: str, revision: str | None, error: BaseException) -> tuple[str, str]:
    """Return what is wrong, and what can be done."""
    from huggingface_hub import errors

    page = _page(name)
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{name} on the Hub is gated: its terms have to be accepted first",
            f"accept them on {page}, then: hf auth login",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"the Hub has no model {name}, or none that you may read",
            f"check {page}; if it is private: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"{name} on the Hub has no revision {revision}",
            f"take a branch, a tag or a commit of {page}, or leave it out",
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return (
            f"{name} is not in the Hub's cache, and HF_HUB_OFFLINE is set",
            "run the command again after: unset HF_HUB_OFFLINE",
        )
    return (
        f"{name} cannot be fetched from the Hub ({_reason(error)})",
        f"see whether it answers: curl -sI {page}",
    )


def _page(name: str) -> str:
    from huggingface_hub import constants

    return word(f"{constants.ENDPOINT}/{name}")


def _reason(error: BaseException) -> str:
    """Return what the server answers, or what the network says, on one line."""
    answer: Any = getattr(error, "response", None)
    if answer is not None:
        return f"it answers {answer.status_code} {answer.reason}".strip()
    kind = type(error).__name__
    return _NETWORK.get(kind) or ": ".join([kind, *str(error).strip().splitlines()[:1]])
