"""Errors that all places share."""

from scorer.errors import DataError, StorageError
from scorer.remote.urls import Url


def changed_meanwhile(url: Url) -> DataError:
    """Return the error for an object that was written to while it was fetched."""
    return DataError(f"{url} changed while it was fetched", "run again when nobody writes to it")


def unreachable(what: str, url: Url, why: str) -> StorageError:
    """Return the error for a connection that failed."""
    return StorageError(f"{what} {url} failed: {why}", "run again when the network is well")
