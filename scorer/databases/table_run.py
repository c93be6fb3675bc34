"""Scores the rows of a query into a table: the pipeline of `tweetscore table`.

    find the tables -> keep the rows -> check -> dry run -> reuse answers -> texts out
    -> run over a file -> answers in -> one transaction

The rows stay in their engine, in a work area beside the database; only numbered texts come out,
and numbered answers go back. Nothing under the table's name changes before the COMMIT.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scorer.databases import open_database
from scorer.databases.checks import TableOptions, check_rows, find_target, has_runs, scalar
from scorer.databases.engine import Column, Database, Session, transaction
from scorer.databases.statements import ROW, Target, Work, count_rows, difference
from scorer.errors import OutputRefused, StorageError, TweetscoreError
from scorer.formats.output_columns import OutputColumns
from scorer.formats.record_batches import answers, keep_texts
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import Outcome
from scorer.monitor.versions import library_versions, tweetscore_version
from scorer.options import LABEL_COLUMN, LABELS_COLUMN, SCORE_COLUMN, RunOptions
from scorer.records import OnProgress, Progress
from scorer.run import pipeline
from scorer.run.cache_keys import digest
from scorer.run.preflight import check_place, output_columns
from scorer.store.commit import inodes, write_json


@dataclass(frozen=True, slots=True)
class TableOutcome:
    """What became of the rows."""

    rows: int
    scored: int  # the others' answers were there already
    outcome: Outcome | None  # of the run that scored them; None where there were none
    report: dict[str, Any]
    warnings: tuple[str, ...]


def score_table(
    options: TableOptions,
    *,
    model: ModelHandle | None = None,
    progress: OnProgress = lambda _: None,
) -> TableOutcome:
    """Score a query's rows into a table of the same database.

    Args:
        options: What is wanted.
        model: Its model, where the caller has it; by default the one that the options mean.
        progress: Is called as by `scorer.run.pipeline.run`.

    Raises:
        UsageError: the rows have a column of a name that would be added, the query is not one
            SELECT, or the rows would go into the table that they come from.
        InputMissing: the database or what is read of it is not there, or may not be read.
        DataError: text or id column do not fit, an id is missing or not unique.
        OutputRefused: the table exists, and is not one that would be written.
    """
    if options.report:
        check_place(options.report, inodes([options.address.path]))
    model = model or ModelHandle.of(options.model_spec)
    output_schema = output_columns(options.output_spec, model.bundle)
    with (
        TemporaryDirectory(prefix="tweetscore-", ignore_cleanup_errors=True) as name,
        open_database(options.address, Path(name), options.lock_wait) as database,
    ):
        key = _result_key(options, model)
        return _TableRun(options, model, output_schema, database, Path(name), key).run(progress)


@dataclass(frozen=True, slots=True)
class _TableRun:
    """What a call asks for, and what it works with."""

    options: TableOptions
    model: ModelHandle
    output_schema: OutputColumns
    database: Database
    directory: Path
    key: str

    def run(self, progress: OnProgress) -> TableOutcome:
        started = datetime.now(UTC)
        texts, scores = self.directory / "texts.arrow", self.directory / "scored.arrow"
        progress(Progress(texts, "read"))
        with self.database.session() as session:
            target = self._keep_rows(session)
            rows = scalar(session, count_rows(target.work.rows))
            self._load(session, target, rows, 0, dry_run=True)
            self._reuse_answers(session, target)
            scored = session.read(
                target.work.pending_texts(self.options.text_column),
                lambda pending: keep_texts(pending, texts),
            )
        # The database is free while the model works.
        outcome = self._score(texts, scores, progress) if scored else None
        progress(Progress(texts, "publish"))
        with self.database.session() as session:
            if outcome:
                names = [ROW, *(f"answer_{i}" for i in range(len(self.output_schema.names)))]
                with answers(scores, names) as reader:
                    session.append(reader, target.work.answers)
            self._load(session, target, rows, scored)
        report = self._report(target, started, rows, scored, outcome)
        said = outcome.warnings if outcome else ()
        return TableOutcome(rows, scored, outcome, report, (*said, *self._write(report)))

    def _keep_rows(self, session: Session) -> Target:
        """Keep the rows as they are now, and check all that can be checked before scoring."""
        work = Work(self.database.dialect)
        found = find_target(session, work, self.options)
        with session.faults.reading(self.options.asked):
            for statement in work.keep_rows():
                session.execute(statement)
        session.execute(work.make_answers(self.output_schema.kinds.values()))
        _, *columns = session.columns(work.rows)
        _, *added = session.columns(work.answers)
        check_rows(session, work, columns, self.output_schema, self.options)
        named = zip(self.output_schema.names, added, strict=True)
        scores = tuple(Column(name, column.kind) for name, column in named)
        return Target(work, found, self.options.into, tuple(columns), scores)

    def _reuse_answers(self, session: Session, target: Target) -> None:
        """Answer rows from the table, if each of its rows was scored as this run would score it."""
        options, identity = self.options, target.found.identity
        if options.id_column is None or options.overwrite or not options.incremental:
            return
        if identity is None or not has_runs(session, target):
            return
        earlier_name = target.found.earlier_name or identity
        keys = session.rows(target.keys_of_runs(), identity, earlier_name)
        if keys == [(self.key,)] and not scalar(
            session, target.count_duplicates(options.id_column)
        ):
            session.execute(target.reuse_answers(options.id_column, options.text_column))

    def _score(self, texts: Path, scores: Path, progress: OnProgress) -> Outcome:
        """Score the file of texts; its columns have names that cannot collide."""
        options = self.options
        wanted = RunOptions(
            (texts,),
            scores,
            options.model_spec,
            output_spec=replace(
                options.output_spec,
                label_column=LABEL_COLUMN,
                score_column=SCORE_COLUMN,
                labels_column=LABELS_COLUMN,
            ),
            incremental=options.incremental,
        )
        (outcome,) = pipeline.run(wanted, model=self.model, progress=progress)
        if outcome.error:
            raise outcome.error
        return outcome

    def _load(
        self, session: Session, target: Target, rows: int, scored: int, *, dry_run: bool = False
    ) -> None:
        """Bring the table up to date; a dry run, which has no answers yet, is rolled back.

        A dry run finds out before the model works what would fail after it: a table of other
        columns, a schema that is not there, a privilege, a lock.
        """
        with transaction(session, self.database.dialect, dry_run=dry_run):
            self._replace_rows(session, target, dry_run=dry_run)
            self._note_run(session, target, rows, scored)
            if not dry_run and scalar(session, target.work.count_answered()) != rows:
                raise StorageError(f"not every row for {target.asked} has an answer", "run again")

    def _replace_rows(self, session: Session, target: Target, *, dry_run: bool) -> None:
        options, dialect = self.options, self.database.dialect
        there = session.columns(target.table)
        if not there:
            session.execute(target.create())
            return
        if options.id_column is None and not options.overwrite:
            raise OutputRefused(
                f"the table {target.asked} exists",
                "replace it as a whole with --overwrite, or its rows by --id-column",
            )
        differs = difference(there, target.all_columns, folds_case=dialect.folds_case)
        if differs and not options.overwrite:
            raise OutputRefused(
                f"the table {target.asked} is not what would be written: {differs}",
                "name another with --into, or replace it with --overwrite",
            )
        if differs:
            session.execute(target.drop())
            session.execute(target.create())
            return
        if dialect.lock:
            session.execute(dialect.lock.format(target.table))
        if options.overwrite:  # indexes and privileges stay
            session.execute(target.delete_all(dry_run=dry_run))
        elif options.id_column is not None:
            session.execute(target.delete_same(options.id_column))
        session.execute(target.insert())

    def _note_run(self, session: Session, target: Target, rows: int, scored: int) -> None:
        """Note beside the table how its rows were scored."""
        now = session.find(target.table)
        if not has_runs(session, target):
            session.execute(target.make_runs())
        if scalar(session, count_rows(target.table)) == rows:  # none is left of earlier runs
            for name in {target.found.identity, now.identity, now.earlier_name} - {None}:
                session.execute(target.forget_runs(), name)
        bundle = self.model.bundle
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        model = f"{bundle.name} {bundle.version}"
        session.execute(target.note_run(), now.identity, self.key, model, rows, scored, finished)

    def _report(
        self, target: Target, started: datetime, rows: int, scored: int, outcome: Outcome | None
    ) -> dict[str, Any]:
        options = self.options
        return {
            "started": started.isoformat(timespec="milliseconds"),
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "database": options.address.shown,
            "source": str(options.source),
            "target": str(target.table),
            "id_column": options.id_column,
            "result_key": self.key,
            "rows": rows,
            "scored": scored,
            "taken_over": rows - scored,
            "run": outcome and {**outcome.complete.as_json(), "input": None, "output": None},
        }

    def _write(self, report: dict[str, Any]) -> Iterator[str]:
        """Write the report; the table is complete by now, whatever becomes of it."""
        if self.options.report is None:
            return
        try:
            write_json(self.options.report, report)
        except TweetscoreError as error:
            yield f"the table is complete, but {error}"


def _result_key(options: TableOptions, model: ModelHandle) -> str:
    """Return what decides each bit of a row's answer, as far as it is known without the model."""
    from scorer.inference.loading import foreseen

    return digest(
        {
            "bundle": model.bundle.digest,
            "options": {
                "text_column": options.text_column,
                "precision": options.model_spec.precision,
                **asdict(options.output_spec),
            },
            "runtime": foreseen(model.bundle, options.model_spec),
            "libraries": {"tweetscore": tweetscore_version(), **library_versions()},
        }
    )
