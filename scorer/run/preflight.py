"""The checks before the model works: place of the output, input, output schema, result key.

The kernel's attributes of a file and of its directory (append-only, immutable, a mount point) are
read first, so that a run does not fail after hours of work.
"""

import ctypes
import os
import stat
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer import hints
from scorer.errors import OutputRefused, UsageError
from scorer.formats.base import Source
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.inference.labels import renamed
from scorer.monitor.report_types import CompleteReport, decoded
from scorer.monitor.run_report import describe_input
from scorer.options import LABEL_COLUMN, LABELS_COLUMN, OutputSpec, RunOptions
from scorer.os_errors import exists, reading, writing
from scorer.run import cache_keys
from scorer.store.commit import Inodes, inodes, report_on
from scorer.store.directories import partition_keys
from scorer.store.own_directory import check_own_directory
from scorer.store.paths import (
    EarlierPlaces,
    own_directory,
    rejects_path,
    report_path,
    resolved,
    state_directory,
)

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle


_AT_FDCWD, _NOFOLLOW, _BASIC = -100, 0x100, 0x7FF
_STATX_SIZE, _ATTRIBUTES = 256, slice(8, 16)  # bytes of struct statx, and where its attributes are
_IMMUTABLE, _APPEND, _MOUNT_ROOT = 0x10, 0x20, 0x2000


