"""Compares NDJSON: an output line must be the input's line with the appended members in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.formats.base import RECORD_CAP, Source
from scorer.formats.ndjson import NdjsonSource
from scorer.formats.ndjson.lines import Objects
from scorer.formats.ndjson.members import spelled
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.cells import slices
from scorer.formats.text.columns import Keys
from scorer.options import InputSpec
from scorer.readback.findings import Compared, Finding, no_labels

_MEMBERS = 1 << 16  # bytes that the appended members may add to the longest line

# As we write them: no white space, a label in quotes, scores without exponents.
_NAME = r'"(?:[^"\\]|\\.)*"'
_LABEL = f"null|{_NAME}"
_LABELS = rf"null|\[(?:{_NAME}(?:,{_NAME})*)?\]"
_SCORE = r"null|-?[0-9.]+"


class NdjsonPair:
    """Two NDJSON files."""

    def __init__(
        self,
        source: Source | None,
        output: Path,
        output_schema: OutputColumns,
        spec: InputSpec,
    ) -> None:
        self.rejects = self.not_finite = 0
        self._source = source if isinstance(source, NdjsonSource) else None
        if self._source:
            # A line that has one of its names is a reject.
            self._source.check_output_schema(output_schema)
        self._output_schema = output_schema
        self._keys: dict[str, Keys] = {}  # of the values that are asked for
        # Its "text" is the label, if there is one, read by the same rules as any text.
        of_labels = replace(spec, text_column=output_schema.label_column or spec.text_column)
        self.scored = NdjsonSource(output, of_labels, cap=RECORD_CAP + _MEMBERS)
        self._pattern = _pattern(output_schema)

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the byte-order mark: names belong to the lines."""
        if self._source and self.scored.bom != self._source.bom:
            yield Finding("mark", "the byte-order mark is not the input's")

    def input_batches(self) -> Iterator[Objects]:
        """Yield the input's rows, and count rejects and constants that are no JSON."""
        for rows in self._source.rows() if self._source else ():
            self.rejects += len(rows.rejects)
            self.not_finite += int(rows.not_finite.sum())
            yield rows

    def output_batches(self) -> Iterator[Objects]:
        """Yield the output's rows."""
        return self.scored.rows()

    def cut(self, objects: Objects, start: int, stop: int) -> Objects:
        """Return some of the rows."""
        return objects.rows(start, stop)

    def answers(self, objects: Objects, offset: int) -> Compared:
        """Return the appended values; where they are not as we write them, NaN and a finding."""
        findings = [
            Finding("record", f"line {reject.line} is no row: {reject.reason}")
            for _, reject in objects.rejects
        ]
        found = self._found(objects)
        missing = found.is_null()
        if missing.true_count:
            row = offset + pc.index(missing, value=True).as_py() + 1
            names = ", ".join(self._output_schema.names)
            text = f"row {row:,} does not end in {names} as we write them"
            findings.append(Finding("members", text, missing.true_count))
        nan = pl.Series(pl.from_arrow(missing))
        scores = []
        for number, name in enumerate(self._output_schema.scores):
            column = pc.struct_field(found, f"score{number}").cast(pa.string())
            spelling = pl.Series(pl.from_arrow(column), dtype=pl.String)
            score = spelling.cast(pl.Float32, strict=False)
            wrong = nan | (score.is_null() & (spelling != "null").fill_null(value=False))
            scores.append(score.set(wrong, float("nan")).rename(name))
        labeled = self._output_schema.label_column is not None
        labels = objects.texts if labeled else no_labels(len(objects))
        return Compared(offset, labels, tuple(scores), tuple(findings), self._lists(found))

    def _lists(self, found: pa.StructArray) -> pl.Series | None:
        """Return the lists of labels, null where there is none; None where none was written."""
        if self._output_schema.labels_column is None:
            return None
        column = pc.struct_field(found, "labels").cast(pa.string())
        spelling = pl.Series("labels", pl.from_arrow(column), dtype=pl.String)
        return spelling.str.json_decode(pl.List(pl.String))

    def column(self, objects: Objects, name: str) -> pl.Series:
        """Return one of its members; null where a line has none.

        Read line by line: pyarrow's parser wants values of one type, and an id may be of any.
        """
        if name not in self._keys:
            self._keys[name] = self.scored.keys_of(name, None)
        lines = (_line(objects, row) for row in range(len(objects)))
        rows = (json.loads(line, parse_int=str, parse_float=str) for line in lines)
        cells = [_as_text(_value(members, self._keys[name])) for members in rows]
        return pl.Series(name, cells, dtype=pl.String)

    def _found(self, objects: Objects) -> pa.StructArray:
        """Return what stands before the last brace: `members`, `score0` ...; null where unlike."""
        lines = slices(objects.data, objects.starts, objects.braces, pa.binary())
        return pc.extract_regex(lines, self._pattern)

    def differences(self, ours: Objects, theirs: Objects, offset: int) -> Iterator[Finding]:
        """Yield where the line without the members, or what follows the brace, is not the input's.

        A line that does not end in such members is a finding of `answers` already.
        """
        members = pc.struct_field(self._found(ours), "members")
        added = pc.binary_length(members).fill_null(0).to_numpy(zero_copy_only=False)
        line = pc.not_equal(
            slices(ours.data, ours.starts, ours.braces - added, pa.binary()),
            slices(theirs.data, theirs.starts, theirs.braces, pa.binary()),
        )
        line = pc.and_(line, members.is_valid())
        ending = pc.not_equal(
            slices(ours.data, ours.braces, ours.stops, pa.binary()),
            slices(theirs.data, theirs.braces, theirs.stops, pa.binary()),
        )
        if line.true_count:
            at = pc.index(line, value=True).as_py()
            name = _different_key(_line(ours, at), _line(theirs, at))
            text = f"row {offset + at + 1:,}: {name} is not what the input holds"
            yield Finding("columns", text, line.true_count)
        if ending.true_count:
            at = pc.index(ending, value=True).as_py()
            text = f"row {offset + at + 1:,}: the line ending is not the input's"
            yield Finding("ending", text, ending.true_count)


