"""The interface of a store of objects, and the stores of a run: each is opened once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from scorer.errors import UsageError
from scorer.hints import needed
from scorer.remote.urls import HUB, STORES, Object, Url


class Store(Protocol):
    """A place that can be read."""

    def head(self, url: Url) -> Object | None:
        """Look at an object; None if it is not there."""

    def list(self, url: Url) -> Iterator[Object]:
        """Yield all objects below a directory."""

    def fetch(self, there: Object, path: Path) -> None:
        """Write an object's content to a new file, in bounded memory.

        Raises:
            DataError: It is not the content any more that was looked at.
            StorageError: The connection or the disk failed.
        """


@runtime_checkable
class WritableStore(Store, Protocol):
    """A place that can be written too."""

    def check(self, url: Url) -> None:
        """Raise OutputRefused if the bucket of an output is missing or closed to us."""

    def read(self, url: Url) -> tuple[bytes, str] | None:
        """Return a small object and its tag."""

    def upload(self, path: Path, url: Url, sha256: str, replaces: Object | None) -> None:
        """Let a file's content become an object, all of it or nothing.

        Args:
            path: The file.
            url: The object.
            sha256: What `Object.sha256` will be.
            replaces: What may be there: another content stays and is an OutputRefused.
        """

    def write(self, content: bytes, url: Url) -> str:
        """Write a small object, whatever is there, and return its tag."""

    def delete(self, url: Url) -> None:
        """Remove an object, if it is there."""


class Stores:
    """The places of one run: each is opened once."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Store] = {}

    def of(self, url: Url) -> Store:
        """Return the place of an object."""
        place = url.scheme, url.host
        if place not in self._open:
            self._open[place] = _opened(url)
        return self._open[place]

    def writable(self, url: Url) -> WritableStore:
        """Return the place of an output; UsageError if it can only be read."""
        store = self.of(url)
        if not isinstance(store, WritableStore):
            raise _for_reading(url)
        return store


def check_writable(url: Url) -> None:
    """Raise UsageError if an output cannot be there."""
    if url.scheme not in STORES:
        raise _for_reading(url)


def _for_reading(url: Url) -> UsageError:
    return UsageError(
        f"{url.scheme}:// is for reading",
        "name an output with -o: a file, or s3://, gs://, az:// or abfs://",
    )


def _opened(url: Url) -> Store:
    """Open a place; each library is loaded where it is needed."""
    bucket = Url(url.scheme, url.host, "")
    with needed("remote", f"{url.scheme}:// needs"):
        if url.scheme in STORES:
            from scorer.remote.objects import ObjectStore

            return ObjectStore(bucket)
        if url.scheme == HUB:
            from scorer.remote.hub import HubStore

            return HubStore(bucket)
    from scorer.remote.web import WebStore

    return WebStore()