def check_place(output: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check that a file can be written there; its owner is checked under the lock.

    Raises:
        UsageError: it is one of the inputs, by path, symbolic link or hard link.
        OutputRefused: its directory is missing or closed to us, it is no regular file, or it
            cannot be replaced.
    """
    for identity in inodes([output]):
        if path := inputs.get(identity):
            raise UsageError(f"{output} is the input {path} itself", "choose another output")
    with writing(output):
        _check_directory(output.parent)
        if output.exists() and not output.is_file():
            raise OutputRefused(f"{output} is not a regular file", "choose another output")
        _check_replaceable(output)


def check_output(output: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check as `check_place`, the names beside it too: after the commit it would be too late."""
    check_place(output, inputs)
    check_own_directory(output)
    with writing(output):
        _check_attributes(own_directory(output))
        places = (report_path(output), rejects_path(output), state_directory(output))
        for path in (*places, *EarlierPlaces.of(output)):
            _check_replaceable(path)


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        remedy = f"create it: mkdir -p {hints.path_word(directory)}"
        raise OutputRefused(f"the directory {directory} does not exist", remedy)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise OutputRefused(
            f"the directory {directory} cannot be written to", "check its permissions"
        )
    if _attributes(directory) & (_IMMUTABLE | _APPEND):
        raise OutputRefused(
            f"nothing in the directory {directory} can be replaced (chattr)",
            f"sudo chattr -i -a -- {hints.word(str(directory))}",
        )


def _make_directory(directory: Path, *, dry_run: bool) -> None:
    """Make a directory and those above it; OutputRefused where they cannot be made."""
    missing = directory
    while not exists(missing.parent):
        missing = missing.parent
    if not os.access(missing.parent, os.W_OK | os.X_OK):
        raise OutputRefused(
            f"the directory {missing} cannot be made: {missing.parent} is closed to this user",
            "name another place with -o",
        )
    if not dry_run:
        directory.mkdir(parents=True, exist_ok=True)


def _check_replaceable(path: Path) -> None:
    """Raise OutputRefused where a rename could not give this name to another file."""
    if not os.path.lexists(path):
        return
    _check_attributes(path)
    if _is_of_another(path):
        raise OutputRefused(
            f"{path} belongs to another user (uid {path.lstat().st_uid}), "
            f"and in {path.parent} only its owner may replace it",
            "choose another output",
        )


def _check_attributes(path: Path) -> None:
    attributes = _attributes(path)
    if attributes & _MOUNT_ROOT:
        raise OutputRefused(
            f"{path} is a mount point, which cannot be replaced",
            "mount the directory that it is in, or choose another output",
        )
    if attributes & (_IMMUTABLE | _APPEND):
        raise OutputRefused(
            f"{path} cannot be replaced (chattr)", f"sudo chattr -i -a -- {hints.word(str(path))}"
        )


def _is_of_another(path: Path) -> bool:
    """Tell whether a directory such as /tmp keeps a file from being replaced by us."""
    directory = path.parent.stat()
    if not directory.st_mode & stat.S_ISVTX:
        return False
    if os.geteuid() in {directory.st_uid, path.lstat().st_uid}:
        return False
    try:  # which only an owner may, and whoever may act as one
        os.close(os.open(path.parent, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC))
    except PermissionError:
        return True
    return False


def _attributes(path: Path) -> int:
    """Return the attributes of a file by Linux's statx; 0 where there is no statx."""
    statx = _statx()
    found = ctypes.create_string_buffer(_STATX_SIZE)
    if statx is None or statx(_AT_FDCWD, os.fsencode(path), _NOFOLLOW, _BASIC, found):
        return 0
    return int.from_bytes(found.raw[_ATTRIBUTES], "little")


@cache
def _statx() -> Callable[..., Any] | None:
    """Return the C library's function, or None; Python 3.11 has none of its own."""
    return getattr(ctypes.CDLL(None), "statx", None)


@dataclass(frozen=True, slots=True, eq=False)
class Preflight:
    """An input that is in order, and what its output is to be."""

    source: Source
    target: Path  # the output; where that is a link, what it points to
    output_schema: OutputColumns
    described: Mapping[str, Any]  # what identifies the input, for the report
    key: dict[str, Any]  # what decides the output's rows: the result key
    current: CompleteReport | None  # the report of an output that is up to date


def preflight(source: Source, output: Path, options: RunOptions, bundle: "Bundle") -> Preflight:
    """Check what `validate` opened, its output and the model against each other.

    Raises:
        UsageError: The input's format cannot hold the output's columns.
        InputMissing: The input is gone.
    """
    schema = resolve_schema(source, options, bundle)
    described = describe(source, options)
    key = cache_keys.result_key(described, bundle, options)
    target = resolved(output)
    current = decoded(report_on(target)) if options.incremental else None
    if current and not cache_keys.is_up_to_date(current, cache_keys.digest(key), options):
        current = None
    return Preflight(source, target, schema, described, key, current)


def validate(
    path: Path, output: Path, options: RunOptions, inputs: Inodes, *, dry_run: bool = False
) -> Source:
    """Open an input, and check all that can be checked without a model and a lock.

    None of the run's inputs may become an output. A dry run makes no directory.

    Raises:
        UsageError: The call does not fit the input, or a column of a given name is there already.
        InputMissing, DataError: The input cannot be read.
        OutputRefused: No output can be written there.
    """
    source = open_input(path, options)  # first: it may not be there
    target = resolved(output)
    # In a directory of outputs, which is made if need be.
    is_one_of_many = output != options.output and output.parent != path.parent
    if is_one_of_many and not target.parent.is_dir():
        _make_directory(target.parent, dry_run=dry_run)
    if not is_one_of_many or exists(target.parent):
        check_output(target, ChainMap(inodes([path]), inputs))
    _check_given_names(source, options.output_spec)
    return source


def open_input(path: Path, options: RunOptions) -> Source:
    """Open an input as the options have it; raises what `open_source` and `values` raise."""
    source = open_source(path, options.input_spec)
    if options.id_column is not None:
        source.values(options.id_column)  # looks for the column at once
    return source


def resolve_schema(source: Source, options: RunOptions, bundle: "Bundle") -> OutputColumns:
    """Return the columns to append.

    Raises:
        UsageError: A column of such a name is there already, the input's format cannot hold the
            columns, or an option is for models that answer otherwise.
    """
    schema = output_columns(options.output_spec, bundle)
    check_names(source, schema)
    source.check_output_schema(schema)
    return schema


def check_names(source: Source, schema: OutputColumns) -> None:
    """Raise UsageError where a column of such a name is there already."""
    path = source.path
    try:
        schema.check_against((*source.columns, *partition_keys(path)))
    except UsageError as error:
        problem = f"{path}: {error.problem}"
        raise UsageError(problem, error.remedy, error.options) from error


def _check_given_names(source: Source, spec: OutputSpec) -> None:
    given = _given_names(spec)
    try:
        check_names(source, given)
    except UsageError as error:
        # The command that is pasted leads on whatever the model answers, a label too.
        columns = (*source.columns, *partition_keys(source.path))
        free = replace(given, label_column=spec.label_column).free(columns)
        raise UsageError(error.problem, error.remedy, free) from error


def _given_names(spec: OutputSpec) -> OutputColumns:
    """Return the columns that are known before the model is: a score, and what is named.

    Only the model tells whether there will be a column by a name that was not given.
    """
    label = spec.label_column if spec.label_column != LABEL_COLUMN else None
    labels = spec.labels_column if spec.labels_column != LABELS_COLUMN else None
    return OutputColumns(label, spec.score_column, (), labels_column=labels)


def output_columns(spec: OutputSpec, bundle: "Bundle") -> OutputColumns:
    """Return the columns to append.

    Raises:
        UsageError: An option is for models that answer otherwise, or the label names do not fit.
    """
    task, usual = bundle.task, OutputSpec()
    if task != "multi_label" and spec.threshold != usual.threshold:
        raise _other_task("--threshold", "several labels", bundle)
    if task == "regression" and spec.label_names is not None:
        raise _other_task("--label-names", "labels", bundle)
    names = renamed(bundle.labels, spec.label_names)
    return OutputColumns.of(spec, bundle.labels, names, task)


def _other_task(option: str, answers: str, bundle: "Bundle") -> UsageError:
    found = "a number" if bundle.task == "regression" else "one label"
    return UsageError(
        f"{option} is for models that give a text {answers}, and {bundle.name} gives {found}",
        f"leave {option} out",
    )


def describe(source: Source, options: RunOptions) -> dict[str, Any]:
    """Return what identifies an input; what came from a stream has that one's name."""
    with reading(source.path):
        found = describe_input(source.path, format=source.format, **source.found)
    return found | {"path": options.names.get(source.path, found["path"])}