def _value(members: Any, keys: Keys) -> Any:
    for key in keys:
        members = members.get(key) if isinstance(members, dict) else None
    return members


def _as_text(value: Any) -> str | None:
    """Return a string, with ? for half a surrogate pair; of other values, their JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def _pattern(output_schema: OutputColumns) -> str:
    """Return a regular expression for what is appended, up to the brace.

    Quotes in strings are escaped, so it fits nowhere inside one.
    """
    parts = [f"(?P<score{i}>{_SCORE})" for i, _ in enumerate(output_schema.scores)]
    if output_schema.label_column is not None:
        parts.insert(0, f"(?:{_LABEL})")
    if output_schema.labels_column is not None:
        parts.append(f"(?P<labels>{_LABELS})")
    keys = (re.escape(spelled(name)) for name in output_schema.names)
    members = ",".join(f"{key}:{part}" for key, part in zip(keys, parts, strict=True))
    return f"(?P<members>,?{members})$"


def _line(rows: Objects, row: int) -> bytes:
    return rows.data[int(rows.starts[row]) : int(rows.stops[row])]


def _different_key(mine: bytes, its: bytes) -> str:
    """Name the first value that differs in a row that does."""
    ours, theirs = _members(mine), _members(its)
    for found, wanted in zip(ours, theirs, strict=False):
        if found != wanted:
            return f"key {wanted[0]!r}"
    return "the line"


def _members(line: bytes) -> list[tuple[str, Any]]:
    """Return a row's names and values, numbers as they are spelled."""
    found: list[tuple[str, Any]] = json.loads(
        line, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str
    )
    return found
