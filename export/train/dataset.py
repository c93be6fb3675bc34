"""Reads labelled tweets from a CSV or Parquet file, or from a data set on the hub."""

import difflib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError, InputMissing
from scorer.hints import options as as_typed

_READERS: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    # All strings: an id such as 103459e206 is no number, whatever a reader may guess.
    ".csv": lambda path: pl.read_csv(path, infer_schema=False),
    ".tsv": lambda path: pl.read_csv(path, infer_schema=False, separator="\t"),
    ".parquet": pl.read_parquet,
}
# The names of the two columns in other data sets, the usual ones first.
_TEXT_SYNONYMS = ("text", "tweet", "content", "sentence", "message", "full_text", "body")
_LABEL_SYNONYMS = ("label", "sentiment", "airline_sentiment", "target", "class", "polarity")
_WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One split of a data set, or one file."""

    name: str
    sha256: str  # of the file; of a hub's split, of its rows
    frame: pl.DataFrame
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by column


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of texts and labels, and the names of the classes."""

    text: str = "text"
    label: str = "label"
    names: tuple[str, ...] = ()  # in id order; empty = taken from the data


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """Texts with the ids of their classes."""

    name: str
    sha256: str
    texts: pl.Series  # String, null where the cell is null
    label_ids: NDArray[np.int64]
    labels: tuple[str, ...]  # in id order

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> "LabelledTexts":
        """Return the given rows, in that order."""
        return replace(self, texts=self.texts[rows], label_ids=self.label_ids[rows])


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRows:
    """Labelled texts as a model reads them; none is blank."""

    input_ids: list[list[int]]
    label_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.input_ids)

    def __add__(self, other: "EncodedRows") -> "EncodedRows":
        ids = np.concatenate((self.label_ids, other.label_ids))
        return EncodedRows(self.input_ids + other.input_ids, ids)

    def take(self, rows: NDArray[np.int64]) -> "EncodedRows":
        """Return the given rows, in that order."""
        return EncodedRows([self.input_ids[i] for i in rows], self.label_ids[rows])


def read_table(source: str, split: str) -> Table:
    """Read a local file, or else one split of a data set on the hub.

    Raises:
        InputMissing: There is no such file, or the hub does not give it.
        DataError: The file cannot be read as what its name says.
    """
    if on_hub(source):
        return _from_hub(source, split)
    path = Path(source).expanduser()
    reader = _READERS.get(path.suffix.lower())
    if not path.is_file():
        raise InputMissing(
            f"there are no training data in {source}",
            "name a .csv, .tsv or .parquet file, or OWNER/NAME of a data set on the hub",
        )
    if reader is None:
        raise DataError(f"{path} is of no known format", "give a .csv, .tsv or .parquet file")
    try:
        frame = reader(path)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(f"{path} cannot be read ({reason})", "repair the file") from error
    with path.open("rb") as file:
        return Table(path.name, hashlib.file_digest(file, "sha256").hexdigest(), frame)


def on_hub(source: str) -> bool:
    """Return whether a source reads like OWNER/NAME and not like a file."""
    path = Path(source).expanduser()
    local = path.exists() or path.is_absolute() or source.startswith((".", "~"))
    return not local and path.suffix.lower() not in _READERS and source.count("/") == 1


def labelled(table: Table, columns: Columns) -> LabelledTexts:
    """Pick texts and labels out of a table.

    Labels are names or whole numbers. Names get their ids from ``columns.names``, and without
    them in alphabetical order. Numbers are ids into ``columns.names``; without them they are
    numbered in ascending order, and named by the hub's schema, by a column ``LABEL_text``
    beside them (as in mteb's data sets), or by themselves.

    Raises:
        DataError: A column is missing, texts are none, or a label is unknown or null.
    """
    column = _texts(table, columns)
    cells = _column(table, columns.label, "--label-column", _LABEL_SYNONYMS).cast(pl.String)
    cells = cells.str.strip_chars()
    missing = (cells.is_null() & column.is_not_null()).sum()
    if missing:
        raise DataError(
            f"{missing} texts of {table.name} have no label in {columns.label!r}",
            "label these rows or remove them",
        )
    ids_of, labels = _classes(table, columns, cells)
    # A null label stands beside a null text only, and such a row is dropped later.
    ids = cells.replace_strict(ids_of, default=None, return_dtype=pl.Int64).fill_null(0)
    return LabelledTexts(table.name, table.sha256, column, ids.to_numpy(), labels)


