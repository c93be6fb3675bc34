"""Finds labelled texts: a file, a folder of files, a saved data set, a data set on the hub."""

import re
from pathlib import Path

from export.train.data_sets import from_hub, from_saved, is_saved, saved_splits
from export.train.labelled_tables import Columns, Table, from_files, has_format
from scorer.errors import InputMissing
from scorer.store.inputs import find_inputs

# What data sets call their parts, as the library `datasets` knows them.
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("validation", "valid", "dev", "val"), "validation"),
}
_WORD = re.compile(r"[a-z]+")
_OF_DATASETS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


def read_table(source: str, split: str, columns: Columns) -> Table:
    """Read a file, the files of a folder or one split of a data set.

    Args:
        source: A path, or OWNER/NAME on the hub.
        split: `train` or `test`; a folder or a data set without such parts is read as a whole.
        columns: Those that are read, and how.

    Raises:
        InputMissing: There is no such file, or the hub does not give it.
        DataError: It cannot be read as what its name says, or lacks a column.
        UsageError: Its extension is of no format.
    """
    if on_hub(source):
        return from_hub(source, split, columns)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_directory(path, split, columns)
    if not path.exists():
        raise InputMissing(
            f"there are no training data in {source}",
            "name a file such as a .csv or .parquet one, a folder, or OWNER/NAME of a data set "
            "on the hub",
        )
    return from_files([path], path.name, columns)


def on_hub(source: str) -> bool:
    """Return whether a source reads like OWNER/NAME and not like a file."""
    path = Path(source).expanduser()
    local = path.exists() or path.is_absolute() or source.startswith((".", "~"))
    return not local and source.count("/") == 1 and not has_format(path)


def has_test_rows(source: str) -> bool:
    """Return whether a source of training rows has test rows beside them."""
    path = Path(source).expanduser()
    if not path.is_dir():
        return on_hub(source)
    if is_saved(path):
        return "test" in saved_splits(path)
    parts = {_split_of(file, path) for file in _files_in(path)}
    return {"train", "test"} <= parts


def _from_directory(path: Path, split: str, columns: Columns) -> Table:
    if is_saved(path):
        return from_saved(path, split, columns)
    files = _files_in(path)
    by_split: dict[str, list[Path]] = {}
    for file in files:
        by_split.setdefault(_split_of(file, path), []).append(file)
    chosen = by_split.get(split) or by_split.get("")
    if chosen is None:
        raise InputMissing(
            f"{path} has files of {', '.join(sorted(by_split))} alone, none of {split}",
            "name the files' own folder",
        )
    return from_files(chosen, path.absolute().name, columns, root=path)


def _files_in(path: Path) -> list[Path]:
    """Return the files that `tweetscore run` would score, without descriptions of data sets."""
    found = find_inputs((path,))
    for _, error in found.unreadable:
        raise error
    return [file for file in found.files if file.name not in _OF_DATASETS]


def _split_of(file: Path, root: Path) -> str:
    """Return the part of a data set that a path below a folder names; '' where it names none."""
    words = _WORD.findall(str(file.relative_to(root)).lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")
