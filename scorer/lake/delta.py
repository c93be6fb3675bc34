"""The live files of a Delta table: the only user of `deltalake`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from textwrap import shorten
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from scorer.errors import DataError, StorageError, TweetscoreError
from scorer.installation import needed

if TYPE_CHECKING:
    from deltalake import DeltaTable

_WORDS = 240  # characters of an error of `deltalake`, which can hold structures of Rust
_MAPPED = {"name", "id"}  # how columns of the files can be called otherwise than in the table
_NETWORK = ("Generic S3 error", "Generic GCS error", "Generic MicrosoftAzure error")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table.

    Attributes:
        version: Its number in the log.
        files: The paths of its live files below the table's directory, in order.
    """

    version: int
    files: tuple[PurePosixPath, ...]


def latest(table: str, address: str, storage: Mapping[str, str] | None = None) -> Snapshot:
    """Read a table's log, and return its latest version.

    Args:
        table: The directory, as people know it.
        address: An absolute path or a URL of it.
        storage: How a store is reached, as `deltalake` has it.

    Raises:
        DataError: The table is damaged, or its files alone do not hold its rows.
        MissingExtra: `deltalake` is not installed.
        StorageError: The store cannot be reached.
    """
    with needed("lake", f"{table} is a Delta table, whose log needs"):
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    location = _location(table, address)
    try:
        opened = DeltaTable(location, storage_options=dict(storage or {}))
        _check(table, address, opened)
        paths = opened.get_add_actions(flatten=True)["path"].to_pylist()
        version, columns = opened.version(), set(opened.metadata().partition_columns)
    except (DeltaError, OSError, ValueError) as error:
        raise _fault(table, address, error) from error
    files = sorted(_below(table, path) for path in paths)
    for path in files:
        if not columns <= {part.partition("=")[0] for part in path.parts[:-1]}:
            raise _unnamed(table, address, path)
    return Snapshot(version, tuple(files))


def _location(table: str, address: str) -> str:
    """Return the address as the library takes it.

    It decodes a path once more than it is encoded, and takes a backslash for a slash: then it would
    read the log of another table.
    """
    scheme, is_url, path = address.rpartition("://")
    if unquote(path) != path or "\\" in path:
        raise DataError(
            f"{table} is a Delta table with a path that deltalake cannot read, as it decodes %20 "
            "and the like, and takes a backslash for a slash",
            "move it to a path without them, and score it there",
        )
    return f"{scheme}://{quote(path, safe='/:@')}" if is_url else address


def _check(table: str, address: str, opened: "DeltaTable") -> None:
    """Raise DataError where the rows of a file are not the file's own."""
    features = opened.protocol().reader_features or []
    mode = opened.metadata().configuration.get("delta.columnMapping.mode", "none")
    if mode in _MAPPED:
        raise _mapped(table, address)
    if "deletionVectors" in features and _has_deleted(opened):
        raise DataError(
            f"{table} is a Delta table with deletion vectors: its files hold rows that are deleted",
            f"rewrite them in Spark: REORG TABLE {_name(address)} APPLY (PURGE)",
        )


def _has_deleted(opened: "DeltaTable") -> bool:
    """Tell whether a live file has a deletion vector; one that cannot be read is one too."""
    from deltalake.exceptions import DeltaError

    try:
        return any(batch.num_rows for batch in opened.deletion_vectors())
    except DeltaError:
        return True


def _unnamed(table: str, address: str, path: PurePosixPath) -> DataError:
    return DataError(
        f"{table} is a Delta table that has the partition of a file in its log only, "
        f"and not in its path: {path}",
        _copy(address),
    )


def _mapped(table: str, address: str) -> DataError:
    return DataError(
        f"{table} is a Delta table with column mapping: its files have other names for columns",
        _copy(address),
    )


def _copy(address: str) -> str:
    """Return the remedy for a table that can only be rewritten as another one."""
    plain = _name(f"{address.rstrip('/')}_plain")
    return f"copy it in Spark: CREATE TABLE {plain} USING delta AS TABLE {_name(address)}"


def _name(address: str) -> str:
    """Return a table's name in Spark's SQL."""
    return f"delta.`{address.rstrip('/').replace('`', '``')}`"


def _below(table: str, path: str) -> PurePosixPath:
    """Return the path of a live file below the table, which the log has as a relative URI.

    Whoever writes the log does not choose which other files are read and where outputs lie.
    """
    found = PurePosixPath(unquote(path))
    outside = found.is_absolute() or "://" in path or path.startswith("file:")
    if outside or ".." in found.parts or not found.parts or "\0" in str(found):
        raise DataError(
            f"the Delta table {table} names a file outside its directory: {path}",
            "score the table that it was cloned from, or copy it with its files",
        )
    return found


def _fault(table: str, address: str, error: Exception) -> TweetscoreError:
    words = str(error).strip().partition("\n")[0]
    if any(sign in str(error) for sign in _NETWORK):
        return StorageError(f"the log of {table} cannot be read: {words}", "run again")
    if "columnMapping.physicalName" in words:
        return _mapped(table, address)
    words = shorten(words, _WORDS, placeholder=" ...")
    return DataError(
        f"{table} is a Delta table whose log cannot be read: {words}",
        "see whether another reader of Delta tables opens it",
    )