def stratified(
    label_ids: NDArray[np.int64], count: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows in two, each class in proportion: (the others, `count` rows), ascending."""
    from sklearn.model_selection import train_test_split

    try:
        others, held_out = train_test_split(
            np.arange(len(label_ids)), test_size=count, random_state=seed, stratify=label_ids
        )
    except ValueError as error:
        raise DataError(
            f"{count} of {len(label_ids)} rows cannot be held out with every class in both parts",
            "give more rows, or set --validation",
        ) from error
    return np.sort(others), np.sort(held_out)


def folds(label_ids: NDArray[np.int64], count: int, seed: int) -> list[NDArray[np.int64]]:
    """Place every row in one of `count` folds, each class in proportion."""
    from sklearn.model_selection import StratifiedKFold

    fewest = int(np.unique_counts(label_ids).counts.min())
    if fewest < count:
        raise DataError(
            f"a class with {fewest} rows cannot be spread over {count} folds",
            "give more rows, or set --distill-folds",
        )
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    return [held_out for _, held_out in splitter.split(label_ids, label_ids)]


def _texts(table: Table, columns: Columns) -> pl.Series:
    column = _column(table, columns.text, "--text-column", _TEXT_SYNONYMS)
    if column.dtype != pl.String:
        raise DataError(
            f"column {columns.text!r} of {table.name} holds {column.dtype}, not text",
            "name another with --text-column",
        )
    return column


def _column(table: Table, name: str, option: str, synonyms: Sequence[str]) -> pl.Series:
    if name in table.frame.columns:
        return table.frame[name]
    spelled_alike = difflib.get_close_matches(name, table.frame.columns, n=1)
    meant_alike = [column for column in synonyms if column in table.frame.columns]
    # `textID` is spelled like `text`, but `tweet` means it.
    likely = meant_alike + spelled_alike if name in synonyms else spelled_alike + meant_alike
    hint = f"did you mean {as_typed({option: likely[0]})}?" if likely else f"name one with {option}"
    raise DataError(
        f"{table.name} has no column {name!r}, only {', '.join(table.frame.columns)}", hint
    )


def _classes(
    table: Table, columns: Columns, cells: pl.Series
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the id of every label that occurs, and the names in id order."""
    values = cells.drop_nulls().unique().to_list()
    if not set(values) <= set(columns.names) and all(
        _WHOLE_NUMBER.fullmatch(value) for value in values
    ):
        return _numbered_classes(table, columns, values)
    names = columns.names or tuple(sorted(values))
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise _unknown(table, columns, unknown, f"--label-names has {', '.join(names)}")
    return {name: i for i, name in enumerate(names)}, names


def _numbered_classes(
    table: Table, columns: Columns, values: Sequence[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    numbers = {value: int(float(value)) for value in values}
    names = columns.names or table.class_names.get(columns.label, ())
    if names:
        unknown = sorted(value for value, i in numbers.items() if not 0 <= i < len(names))
        if unknown:
            raise _unknown(
                table, columns, unknown, f"{', '.join(names)} are numbered 0 to {len(names) - 1}"
            )
        return numbers, names
    ascending = sorted(set(numbers.values()))
    ids = {value: ascending.index(number) for value, number in numbers.items()}
    return ids, _names_beside(table, columns, ascending)


def _names_beside(table: Table, columns: Columns, ascending: Sequence[int]) -> tuple[str, ...]:
    """Return the names that a column ``LABEL_text`` gives to numbers, or the numbers."""
    own = tuple(str(number) for number in ascending)
    beside = f"{columns.label}_text"
    if beside not in table.frame.columns:
        return own
    pairs = table.frame.select(
        pl.col(columns.label).cast(pl.Float64).cast(pl.Int64).alias("id"),
        pl.col(beside).cast(pl.String).alias("name"),
    )
    pairs = pairs.drop_nulls().unique().sort("id")
    one_to_one = pairs["id"].to_list() == list(ascending) and pairs["name"].is_unique().all()
    return tuple(pairs["name"]) if one_to_one else own


def _unknown(table: Table, columns: Columns, unknown: Sequence[str], known: str) -> DataError:
    shown = ", ".join(repr(value) for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    return DataError(
        f"column {columns.label!r} of {table.name} has unknown labels: {shown} ({known})",
        "name every class with --label-names, or correct the data",
    )


def _from_hub(name: str, split: str) -> Table:
    """Load a split through `datasets`, which runs no code that comes with the data."""
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        data = datasets.load_dataset(name, split=split)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputMissing(
            f"data set {name} ({split}) cannot be fetched from the hub "
            f"({type(error).__name__}: {reason})",
            "check the name and the network, or name a local .csv or .parquet file",
        ) from error
    frame = data.to_polars()
    classes = {
        column: tuple(feature.names)
        for column, feature in data.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return Table(f"{name}:{split}", _digest_rows(frame), frame, classes)


def _digest_rows(frame: pl.DataFrame) -> str:
    """Return a sha256 of the rows that does not depend on how they are stored."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.iter_rows():
        digest.update(json.dumps(row, default=str).encode())
    return digest.hexdigest()
