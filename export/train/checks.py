"""What is odd about the data of a training: refused where it must fail, else warned of."""

import difflib
from collections.abc import Iterator

import numpy as np

from export.train import TrainingConfig
from export.train.dataset import EncodedRows, LabelledTexts, held_out_from
from scorer.errors import DataError
from scorer.hints import counted

_RARE = 10  # rows of a class, below which a model hardly learns it
_SHOWN = 3  # examples in a warning


def require_classes(
    rows: LabelledTexts, spare: LabelledTexts | None, config: TrainingConfig
) -> None:
    """Raise DataError where the classes cannot be learnt and held out; it names the class.

    Args:
        rows: Those to learn, all of them with text.
        spare: Those that the recipe leaves over.
        config: The training configuration.
    """
    counts = _counts(rows)
    present = [label for label, count in counts.items() if count]
    if len(present) < 2:
        raise DataError(
            f"{rows.name} has fewer than two classes with text ({', '.join(present) or 'none'})",
            "give rows of every class",
        )
    pool, held_out = held_out_from(rows, spare, config)
    folds = config.distill_folds
    for label, count in _counts(pool).items():
        if config.validation > 0 and count == 1:
            raise _too_rare(
                pool,
                label,
                f"so that {counted(held_out, 'row')} cannot be held out with every class in both "
                "parts",
                {"--validation": "0"},
            )
    for label, count in counts.items():
        if 0 < count < folds:
            raise _too_rare(
                rows, label, f"not one for each of {folds} folds", {"--distill-folds": "0"}
            )


def warnings_about(rows: LabelledTexts) -> Iterator[str]:
    """Yield a warning for each class that is rare or may be another one, differently spelled."""
    for label, count in _counts(rows).items():
        if 0 < count < _RARE:
            places = rows.of_class(rows.labels.index(label))
            yield f"class {label!r} of {rows.name} has {counted(count, 'row')} alone ({places})"
    for first, second in _spelled_alike(rows.labels):
        yield f"{first!r} and {second!r} of {rows.name} are two classes that differ in spelling"


def shared_rows(
    train: LabelledTexts, train_rows: EncodedRows, test: LabelledTexts, test_rows: EncodedRows
) -> str | None:
    """Return a warning where texts of the test rows are training rows too, by their tokens."""
    learnt = {tuple(ids): row for row, ids in reversed([*enumerate(train_rows.input_ids)])}
    found = [
        (row, learnt[key])
        for row, ids in enumerate(test_rows.input_ids)
        if (key := tuple(ids)) in learnt
    ]
    if not found:
        return None
    examples = "; ".join(
        f"{test.place(row)} of {test.name} is {train.place(twin)}" for row, twin in found[:_SHOWN]
    )
    are = "is a training row" if len(found) == 1 else "are training rows"
    return (
        f"{counted(len(found), 'test row')} of {len(test_rows):,} {are} too, so the evaluation is "
        f"too good: {examples}"
    )


def _counts(rows: LabelledTexts) -> dict[str, int]:
    found = np.bincount(rows.label_ids, minlength=len(rows.labels))
    return dict(zip(rows.labels, map(int, found), strict=True))


def _too_rare(
    rows: LabelledTexts, label: str, problem: str, options: dict[str, str | None]
) -> DataError:
    """Return the error about a class with too few rows; it may be another one, misspelled."""
    label_id = rows.labels.index(label)
    count = int((rows.label_ids == label_id).sum())
    others = [other for other in rows.labels if other != label]
    alike = {other.casefold(): other for other in others}
    close = difflib.get_close_matches(label.casefold(), alike, n=1, cutoff=0.8)
    ((option, value),) = options.items()
    remedy = f"give more of them, or {option} {value}"
    if close:
        remedy = f"if {alike[close[0]]!r} is meant, correct the data; else {remedy}"
    return DataError(
        f"class {label!r} of {rows.name} has {counted(count, 'row')} alone "
        f"({rows.of_class(label_id)}), {problem}",
        remedy,
    )


def _spelled_alike(labels: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for label in labels:
        key = "".join(filter(str.isalnum, label.casefold())) or label
        if key in seen:
            yield seen[key], label
        seen.setdefault(key, label)
