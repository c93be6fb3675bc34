"""The SQL statements. Pure: names are quoted here, values travel beside the statement.

The work area holds two tables: the query's rows, numbered, as they were when the run began, and
an answer for each. Rows never leave their engine, so no type of theirs can change on the way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from scorer.databases.address import TableName, quoted
from scorer.databases.engine import Column, Dialect, Found, folded
from scorer.formats.output_columns import Kind

ROW = "tweetscore_row"
RUNS = "tweetscore_runs"
RUNS_COLUMNS = ("target", "result_key", "model", "all_rows", "scored_rows", "finished")


def of_table(table: TableName) -> str:
    """Return the query for all rows of a table."""
    return f"SELECT * FROM {table}"


def count_rows(table: TableName) -> str:
    """Count the rows of a table."""
    return f"SELECT count(*) FROM {table}"


@dataclass(frozen=True, slots=True)
class Work:
    """The two tables that only this run sees."""

    dialect: Dialect

    @property
    def rows(self) -> TableName:
        """Name the query's rows."""
        return TableName((self.dialect.work, "tweetscore_rows"))

    @property
    def answers(self) -> TableName:
        """Name the answers to them."""
        return TableName((self.dialect.work, "tweetscore_answers"))

    @property
    def query(self) -> TableName:
        """Name the temporary view that the query becomes."""
        return TableName((self.dialect.temporary, "tweetscore_query"))

    def keep_rows(self) -> tuple[str, ...]:
        """Keep what the query returns, numbered from 1; it can change nothing."""
        rows = f"SELECT row_number() OVER () AS {ROW}, q.* FROM {self.query} AS q"
        make = f"CREATE TABLE {self.rows} AS {rows}"
        if self.dialect.begin_reading is None:
            return (make,)
        keep = f"INSERT INTO {self.rows} {rows}"
        return f"{make} WITH NO DATA", self.dialect.begin_reading, keep, "COMMIT"

    def make_answers(self, kinds: Iterable[Kind]) -> str:
        """Make the table for columns that are labels, scores or lists of labels."""
        dialect = self.dialect
        types = {"label": dialect.text, "score": dialect.score, "labels": dialect.labels}
        columns = (f"answer_{number} {types[kind]}" for number, kind in enumerate(kinds))
        return f"CREATE TABLE {self.answers} ({ROW} {dialect.number}, {', '.join(columns)})"

    def count_answered(self) -> str:
        """Count the pairs of a row and an answer."""
        return (
            f"SELECT count(*) FROM {self.rows} AS s JOIN {self.answers} AS a ON a.{ROW} = s.{ROW}"
        )

    def first_no_text(self, column: str) -> str | None:
        """Find the first row whose text is none, where only values know."""
        if self.dialect.no_text is None:
            return None
        text = f"s.{quoted(column)}"
        condition = self.dialect.no_text.format(text)
        return (
            f"SELECT {ROW}, typeof({text}) FROM {self.rows} AS s "
            f"WHERE {condition} ORDER BY {ROW} LIMIT 1"
        )

    def count_null(self, column: str) -> str:
        """Count the rows without a value."""
        return f"SELECT count(*) FROM {self.rows} AS s WHERE s.{quoted(column)} IS NULL"

    def first_duplicate(self, column: str) -> str:
        """Find the first value that several rows have, and how many."""
        value = f"s.{quoted(column)}"
        return (
            f"SELECT {self.dialect.as_text.format(value)}, count(*) FROM {self.rows} AS s "
            f"GROUP BY {value} HAVING count(*) > 1 ORDER BY min({ROW}) LIMIT 1"
        )

    def pending_texts(self, column: str) -> str:
        """Return number and text of the rows that have no answer yet."""
        return (
            f"SELECT s.{ROW}, {self.dialect.as_text.format(f's.{quoted(column)}')} AS text "
            f"FROM {self.rows} AS s WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self.answers} AS a WHERE a.{ROW} = s.{ROW})"
        )


