"""Compares CSV and TSV: an output record must begin with the bytes of the input's record."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError
from scorer.formats.base import RECORD_CAP, Rebatcher, Source
from scorer.formats.csv import CsvSource
from scorer.formats.csv.label_cells import split_labels
from scorer.formats.csv.rows import texts_of
from scorer.formats.csv.splitter import Records
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.cells import slices
from scorer.formats.text.columns import check_column
from scorer.formats.text.dialects import Failure, read_record
from scorer.options import InputSpec
from scorer.readback.findings import Compared, Finding, no_labels

_CELLS = 1 << 16  # bytes that the appended cells may add to the longest record


class CsvPair:
    """Two CSV files."""

    def __init__(
        self,
        source: Source | None,
        output: Path,
        output_schema: OutputColumns,
        spec: InputSpec,
    ) -> None:
        self.rejects = self.not_finite = 0
        self._source = source if isinstance(source, CsvSource) else None
        self._output_schema = output_schema
        self._columns: dict[str, Rebatcher[Records]] = {}  # of the columns that are asked for
        csv, names = spec.csv, spec.csv.columns
        # Its "text" is the first of them: where that cell begins, the input's record has ended.
        if names is not None:
            csv = replace(csv, columns=(*names, *output_schema.names))
        of_first = replace(spec, text_column=output_schema.names[0], csv=csv)
        self.scored = CsvSource(output, of_first, cap=RECORD_CAP + _CELLS)
        delimiter = chr(self.scored.dialect.delimiter)
        self._spec = replace(spec, csv=replace(csv, delimiter=delimiter))
        columns, appended = self.scored.columns, len(output_schema.names)
        if columns[-appended:] != output_schema.names or len(columns) == appended:
            raise DataError(
                f"the last columns of {output} are not {', '.join(output_schema.names)}"
            )

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the header and the byte-order mark."""
        source, header = self._source, self.scored.scored_header()
        if source and header != source.scored_header(self._output_schema):
            yield Finding("header", "the header is not the input's with the appended names")

    def input_batches(self) -> Iterator[Records]:
        """Yield the input's records, and count its rejects."""
        for records in self._source.rows() if self._source else ():
            self.rejects += len(records.rejects)
            yield records

    def output_batches(self) -> Iterator[Records]:
        """Yield the output's records."""
        return self.scored.rows()

    def cut(self, records: Records, start: int, stop: int) -> Records:
        """Return some of the rows."""
        return records.rows(start, stop)

    def answers(self, records: Records, offset: int) -> Compared:
        """Return the appended cells; a score that is no number is NaN and a finding."""
        findings = [
            Finding("record", f"line {reject.line} is no record: {reject.reason}")
            for _, reject in records.rejects
        ]
        first, schema = texts_of(records), self._output_schema
        if schema.label_column is None:
            (score,), wrong = _numbers([first.fill_null("")], schema.scores, offset)
            return Compared(offset, no_labels(len(first)), (score,), (*findings, *wrong))
        cells = self._cells_after(records)
        texts = [
            pl.Series(name, pl.from_arrow(pc.list_element(cells, number)), dtype=pl.String)
            for number, name in enumerate(schema.names[1:])
        ]
        scores, wrong = _numbers(texts[: len(schema.scores)], schema.scores, offset)
        lists = None
        if schema.labels_column is not None:
            lists = split_labels(texts[-1], self.scored.dialect).set(scores[0].is_null(), None)
        return Compared(offset, first, scores, (*findings, *wrong), lists)

    def _cells_after(self, records: Records) -> pa.ListArray:
        """Return what follows each label, cut at the delimiters: as many cells as there should be.

        We never write a score in quotes, and a quote makes it no number, so cutting is enough. A
        list of labels, which may be in quotes, is the last cell.
        """
        spans, width = records.spans, len(self._output_schema.names) - 1
        most = None if self._output_schema.labels_column is None else width - 1
        if not len(records):
            return pa.array([], pa.list_(pa.string()))
        delimiter = chr(self.scored.dialect.delimiter)
        rest = slices(records.data, spans.text_ends + 1, spans.ends, pa.string())
        cells = pc.split_pattern(rest, delimiter, max_splits=most)
        whole = pc.equal(pc.list_value_length(cells), width)
        if pc.all(whole).as_py():
            return cells
        broken = delimiter.join(["?"] * width)
        return pc.split_pattern(pc.if_else(whole, rest, broken), delimiter, max_splits=most)

    def differences(self, ours: Records, theirs: Records, offset: int) -> Iterator[Finding]:
        """Yield where the record, or its line ending, is not the input's."""
        a, b = ours.spans, theirs.spans
        record = pc.not_equal(
            slices(ours.data, a.starts, a.text_starts - 1, pa.binary()),
            slices(theirs.data, b.starts, b.ends, pa.binary()),
        )
        ending = pc.not_equal(
            slices(ours.data, a.ends, a.stops, pa.binary()),
            slices(theirs.data, b.ends, b.stops, pa.binary()),
        )
        if record.true_count:
            at = pc.index(record, value=True).as_py()
            column = self._column(ours, theirs, at)
            text = f"row {offset + at + 1:,}: {column} is not what the input holds"
            yield Finding("columns", text, record.true_count)
        if ending.true_count:
            at = pc.index(ending, value=True).as_py()
            text = f"row {offset + at + 1:,}: the line ending is not the input's"
            yield Finding("ending", text, ending.true_count)

    def column(self, records: Records, name: str) -> pl.Series:
        """Return one of its columns: read beside these records, as the text is in a first pass."""
        if name not in self._columns:
            check_column(self.scored.path, self.scored.columns, name)
            spec = replace(self._spec, text_column=name)
            source = CsvSource(self.scored.path, spec, cap=RECORD_CAP + _CELLS)
            self._columns[name] = Rebatcher(source.rows(), Records.rows)
        cells = [texts_of(rows) for rows in self._columns[name].take(len(records))]
        return pl.concat([pl.Series("text", [], dtype=pl.String), *cells]).rename(name)

    def _column(self, ours: Records, theirs: Records, row: int) -> str:
        """Name the first column that differs in a row that does."""
        mine, its = self._cells(ours, row), self._cells(theirs, row)
        names = self.scored.columns
        differing = [name for name, a, b in zip(names, mine, its, strict=False) if a != b]
        return f"column {differing[0]!r}" if differing else "the record"

    def _cells(self, records: Records, row: int) -> list[bytes]:
        spans = records.spans
        start, stop = int(spans.starts[row]), int(spans.stops[row])
        line = records.data[start:stop]
        found = read_record(line, 0, self.scored.dialect, len(line), at_end=True)
        return [] if isinstance(found, Failure) else [line[a:b] for a, b in found.cells]


def _numbers(
    texts: Sequence[pl.Series], names: Sequence[str], offset: int
) -> tuple[tuple[pl.Series, ...], list[Finding]]:
    """Return cells as Float32, null where empty; what is no number is NaN and a finding."""
    scores, findings = [], []
    for text, name in zip(texts, names, strict=True):
        score = text.cast(pl.Float32, strict=False).rename(name)
        wrong = score.is_null() & (text != "")
        if wrong.any():
            row = offset + int(wrong.arg_max() or 0) + 1
            words = f"row {row:,}: {name} is no number"
            findings.append(Finding("number", words, int(wrong.sum())))
            score = score.set(wrong, float("nan"))
        scores.append(score)
    return tuple(scores), findings
