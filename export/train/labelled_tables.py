"""Texts and labels of files of any format that `tweetscore run` reads, and of frames."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from scorer.errors import DataError, TweetscoreError, UsageError
from scorer.formats.columnar import BatchSource, check_utf8, find_text, find_values, texts_of
from scorer.formats.open import open_source
from scorer.formats.registry import format_of
from scorer.formats.text.columns import ValuesOption
from scorer.hints import options as as_typed
from scorer.hints import path_word
from scorer.options import CsvOptions, InputSpec
from scorer.os_errors import reading
from scorer.store.refusal import too_many_rejects

if TYPE_CHECKING:
    from scorer.formats.base import Source

_OPTION: ValuesOption = "--label-column"
_AS_IT_IS = InputSpec()
_WINDOW = 1 << 16  # rows


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of texts and labels, the names of the classes, and how files are read."""

    text: str = "text"
    label: str = "label"
    names: tuple[str, ...] = ()  # in id order; empty = taken from the data
    files: InputSpec = _AS_IT_IS


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Texts and labels as they stand in one file, in a folder of them, or in a split."""

    name: str
    sha256: str  # of the file; of a folder, of its files' names and hashes; of a split, of its rows
    texts: pl.Series  # String, null where the cell is null
    cells: pl.Series  # of labels: String, likewise
    names_beside: pl.Series | None  # of a column LABEL_text, where there is one: String
    class_names: tuple[str, ...] = ()  # in id order, where the data set's schema says them
    parts: tuple[tuple[str, int], ...] = ()  # names of a folder's files, and their rows


def read_texts(path: Path, spec: InputSpec) -> pl.Series:
    """Return the texts of a file of any format that `tweetscore run` reads: String [rows]."""
    return _texts(_open(path, spec))


def from_files(
    files: Sequence[Path], name: str, columns: Columns, root: Path | None = None
) -> Table:
    """Return the rows of one file, or those of several below a folder, one after the other."""
    if root is None:
        return _from_file(files[0], name, columns)
    tables = [_from_file(file, str(file.relative_to(root)), columns) for file in files]
    names = {table.class_names for table in tables}
    beside = [table.names_beside for table in tables if table.names_beside is not None]
    digest = hashlib.sha256("".join(f"{t.sha256}  {t.name}\n" for t in tables).encode())
    return Table(
        name,
        digest.hexdigest(),
        pl.concat([table.texts for table in tables]),
        pl.concat([table.cells for table in tables]),
        pl.concat(beside) if len(beside) == len(tables) else None,
        names.pop() if len(names) == 1 else (),
        tuple((table.name, len(table.texts)) for table in tables),
    )


def _from_file(path: Path, name: str, columns: Columns) -> Table:
    spec = replace(columns.files, text_column=columns.text)
    if not _is_csv(path, spec):
        spec = replace(spec, csv=CsvOptions())  # --delimiter is of the CSV files among others
    source = _open(path, spec)
    cells = _joined(source.values(columns.label, _OPTION))
    beside = f"{columns.label}_text"
    texts = _texts(source)
    with reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Table(
        name,
        digest,
        texts,
        cells,
        _joined(source.values(beside, _OPTION)) if beside in source.columns else None,
        _class_names(source.schema.metadata, columns.label)
        if isinstance(source, BatchSource)
        else (),
    )


def _is_csv(path: Path, spec: InputSpec) -> bool:
    return not has_format(path) or format_of(path, spec.format).kind in {"csv", "tsv"}


def _texts(source: "Source") -> pl.Series:
    texts = []
    for window in source.windows(_WINDOW):
        if rejects := window.rejects:
            error = too_many_rejects(source, rejects, len(rejects), source.path)
            if error.options:
                raise error
            raise DataError(error.problem, "mend or remove what is no row")
        texts.append(window.texts)
    return _joined(texts)


def _open(path: Path, spec: InputSpec) -> "Source":
    """Open a file; the error about another format says how a training goes on, not a run."""
    try:
        return open_source(path, spec)
    except TweetscoreError as error:
        if error.step is not None:
            made = path.with_name(f"{path.name.partition('.')[0]}{Path(error.step.output).suffix}")
            whole = f" > {path_word(made)}" if error.step.joint == "|" else ""
            remedy = f"make another file of it first: {error.step.command}{whole}"
            raise type(error)(error.problem, remedy) from error
        if "tweetscore run" in error.remedy:
            remedy = f"add {as_typed(error.options)}"
            raise type(error)(error.problem, remedy, error.options) from error
        raise


def _joined(batches: Iterable[pl.Series]) -> pl.Series:
    parts = [pl.Series([], dtype=pl.String), *(batch.alias("") for batch in batches)]
    return pl.concat(parts, rechunk=True)


def _class_names(metadata: Mapping[bytes, bytes] | None, label: str) -> tuple[str, ...]:
    """Return the names of a column's classes, as `datasets` writes them into a file's schema."""
    try:
        described = json.loads((metadata or {})[b"huggingface"])
        feature = described["info"]["features"][label]
        names = feature["names"] if feature["_type"] == "ClassLabel" else ()
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def of_frame(
    frame: pl.DataFrame, name: str, columns: Columns, class_names: tuple[str, ...] = ()
) -> Table:
    """Return the texts and labels of a frame."""
    rows = frame.to_arrow()
    text = find_text(name, rows.schema, columns.text)
    label = find_values(name, rows.schema, columns.label, _OPTION)
    beside = f"{columns.label}_text"
    found: dict[str, pl.Series] = {}
    for column in (text, label):
        values = [column.of(batch) for batch in rows.to_batches()]
        offset = 0
        for batch in values:
            check_utf8(batch, column, name, offset, column.option)
            offset += len(batch)
        found[column.option] = _joined(map(texts_of, values))
    return Table(
        name,
        _digest_rows(frame),
        found["--text-column"],
        found[_OPTION],
        frame[beside].cast(pl.String) if beside in frame.columns else None,
        class_names,
    )


def _digest_rows(frame: pl.DataFrame) -> str:
    """Return a sha256 of the rows that does not depend on how they are stored."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.iter_rows():
        digest.update(json.dumps(row, default=str).encode())
    return digest.hexdigest()


def has_format(path: Path) -> bool:
    """Return whether a path's extension names a format."""
    try:
        format_of(path)
    except UsageError:
        return False
    return True
