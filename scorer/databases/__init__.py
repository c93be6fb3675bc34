"""Opens the database of an address through the library of its engine."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.databases.address import Address
from scorer.hints import needed

if TYPE_CHECKING:
    from scorer.databases.engine import Database


def open_database(address: Address, work: Path, wait: float) -> "AbstractContextManager[Database]":
    """Return a database that is there; nothing is read before it is entered.

    Args:
        address: Which one.
        work: An empty directory, for what is kept beside the database for a while.
        wait: Seconds to wait for what another process has locked.

    Raises:
        MissingExtra: the extra `databases` is not installed.
    """
    with needed("databases", "a database needs"):
        if address.kind == "duckdb":
            from scorer.databases.duckdb import DuckDB

            return DuckDB(address.path, work, wait)
        if address.kind == "sqlite":
            from scorer.databases.sqlite import SQLite

            return SQLite(address.path, work, wait)
        from scorer.databases.postgresql import PostgreSQL

        return PostgreSQL(address, wait)
