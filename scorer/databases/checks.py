"""What a call of `tweetscore table` asks for, and what is checked of it before the model works."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.databases.address import Address, TableName
from scorer.databases.engine import Column, Found, Session, folded
from scorer.databases.statements import RUNS, RUNS_COLUMNS, Target, Work, of_table
from scorer.errors import DataError, OutputRefused, UsageError
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.columns import find_column
from scorer.hints import counted
from scorer.options import TEXT_COLUMN, ModelSpec, OutputSpec


@dataclass(frozen=True, slots=True)
class TableOptions:
    """One call of `tweetscore table`."""

    address: Address
    source: TableName | str  # a table, or a query
    into: TableName
    model_spec: ModelSpec
    output_spec: OutputSpec
    text_column: str = TEXT_COLUMN
    incremental: bool = True  # score only texts that the table does not have under their ids
    id_column: str | None = None
    overwrite: bool = False
    lock_wait: float = 10.0  # seconds
    report: Path | None = None  # where to

    @property
    def place(self) -> str:
        """Name the source in messages."""
        return ".".join(self.source.parts) if isinstance(self.source, TableName) else "the query"

    @property
    def asked(self) -> str:
        """Name the option that asks for the source."""
        return "--table" if isinstance(self.source, TableName) else "--query"


def find_target(session: Session, work: Work, options: TableOptions) -> Found:
    """Make the query a view, and resolve --into: a table that is none of those that it reads.

    A query, or a view, may read the table whose rows it replaces by their ids: that is how only
    new rows are picked. It may not where all of the table is replaced.

    Raises:
        UsageError: the query is not one SELECT, or the rows would go where they come from.
        InputMissing, DataError: the query, or the table that it stands for, cannot be read.
        OutputRefused: what --into names is no table.
    """
    source, into = options.source, options.into
    with session.faults.reading(options.asked):
        found = session.find(source) if isinstance(source, TableName) else None
        query = source if isinstance(source, str) else of_table(_spelled(source, found))
        session.make_query(work.query, query)
        read = session.reads(work.query) | _identities(found)
    target = session.find(into)
    if not target.lasts:
        raise UsageError(f"{into} would be gone when the run ends", "name another with --into")
    if folded(target.name.parts[-1]) == RUNS:
        raise UsageError(f"{into} is where tweetscore notes its runs", "name another with --into")
    if target.identity and read & (session.reads(target.name) | _identities(target)):
        _check_apart(options, found, target)
    if target.kind != "table":
        raise OutputRefused(f"{into} is a {target.kind}, not a table", "name a table with --into")
    return target


def _check_apart(options: TableOptions, source: Found | None, target: Found) -> None:
    """Check that rows which come from the target may go into it."""
    into = options.into
    if (source and source.kind == "table") or target.kind != "table":
        raise UsageError(
            f"the rows would go into their own table {into}", "name another with --into"
        )
    if options.overwrite:
        raise UsageError(
            f"{options.asked} reads {into}, which --overwrite would replace as a whole",
            "name another with --into, or replace rows by --id-column without --overwrite",
        )


def _spelled(source: TableName, found: Found | None) -> TableName:
    """Name a table in full; what the catalog does not list the engine may know all the same."""
    return found.name if found and found.identity else source


def _identities(found: Found | None) -> frozenset[str]:
    return frozenset({found.identity} if found and found.identity else ())


def check_rows(
    session: Session,
    work: Work,
    columns: Sequence[Column],
    output_schema: OutputColumns,
    options: TableOptions,
) -> None:
    """Check that rows can be scored, and have unique ids where an id column is named.

    Raises:
        UsageError: they have a column of a name that would be added.
        DataError: text or id column do not fit, an id is missing or not unique.
    """
    fold = work.dialect.folded
    added = {fold(name): name for name in output_schema.names}
    output_schema.check_against(added.get(fold(column.name), column.name) for column in columns)
    _check_text(session, work, columns, options)
    if options.id_column is not None:
        names = [column.name for column in columns]
        _check_ids(session, work, names, options.id_column, options.place)


def has_runs(session: Session, target: Target) -> bool:
    """Tell whether the table of runs is there.

    Raises:
        OutputRefused: A table of its name is there, and is not ours.
    """
    fold = target.work.dialect.folded
    there = [column.name for column in session.columns(target.runs)]
    if there and {*map(fold, there)} != {*RUNS_COLUMNS}:
        raise OutputRefused(
            f"the table {target.asked.beside(RUNS)} is not one of tweetscore's: its columns are "
            f"{', '.join(there)}",
            "rename it, or put the scores into another schema: tweetscore keeps its runs there",
        )
    return bool(there)


def scalar(session: Session, statement: str) -> int:
    """Return the one number that a statement asks for."""
    ((value,),) = session.rows(statement)
    return int(value)


def _check_text(
    session: Session, work: Work, columns: Sequence[Column], options: TableOptions
) -> None:
    place = options.place
    names = [column.name for column in columns]
    text = columns[find_column(Path(place), names, options.text_column, exact=True)]
    if not work.dialect.text_kinds.match(text.kind):
        raise DataError(
            f"column {text.name!r} of {place} is {text.kind}, not text",
            "name another with --text-column, or cast it with --query",
        )
    statement = work.first_no_text(text.name)
    for row, kind in session.rows(statement) if statement else []:
        raise DataError(
            f"column {text.name!r} of {place} is {kind} in row {row:,}, not text",
            "leave such rows out, or cast them in a query",
        )


def _check_ids(session: Session, work: Work, names: Sequence[str], name: str, place: str) -> None:
    if name not in names:
        raise DataError(
            f"{place} has no column {name!r}, only: {', '.join(names)}",
            "name another with --id-column",
        )
    if count := scalar(session, work.count_null(name)):
        raise DataError(
            f"the id column {name!r} of {place} is null in {counted(count, 'row')}",
            "leave them out, or name another with --id-column",
        )
    for value, count in session.rows(work.first_duplicate(name)):
        raise DataError(
            f"the id column {name!r} of {place} has {value} in {count:,} rows",
            "let each id come once, or name another with --id-column",
        )
