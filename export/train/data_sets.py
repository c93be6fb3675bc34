"""Data sets that the library `datasets` reads: on the hub, and as it saved them to disk."""

import json
import sys
from pathlib import Path
from typing import Any

from export.train.labelled_tables import Columns, Table, of_frame
from scorer.errors import DataError, InputMissing

_SAVED, _SAVED_SPLITS = "state.json", "dataset_dict.json"


def is_saved(path: Path) -> bool:
    """Return whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote a directory."""
    return (path / _SAVED).is_file() or (path / _SAVED_SPLITS).is_file()


def saved_splits(path: Path) -> list[str]:
    """Return the splits of a saved data set; of one without splits, none."""
    if not (path / _SAVED_SPLITS).is_file():
        return []
    try:
        return list(json.loads((path / _SAVED_SPLITS).read_text(encoding="utf-8"))["splits"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path / _SAVED_SPLITS} names no splits", "save the data set again"
        ) from error


def from_saved(path: Path, split: str, columns: Columns) -> Table:
    """Read a saved data set: one split of it, where it has some."""
    import datasets

    name, directory = path.absolute().name, path
    if splits := saved_splits(path):
        if split not in splits:
            raise InputMissing(
                f"{path} has the splits {', '.join(splits)}, not {split}",
                "name the directory of one of them",
            )
        name, directory = f"{name}:{split}", path / split
    try:
        data = datasets.Dataset.load_from_disk(str(directory))
    except Exception as error:  # whatever the library meets in damaged files
        raise DataError(
            f"{directory} cannot be read ({_first_line(error)})", "save the data set again"
        ) from error
    return _from_dataset(data, name, columns)


def from_hub(name: str, split: str, columns: Columns) -> Table:
    """Load a split through `datasets`, which runs no code that comes with the data."""
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        data = datasets.load_dataset(name, split=split)
    except (OSError, ValueError) as error:
        raise InputMissing(
            f"data set {name} ({split}) cannot be fetched from the hub "
            f"({type(error).__name__}: {_first_line(error)})",
            "check the name and the network, or name a local .csv or .parquet file",
        ) from error
    return _from_dataset(data, f"{name}:{split}", columns)


def _from_dataset(data: Any, name: str, columns: Columns) -> Table:
    import datasets

    feature = data.features.get(columns.label)
    names = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else ()
    return of_frame(data.to_polars(), name, columns, names)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
