"""An earlier output's answers, found again for the rows of an input.

A row is known by its id and its text. Two hashes of 64 bits stand for them: one of both, by which
rows are found, and one of the text alone, which must be the same too. Their seed is drawn for
each run: two texts with equal keys cannot be prepared in advance.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError
from scorer.formats.base import Rebatcher, Source, input_changed
from scorer.monitor.report_types import CompleteReport
from scorer.os_errors import reading
from scorer.readback import Comparison
from scorer.readback.findings import Compared
from scorer.readback.join import ASKED, Found, Join, Rows, known_type
from scorer.readback.output_report import input_spec, output_columns
from scorer.records import Answers, TextWindow
from scorer.store.commit import FileIdentity

_ASKED_AT_ONCE = 1 << 14  # rows of the input


@dataclass(frozen=True, slots=True)
class _Hashes:
    """What stands for ids and texts; equal in one run, other in the next."""

    seeds: tuple[int, int] = field(
        default_factory=lambda: (secrets.randbits(64), secrets.randbits(64))
    )

    def of_rows(self, ids: pl.Series, texts: pl.Series) -> NDArray[np.uint64]:
        """Return a hash of id and text together."""
        rows = pl.DataFrame([ids.alias("id"), texts.alias("text")])
        return rows.hash_rows(self.seeds[0]).to_numpy()

    def of_texts(self, texts: pl.Series) -> NDArray[np.uint64]:
        """Return a hash of the texts alone."""
        return texts.hash(self.seeds[1]).to_numpy()


class Earlier:
    """An output that is as its report says."""

    def __init__(self, path: Path, report: CompleteReport, id_column: str) -> None:
        self.path = path
        self._report = report
        self._id_column = id_column
        self._output_schema = output_columns(report)
        self._scores = max(1, len(self._output_schema.score_columns))
        self._hashes = _Hashes()

    @property
    def sha256(self) -> str:
        """Return its content hash."""
        return self._report.output.sha256

    def read(self, directory: Path) -> "EarlierAnswers":
        """Read it, and keep what is needed of it in a directory until the answers are closed.

        Raises:
            DataError: It is not readable, or has no such ids, or is not what was written.
        """
        join = Join(directory, self._report.counters.rows, self._scores)
        try:
            join.add_known(self._known())
        except BaseException:
            join.remove()
            raise
        classes = len(self._output_schema.label_values)
        return EarlierAnswers(join, self._hashes, classes, self._id_column)

    def _known(self) -> Iterator[Rows]:
        """Yield the rows that have an id and an answer."""
        spec = input_spec(self._report)
        comparison = Comparison(None, self.path, self._output_schema, spec)
        ids = _Column(comparison.values(self._id_column))
        texts = _Column(comparison.values(spec.text_column))
        count = 0
        for block in comparison.rows():
            count += len(block)
            yield self._records(block, ids.take(len(block)), texts.take(len(block)))
        with reading(self.path):
            same = FileIdentity.recorded(self._report.as_json(), self.path)
        if count != self._report.counters.rows or not same:
            raise DataError(f"{self.path} is not what was written there")

    def _records(self, block: Compared, ids: pl.Series, texts: pl.Series) -> Rows:
        labels = self._label_ids(block)
        number = self._output_schema.label_column is None
        columns = block.scores[1:] or block.scores
        scores = np.stack([c.fill_null(float("nan")).to_numpy() for c in columns], axis=1)
        there = (labels.is_not_null() & ids.is_not_null()).to_numpy()
        there &= (np.isfinite(scores) if number else (scores >= 0) & (scores <= 1)).all(axis=1)
        rows = np.empty(int(there.sum()), known_type(self._scores))
        rows["key"] = self._hashes.of_rows(ids, texts)[there]
        rows["check"] = self._hashes.of_texts(texts)[there]
        rows["label"] = labels.fill_null(0).to_numpy()[there]
        rows["scores"] = scores[there]
        return rows

    def _label_ids(self, block: Compared) -> pl.Series:
        """Return the classes' numbers, Int16 [rows], null where blank or unknown."""
        if self._output_schema.label_column is None:
            return pl.select(
                pl.when(block.scores[0].is_not_null()).then(0).cast(pl.Int16)
            ).to_series()
        names = self._output_schema.label_values
        return block.labels.replace_strict(
            names, range(len(names)), default=None, return_dtype=pl.Int16
        )


class EarlierAnswers:
    """The answers of an earlier output for the rows of an input, until they are closed."""

    def __init__(self, join: Join, hashes: _Hashes, classes: int, id_column: str) -> None:
        self._join = join
        self._hashes = hashes
        self._classes = classes
        self._id_column = id_column
        self._found: Found
        self._path: Path

    def look_up(self, source: Source) -> None:
        """Find the rows of an input, by reading it once."""
        self._path = source.path
        self._found = self._join.look_up(self._asked(source))

    def close(self) -> None:
        """Remove the files."""
        self._join.remove()

    def _asked(self, source: Source) -> Iterator[Rows]:
        column = _Column(source.values(self._id_column))
        for window in source.windows(_ASKED_AT_ONCE):
            texts = window.texts
            ids = column.take(len(texts))
            there = ids.is_not_null().to_numpy()
            rows = np.empty(int(there.sum()), ASKED)
            rows["key"] = self._hashes.of_rows(ids, texts)[there]
            rows["check"] = self._hashes.of_texts(texts)[there]
            rows["row"] = window.offset + np.flatnonzero(there)
            yield rows

    def known(self, window: TextWindow) -> Answers:
        """Return the answers for a window; windows are asked for in order, some may be left out.

        Raises:
            DataError: A text is not the one that was looked up.
        """
        texts, offset = window.texts, window.offset
        found = self._found.before(offset + len(texts))
        found = found[found["row"] >= offset]
        rows = found["row"] - offset
        if (self._hashes.of_texts(texts)[rows] != found["check"]).any():
            raise input_changed(self._path)
        label_ids = np.full(len(texts), -1, np.int16)
        probabilities = np.full((len(texts), self._classes), np.nan, np.float32)
        label_ids[rows] = found["label"]
        if found["scores"].shape[1] == self._classes:
            probabilities[rows] = found["scores"]
        else:
            probabilities[rows, found["label"]] = found["scores"][:, 0]
        return Answers(label_ids, probabilities)


class _Column:
    """A column's values, taken in step with what is read beside them."""

    def __init__(self, batches: Iterator[pl.Series]) -> None:
        self._values = Rebatcher(batches, lambda batch, start, stop: batch[start:stop])

    def take(self, rows: int) -> pl.Series:
        """Return the next values; null where the file has grown shorter meanwhile."""
        empty = pl.Series("value", [], dtype=pl.String)
        batches = [batch.rename("value") for batch in self._values.take(rows)]
        found = pl.concat([empty, *batches])
        return found.extend_constant(None, rows - len(found))