@dataclass(frozen=True, slots=True)
class Target:
    """The table that rows and answers go into."""

    work: Work
    found: Found  # what was there of it before
    asked: TableName  # as the call names it
    columns: tuple[Column, ...]  # of the rows
    added: tuple[Column, ...]  # label, scores and labels, as they are called in the table

    @property
    def table(self) -> TableName:
        """Name the table, with its schema."""
        return self.found.name

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Return the columns as they will be."""
        return (*self.columns, *self.added)

    @property
    def runs(self) -> TableName:
        """Name the table beside it that tells which runs its rows come from."""
        return self.table.beside(RUNS)

    def create(self) -> str:
        """Make the table of rows and answers."""
        return f"CREATE TABLE {self.table} AS {self._scored_rows()}"

    def insert(self) -> str:
        """Add rows and answers."""
        names = ", ".join(quoted(column.name) for column in self.all_columns)
        return f"INSERT INTO {self.table} ({names}) {self._scored_rows()}"

    def delete_same(self, id_column: str) -> str:
        """Remove what rows with an answer will take the place of."""
        name = quoted(id_column)
        return (
            f"DELETE FROM {self.table} WHERE {name} IN (SELECT s.{name} "
            f"FROM {self.work.rows} AS s JOIN {self.work.answers} AS a ON a.{ROW} = s.{ROW})"
        )

    def delete_all(self, *, dry_run: bool) -> str:
        """Remove all rows; none in a dry run."""
        return f"DELETE FROM {self.table}" + (" WHERE FALSE" if dry_run else "")

    def drop(self) -> str:
        """Remove the table."""
        return f"DROP TABLE {self.table}"

    def count_duplicates(self, id_column: str) -> str:
        """Count the rows that share their id with another, or have none."""
        return f"SELECT count(*) - count(DISTINCT {quoted(id_column)}) FROM {self.table}"

    def reuse_answers(self, id_column: str, text_column: str) -> str:
        """Answer the rows that the table has with the very same text."""
        old, new = (
            self.work.dialect.as_bytes.format(f"{side}.{quoted(text_column)}") for side in "ts"
        )
        answers = ", ".join(f"t.{quoted(column.name)}" for column in self.added)
        name = quoted(id_column)
        return (
            f"INSERT INTO {self.work.answers} SELECT s.{ROW}, {answers} "
            f"FROM {self.work.rows} AS s JOIN {self.table} AS t ON t.{name} = s.{name} "
            f"WHERE {old} IS NOT DISTINCT FROM {new}"
        )

    def make_runs(self) -> str:
        """Make the table of runs."""
        text, count = self.work.dialect.text, "BIGINT"
        kinds = (text, text, text, count, count, text)
        columns = (f"{name} {kind}" for name, kind in zip(RUNS_COLUMNS, kinds, strict=True))
        return f"CREATE TABLE {self.runs} ({', '.join(columns)})"

    def keys_of_runs(self) -> str:
        """Return the keys that the table's rows were scored under."""
        return f"SELECT DISTINCT result_key FROM {self.runs} WHERE target = $1 OR target = $2"

    def forget_runs(self) -> str:
        """Forget the runs of which no row is left."""
        return f"DELETE FROM {self.runs} WHERE target = $1"

    def note_run(self) -> str:
        """Note a run."""
        return f"INSERT INTO {self.runs} VALUES ($1, $2, $3, $4, $5, $6)"

    def _scored_rows(self) -> str:
        parts = [f"s.{quoted(column.name)}" for column in self.columns]
        parts += [f"a.answer_{i} AS {quoted(c.name)}" for i, c in enumerate(self.added)]
        return (
            f"SELECT {', '.join(parts)} FROM {self.work.rows} AS s "
            f"JOIN {self.work.answers} AS a ON a.{ROW} = s.{ROW} ORDER BY s.{ROW}"
        )


def difference(there: Iterable[Column], ours: Iterable[Column], *, folds_case: bool) -> str | None:
    """Say in what a table differs from what would be written; None where it does not."""

    def by_name(columns: Iterable[Column]) -> dict[str, Column]:
        return {folded(c.name) if folds_case else c.name: c for c in columns}

    old, new = by_name(there), by_name(ours)
    for name, column in new.items():
        if name not in old:
            return f"it has no column {column.name!r}"
        if old[name].kind != column.kind:
            return f"its column {column.name!r} is {old[name].kind}, not {column.kind}"
    for name, column in old.items():
        if name not in new:
            return f"its column {column.name!r} is not among those of the rows, label and score"
    return None
