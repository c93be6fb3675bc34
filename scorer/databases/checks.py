"""What is checked of a query's rows, and of the tables they go into, before the model works."""

from collections.abc import Sequence
from pathlib import Path

from scorer.databases.engine import Column, Session
from scorer.databases.options import TableOptions
from scorer.databases.statements import RUNS_COLUMNS, Target, Work
from scorer.errors import DataError, OutputRefused
from scorer.files.columns import find_column
from scorer.files.source import OutputColumns


def check_rows(
    session: Session,
    work: Work,
    columns: Sequence[Column],
    plan: OutputColumns,
    options: TableOptions,
) -> None:
    """Check that rows can be scored, and be told apart where an id is named.

    Raises:
        UsageError: they have a column of a name that would be added.
        DataError: text or id column do not fit, an id is missing or not unique.
    """
    fold = work.dialect.folded
    added = {fold(name): name for name in plan.names}
    plan.check_against(added.get(fold(column.name), column.name) for column in columns)
    _check_text(session, work, columns, options)
    if options.id_column is not None:
        names = [column.name for column in columns]
        _check_ids(session, work, names, options.id_column, options.place)


def has_runs(session: Session, target: Target) -> bool:
    """Tell whether the table of runs is there.

    Raises:
        OutputRefused: A table of its name is, and is somebody else's.
    """
    fold = target.work.dialect.folded
    there = [column.name for column in session.columns(target.runs)]
    if there and {*map(fold, there)} != {*RUNS_COLUMNS}:
        raise OutputRefused(
            f"the table {target.runs} is not one of tweetscore's: its columns are "
            f"{', '.join(there)}",
            "rename it, or put the scores into another schema: tweetscore keeps its runs there",
        )
    return bool(there)


def number(session: Session, statement: str) -> int:
    """Return the one number that a statement asks for."""
    ((value,),) = session.rows(statement)
    return int(value)


def _check_text(
    session: Session, work: Work, columns: Sequence[Column], options: TableOptions
) -> None:
    place = options.place
    names = [column.name for column in columns]
    text = columns[find_column(Path(place), names, options.scoring.text_column, exact=True)]
    if not work.dialect.text_kinds.match(text.kind):
        raise DataError(
            f"column {text.name!r} of {place} is {text.kind}, not text",
            "name another with --text-column",
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
    if count := number(session, work.count_null(name)):
        rows = "1 row" if count == 1 else f"{count:,} rows"
        raise DataError(
            f"the id column {name!r} of {place} is null in {rows}",
            "leave them out, or name another with --id-column",
        )
    for value, count in session.rows(work.first_double(name)):
        raise DataError(
            f"the id column {name!r} of {place} has {value} in {count:,} rows",
            "let each id come once, or name another with --id-column",
        )
