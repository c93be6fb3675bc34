"""Opens the database of an address through the library of its engine."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.databases.address import Address
from scorer.installation import needed

if TYPE_CHECKING:
    from scorer.databases.engine import Database


def open_database(address: Address, work: Path, wait: float) -> "AbstractContextManager[Database]":
    """Return a database: a file that is there, or a server that is asked when it is entered.

    Args:
        address: Which one.
        work: An empty directory, for what is kept beside the database for a while.
        wait: Seconds to wait for what another process has locked.

    Raises:
        MissingExtra: the extra `databases` is not installed.
    """
    with needed("databases", "a database needs"):
        if address.kind == "duckdb":
            from scorer.databases.duckdb import open_duckdb

            return nullcontext(open_duckdb(address.path, work, wait))
        if address.kind == "sqlite":
            from scorer.databases.sqlite import open_sqlite

            return nullcontext(open_sqlite(address.path, work, wait))
        from scorer.databases.postgresql import open_postgresql

        return open_postgresql(address, wait)
