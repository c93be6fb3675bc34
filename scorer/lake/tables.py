"""Which directory is a table of a lake, by the names in it; nothing is opened."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Literal

from scorer.errors import DataError
from scorer.hints import word

Kind = Literal["delta", "iceberg", "hudi"]

DELTA_LOG = "_delta_log"
ICEBERG_METADATA = "metadata"
HUDI = ".hoodie"
_ICEBERG = re.compile(r"version-hint\.text|(v\d+|\d+-[0-9a-f-]{36})(\.gz)?\.metadata\.json(\.gz)?")


def table_kind(
    directories: Collection[str], names_in: Callable[[str], Iterable[str]]
) -> Kind | None:
    """Return what a directory is a table of; None for a directory of files.

    Args:
        directories: The names of the directories in it.
        names_in: Returns the names in one of them.
    """
    if DELTA_LOG in directories:
        return "delta"
    if HUDI in directories:
        return "hudi"
    if ICEBERG_METADATA in directories and any(map(_ICEBERG.fullmatch, names_in(ICEBERG_METADATA))):
        return "iceberg"
    return None


def not_read(table: str, kind: Kind) -> DataError:
    """Return the error for a table whose files alone do not say which of its rows are live."""
    if kind == "iceberg":
        rows = f"INSTALL iceberg; LOAD iceberg; COPY (FROM iceberg_scan('{_in_sql(table)}'))"
        command = word(f"{rows} TO 'rows.parquet'")
        return DataError(
            f"{table} is an Iceberg table, whose metadata says which rows are live, and that is "
            "not read here",
            f"write the live rows to a file and score that: duckdb -c {command}",
        )
    frame = f'spark.read.format("hudi").load("{table}")'
    return DataError(
        f"{table} is a Hudi table, whose timeline says which rows are live, and that is not read "
        "here",
        f"write the live rows to files and score those, in Spark: {frame}.write.parquet(...)",
    )


def _in_sql(text: str) -> str:
    return text.replace("'", "''")
