"""Files of data sets on the Hugging Face Hub, for reading: the only user of its file system."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from huggingface_hub import HfFileSystem
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from scorer.errors import InputMissing, TweetscoreError
from scorer.os_errors import writing
from scorer.remote.faults import CERTIFICATE, changed_meanwhile, fault, unreachable
from scorer.remote.urls import Object, Url

getLogger("huggingface_hub").setLevel(ERROR)  # what is tried again is no line of ours

_BLOCK = 16 << 20  # bytes of one request
_SHA256 = 64  # digits
_WORDS = {  # of what its client raises without an answer
    "ChunkedEncodingError": "the answer was cut off",
    "ConnectTimeout": "no answer in time",
    "ConnectionError": "no connection",
    "ReadTimeout": "no answer in time",
}


class HubStore:
    """All repositories; the token is HF_TOKEN, or the one that `hf auth login` keeps."""

    def head(self, url: Url) -> Object | None:
        """Look at a file; None if it is not there, or a directory."""
        try:
            with _asking(url):
                found = _files().info(_path(url), expand_info=True)  # or it names no content
        except FileNotFoundError:
            return None
        return _object(url, found) if found["type"] == "file" else None

    def list(self, url: Url) -> Iterator[Object]:
        """Yield all files below a directory."""
        try:
            with _asking(url):
                found = _files().find(_path(url), detail=True)
        except FileNotFoundError:
            return
        above = url.host + "/"
        for path, entry in sorted(found.items()):
            yield _object(url.with_key(path.removeprefix(above)), entry)

    def fetch(self, there: Object, path: Path) -> None:
        """Write a file's content to a new file."""
        url = there.url
        try:
            with ExitStack() as stack:
                stack.enter_context(_asking(url))
                source = stack.enter_context(_files().open(_path(url), "rb", block_size=_BLOCK))
                stack.enter_context(writing(path))
                file = stack.enter_context(path.open("xb"))
                name = _content_hash(there)
                while block := _block(url, source):
                    file.write(block)
                    name.update(block)
                if file.tell() != there.size or name.hexdigest() != there.tag:
                    raise unreachable("reading", url, "what came is not what the Hub names")
        except FileNotFoundError as error:
            raise changed_meanwhile(url) from error


def _block(url: Url, source: Any) -> bytes:
    """Return the next bytes; what fails here is the network, not the file that is written."""
    try:
        with _asking(url):
            return bytes(source.read(_BLOCK))
    except FileNotFoundError as error:
        raise changed_meanwhile(url) from error


def _content_hash(there: Object) -> Any:
    """Return what the Hub calls a content: SHA-256 of a large file, git's hash of a small one."""
    if len(there.tag) == _SHA256:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % (there.size or 0), usedforsecurity=False)


def _files() -> Any:
    return HfFileSystem(skip_instance_cache=True, use_listings_cache=False)  # looks each time


def _path(url: Url) -> str:
    return f"{url.host}/{url.key}".rstrip("/")


@contextmanager
def _asking(url: Url) -> Iterator[None]:
    """Turn what the hub answers into an error of ours; FileNotFoundError if it is not there."""
    try:
        yield
    except (FileNotFoundError, TweetscoreError):
        raise
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise InputMissing(
            f"{url} cannot be read", "check the name, and that HF_TOKEN may read it"
        ) from error
    except OfflineModeIsEnabled as error:
        raise InputMissing(
            f"{url} cannot be read, as HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
        ) from error
    except HFValidationError as error:
        raise InputMissing(
            f"{url} names no data set", "write hf://datasets/USER/NAME[@REVISION]/PATH"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        answer: Any = getattr(error, "response", None)
        status = None if answer is None else answer.status_code
        name = type(error).__name__
        why = _WORDS.get(name, name) if status is None else f"{status} {answer.reason}"
        code = CERTIFICATE if name == "SSLError" else ""
        raise fault("reading", url, why, status=status, code=code) from error


def _object(url: Url, entry: Any) -> Object:
    large = entry.get("lfs")
    return Object(url, entry["size"], (large and large["sha256"]) or entry["blob_id"], None)
