"""Texts with the ids of their classes, out of a table, and which of them are held out."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from export.train import TrainingConfig
from export.train.labelled_tables import Columns, Table
from scorer.errors import DataError
from scorer.hints import counted

_WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
_SHOWN = 5  # rows or labels in a message
_FEW = 20  # classes that a small file may well have in rows of their own


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """Texts with the ids of their classes."""

    name: str
    sha256: str
    texts: pl.Series  # String, null where the cell is null
    label_ids: NDArray[np.int64]
    labels: tuple[str, ...]  # in id order
    numbers: NDArray[np.int64]  # of the rows in their table
    parts: tuple[tuple[str, int], ...]  # of the table

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> "LabelledTexts":
        """Return the given rows, in that order."""
        return replace(
            self,
            texts=self.texts[rows],
            label_ids=self.label_ids[rows],
            numbers=self.numbers[rows],
        )

    def place(self, row: int) -> str:
        """Return where a row stands in its table, for messages."""
        return _place(int(self.numbers[row]), self.parts)

    def of_class(self, label_id: int) -> str:
        """Return where the rows of a class stand, for messages."""
        return _places(self.numbers[self.label_ids == label_id], self.parts)


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


def labelled(table: Table, columns: Columns) -> LabelledTexts:
    """Pick texts and labels out of a table.

    Labels are names or whole numbers. Names get their ids from ``columns.names``, and without
    them in alphabetical order. Numbers are ids into ``columns.names``; without them they are
    numbered in ascending order, and named by the hub's schema, by a column ``LABEL_text``
    beside them (as in mteb's data sets), or by themselves.

    Raises:
        DataError: A column is missing, texts are none, or a label is unknown or null.
    """
    cells = table.cells.str.strip_chars()
    cells = cells.set(cells.is_in(["", "NaN"]), None)  # as pandas writes what is missing
    missing = np.flatnonzero(cells.is_null() & table.texts.is_not_null())
    if len(missing):
        raise DataError(
            f"{counted(len(missing), 'text')} of {table.name} {_have(missing)} no label in "
            f"{columns.label!r} ({_places(missing, table.parts)})",
            "label these rows or remove them",
        )
    ids_of, labels = _classes(table, columns, cells)
    # A null label stands beside a null text only, and such a row is dropped later.
    ids = cells.replace_strict(ids_of, default=None, return_dtype=pl.Int64).fill_null(0)
    return LabelledTexts(
        table.name,
        table.sha256,
        table.texts,
        ids.to_numpy(),
        labels,
        np.arange(len(cells)),
        table.parts,
    )


def _have(rows: NDArray[np.int64]) -> str:
    return "has" if len(rows) == 1 else "have"


def _place(number: int, parts: Sequence[tuple[str, int]]) -> str:
    """Return a row's number, from 1, in the file that it stands in."""
    for name, rows in parts:
        if number < rows:
            return f"row {number + 1:,} of {name}"
        number -= rows
    return f"row {number + 1:,}"


def _places(numbers: NDArray[np.int64], parts: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(_place(int(number), parts) for number in numbers[:_SHOWN])
    more = len(numbers) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


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
        share = _share_that_can_be_held_out(label_ids)
        raise DataError(
            f"{count} of {len(label_ids)} rows cannot be held out with every class in both parts",
            f"give more rows, or --validation {share:g}",
            {"--validation": f"{share:g}"},
        ) from error
    return np.sort(others), np.sort(held_out)


def _share_that_can_be_held_out(label_ids: NDArray[np.int64]) -> float:
    """Return the smallest share, in hundredths, with a row for each class; 0 where none is."""
    classes, rows = len(np.unique(label_ids)), len(label_ids)
    share = math.ceil(100 * classes / rows) / 100
    return share if rows - round(share * rows) >= classes else 0.0


Rows = TypeVar("Rows", LabelledTexts, EncodedRows)


def held_out_from(rows: Rows, spare: Rows | None, config: TrainingConfig) -> tuple[Rows, int]:
    """Return the rows of which some are held out for the temperature, and how many.

    Args:
        rows: Those to learn.
        spare: Those that the recipe leaves over; used if they are enough.
        config: The training configuration.
    """
    count = round(len(rows) * config.validation)
    return (spare if spare is not None and len(spare) > count else rows), count


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


def _classes(
    table: Table, columns: Columns, cells: pl.Series
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the id of every label that occurs, and the names in id order."""
    values = cells.drop_nulls().unique().to_list()
    if not set(values) <= set(columns.names) and all(
        _WHOLE_NUMBER.fullmatch(value) for value in values
    ):
        return _numbered_classes(table, columns, values, cells)
    if not columns.names:
        _require_few(table, columns, values, cells)
    names = columns.names or tuple(sorted(values))
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise _unknown(table, columns, unknown, f"--label-names has {', '.join(names)}")
    return {name: i for i, name in enumerate(names)}, names


def _numbered_classes(
    table: Table, columns: Columns, values: Sequence[str], cells: pl.Series
) -> tuple[dict[str, int], tuple[str, ...]]:
    numbers = {value: int(float(value)) for value in values}
    names = columns.names or table.class_names
    if names:
        unknown = sorted(value for value, i in numbers.items() if not 0 <= i < len(names))
        if unknown:
            raise _unknown(
                table, columns, unknown, f"{', '.join(names)} are numbered 0 to {len(names) - 1}"
            )
        return numbers, names
    _require_few(table, columns, values, cells)
    ascending = sorted(set(numbers.values()))
    ids = {value: ascending.index(number) for value, number in numbers.items()}
    return ids, _names_beside(table, columns, ascending)


def _names_beside(table: Table, columns: Columns, ascending: Sequence[int]) -> tuple[str, ...]:
    """Return the names that a column ``LABEL_text`` gives to numbers, or the numbers."""
    own = tuple(str(number) for number in ascending)
    if table.names_beside is None:
        return own
    ids = table.cells.str.strip_chars().cast(pl.Float64, strict=False).cast(pl.Int64)
    pairs = pl.DataFrame({"id": ids, "name": table.names_beside})
    pairs = pairs.drop_nulls().unique().sort("id")
    one_to_one = pairs["id"].to_list() == list(ascending) and pairs["name"].is_unique().all()
    return tuple(pairs["name"]) if one_to_one else own


def _require_few(table: Table, columns: Columns, values: Sequence[str], cells: pl.Series) -> None:
    """Refuse labels that are measurements, or another column: they are no classes."""
    rows = len(cells) - cells.null_count()
    where = f"column {columns.label!r} of {table.name}"
    fraction = next((value for value in values if _is_fraction(value)), None)
    if fraction is not None and all(_is_number(value) for value in values):
        row = _place(int((cells == fraction).arg_max() or 0), table.parts)
        raise DataError(
            f"{where} holds continuous numbers such as {fraction} ({row}), not classes",
            "round them to a few classes, or name another column with --label-column",
        )
    if len(values) > max(_FEW, rows / 2):
        raise DataError(
            f"{where} has {len(values):,} different labels in {counted(rows, 'row')}, "
            "so they are not classes",
            "name another column with --label-column",
        )


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _is_fraction(value: str) -> bool:
    return _is_number(value) and not float(value).is_integer()


def _unknown(table: Table, columns: Columns, unknown: Sequence[str], known: str) -> DataError:
    shown = ", ".join(repr(value) for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    return DataError(
        f"column {columns.label!r} of {table.name} has unknown labels: {shown} ({known})",
        "name every class with --label-names, or correct the data",
    )
