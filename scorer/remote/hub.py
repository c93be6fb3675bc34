"""Files of data sets on the Hugging Face Hub, for reading: the only user of its file system."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfFileSystem
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from scorer.errors import InputMissing, TweetscoreError
from scorer.files.storage import writing
from scorer.remote.faults import changed_meanwhile, unreachable
from scorer.remote.store import Object
from scorer.remote.urls import Url

_BLOCK = 16 << 20  # bytes of one request


class HubStore:
    """One repository; the token is HF_TOKEN, or the one that `hf auth login` keeps."""

    def __init__(self, repository: Url) -> None:
        self._repository = repository

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
        above = self._repository.host + "/"
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
                while block := source.read(_BLOCK):
                    file.write(block)
                if file.tell() != there.size:
                    raise changed_meanwhile(url)
        except FileNotFoundError as error:
            raise changed_meanwhile(url) from error


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
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise InputMissing(
            f"{url} cannot be read", "check the name, and that HF_TOKEN may read it"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise unreachable("reading", url, type(error).__name__) from error


def _object(url: Url, entry: Any) -> Object:
    large = entry.get("lfs")
    return Object(url, entry["size"], (large and large["sha256"]) or entry["blob_id"], None)
