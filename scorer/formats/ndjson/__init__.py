"""NDJSON: read for the texts, written back as the same bytes with members added to each object."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl

from scorer.formats.base import NOTHING_FOUND, RECORD_CAP, Rebatcher, ScoredSlice, second_pass
from scorer.formats.ndjson.lines import (
    SCALAR,
    Lines,
    ObjectReader,
    Objects,
    Values,
    split_lines,
)
from scorer.formats.ndjson.members import appended_members, with_members
from scorer.formats.ndjson.strict import Failure, Members, TextKeys, read_members
from scorer.formats.output_columns import OutputColumns
from scorer.formats.registry import format_of
from scorer.formats.text.cells import TextBatch, cut_windows, is_utf8
from scorer.formats.text.columns import Inside, Keys, ValuesOption, find_keys, no_text
from scorer.formats.text.compression import read_blocks, write_blocks
from scorer.formats.text.encodings import Encoding
from scorer.formats.written import Written
from scorer.options import InputSpec
from scorer.records import TextWindow

LOOKED_AT = 1000  # lines in which the keys are found, before any work
_BYTES_LOOKED_AT = 4 << 20  # of these lines together

_BOM = codecs.BOM_UTF8


class NdjsonSource:
    """One NDJSON file, UTF-8."""

    format = "ndjson"
    found = NOTHING_FOUND
    remarks: tuple[str, ...] = ()
    encoding = "utf-8"

    def __init__(self, path: Path, spec: InputSpec, *, cap: int = RECORD_CAP) -> None:
        self.path = path
        self._compression = format_of(path, spec.format).compression
        self._limit = spec.limit
        self._cap = cap  # bytes in a line
        head = next(read_blocks(path, self._compression), b"")
        self.bom = _BOM if head.startswith(_BOM) else b""
        self.columns: tuple[str, ...] = self._find_columns(spec.text_column)
        self._keys = TextKeys(self.keys_of(spec.text_column))

    def _find_columns(self, text_column: str) -> tuple[str, ...]:
        """Return the keys of the first objects, in the order in which they come up.

        A text that is missing is null. Missing from all of them, it must have another name.
        """
        only_objects: dict[str, bool] = {}
        for members in self._first_objects():
            for name, value in members:
                only_objects[name] = only_objects.get(name, True) and isinstance(value, Members)
        if only_objects.get(text_column):
            problem = f"column {text_column!r} of {self.path} is an object, not a string"
            raise no_text(problem, self._inside()[text_column], text_column)
        return tuple(only_objects)

    def _first_objects(self) -> Iterator[Members]:
        left = _BYTES_LOOKED_AT
        for line in islice(_each(self._lines()), LOOKED_AT):
            if (left := left - len(line)) < 0:
                break
            members = read_members(line) if len(line) <= self._cap and is_utf8(line) else Members()
            if not isinstance(members, Failure):
                yield members

    def keys_of(self, name: str, option: str | None = "--text-column") -> Keys:
        """Return the keys that lead to a value by its name; DataError where there is none."""
        if not self.columns:  # no object, and so nothing to hold it against
            return tuple(name.split("."))
        return find_keys(self.path, self.columns, name, self._inside, option)

    def _inside(self) -> Mapping[str, Inside]:
        found: dict[str, Inside] = {}
        for members in self._first_objects():
            members.add_to(found)
        return found

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of at most `rows` rows, memory flat."""
        read = reported = 0

        def text_batches() -> Iterator[TextBatch]:
            nonlocal read
            for objects in self.rows():
                read += int(objects.not_finite.sum())
                yield objects.texts, objects.rejects

        for window in cut_windows(text_batches(), rows):
            yield replace(window, not_finite=read - reported)
            reported = read

    def values(self, column: str, option: ValuesOption = "--id-column") -> Iterator[pl.Series]:
        """Return the values of a key in batches: strings, and others as they are spelled."""
        keys = self.keys_of(column, option)
        if option == "--label-column":
            self._check_label(column, keys)
            return map(Values(keys, SCALAR).of, self.rows())
        return map(Values(keys).of, self.rows())

    def _check_label(self, column: str, keys: Keys) -> None:
        """Raise DataError where the first objects have a list or an object in the place of it."""
        found: Inside = self._inside()
        for key in keys:
            found = found.get(key, "value") if isinstance(found, Mapping) else "value"
        if isinstance(found, Mapping) or found == "list":
            words = "an object" if isinstance(found, Mapping) else "a list"
            problem = f"column {column!r} of {self.path} is {words}, not one label"
            raise no_text(problem, found, column, "--label-column")

    def check_output_schema(self, output_schema: OutputColumns) -> None:
        """Raise UsageError when one of the first objects has a name already.

        A later one that has it is no row; so the names are kept.
        """
        output_schema.check_against(self.columns)
        output_schema.check_encoding(Encoding(self.encoding))
        self._keys = TextKeys(self._keys.path, output_schema.names)

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        """Write the input's lines with their scores to a new file.

        Raises:
            DataError: the texts are not those that were scored.
            UsageError: a name exists already.
        """
        self.check_output_schema(output_schema)
        rows = Rebatcher(self.rows(), Objects.rows)
        count = 0
        with write_blocks(destination, self._compression) as sink:
            sink.write(self.bom)
            for objects, (members,) in second_pass(
                self.path,
                rows,
                lambda each: each.texts,
                results,
                lambda part: [appended_members(part, output_schema)],
            ):
                sink.write(with_members(objects, members))
                count += len(objects)
        return Written(count)

    def rows(self) -> Iterator[Objects]:
        """Yield the rows as they stand, in batches, as far as the limit."""
        reader = ObjectReader(self._keys, self._cap)
        left = self._limit
        for lines in self._lines() if left != 0 else ():
            found = reader.read(lines)
            if left is not None and len(found) >= left:
                yield found.first(left)
                return
            yield found
            left = None if left is None else left - len(found)

    def _lines(self) -> Iterator[Lines]:
        return split_lines(self._content(), self._cap)

    def _content(self) -> Iterator[bytes]:
        blocks = read_blocks(self.path, self._compression)
        yield next(blocks, b"").removeprefix(self.bom)
        yield from blocks


def _each(batches: Iterator[Lines]) -> Iterator[bytes]:
    for lines in batches:
        yield from map(lines.content, range(len(lines)))
