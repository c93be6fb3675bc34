"""Labels: scores of logits, the most probable class, and the names of labels in answers.

The names are the model's, a language's, or the user's: the one vocabulary for `Scorer(labels=...)`,
`predict_sentiment`, the engines, `--label-names` and `label-names` in `tweetscore.toml`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from scorer.errors import UsageError, is_unicode, shown
from scorer.hints import counted

if TYPE_CHECKING:  # the command line knows the languages, and loads no numpy for its help
    import numpy as np
    from numpy.typing import NDArray

    from scorer.records import Activation

#: For models whose labels are negative, neutral and positive, in whichever order.
LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": {"negative": "Negative", "neutral": "Neutral", "positive": "Positive"},
    "es": {"negative": "Negativo", "neutral": "Neutro", "positive": "Positivo"},
}


def renamed(labels: Sequence[str], names: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names that stand for a model's labels, in the same order.

    Args:
        labels: The model's own names.
        names: As many others; or a language, alone or as the only name; None: the model's own.

    Raises:
        UsageError: There are more or fewer names than labels, one of them is no text that a file
            can hold, or the language has no names for these labels.
    """
    if names is None:
        return tuple(labels)
    given = [names] if isinstance(names, str) else _listed(names)
    if len(given) == 1 and given[0] in LANGUAGES:
        return _in_language(given[0], labels)
    if len(given) != len(labels):
        raise _other_number(labels, given)
    return tuple(given)


def _listed(names: Iterable[object]) -> list[str]:
    if isinstance(names, (bytes, Mapping, set, frozenset)) or not isinstance(names, Iterable):
        raise UsageError(
            f"the label names are {shown(names)}", f"give a list of names, or one of {_languages()}"
        )
    given = list(names)
    for number, name in enumerate(given):
        if not isinstance(name, str) or not name.strip():
            raise UsageError(
                f"label name {number + 1} is {shown(name)}", "give each label a name of letters"
            )
        if not is_unicode(name):
            raise UsageError(
                f"label name {number + 1}, {name!a}, is not valid Unicode", "choose another"
            )
    return [str(name) for name in given]


def _in_language(language: str, labels: Sequence[str]) -> tuple[str, ...]:
    words = LANGUAGES[language]
    if set(labels) != set(words):
        raise UsageError(
            f"label names in {language!r} are for {', '.join(words)}, "
            f"and this model's labels are {', '.join(labels)}",
            f"give {len(labels)} names, one each for {', '.join(labels)}",
        )
    return tuple(words[label] for label in labels)


def _other_number(labels: Sequence[str], given: Sequence[str]) -> UsageError:
    wanted = f"one each for {', '.join(labels)}"
    if len(given) != 1:
        return UsageError(
            f"{counted(len(given), 'label name')} for {counted(len(labels), 'label')}",
            f"give {wanted}",
        )
    return UsageError(
        f"{given[0]!r} is neither a language of label names nor a name for each of "
        f"{len(labels)} labels",
        f"take one of {_languages()}, or give {len(labels)} names, {wanted}",
    )


def _languages() -> str:
    return ", ".join(LANGUAGES)


def scores(
    logits: "NDArray[np.floating]", activation: "Activation" = "softmax", temperature: float = 1.0
) -> "NDArray[np.float32]":
    """Return activation(logits / temperature), [rows, classes]; NaN where a logit is NaN.

    Computed in float64, each row by itself, so that the result is the float32 nearest to the
    true value whatever the other rows are.
    """
    if activation == "softmax":
        return probabilities(logits, temperature)
    scaled = logits.astype("float64") / temperature
    return (_sigmoid(scaled) if activation == "sigmoid" else scaled).astype("float32")


def _sigmoid(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    small = np.exp(-np.abs(values))  # never overflows
    result: NDArray[np.float64] = np.where(values < 0, small, 1.0) / (1.0 + small)
    return result


def probabilities(
    logits: "NDArray[np.floating]", temperature: float = 1.0
) -> "NDArray[np.float32]":
    """Return softmax(logits / temperature) per row, [rows, classes].

    Computed in float64, each row by itself, so that the result is the float32 nearest to the
    true value whatever the other rows are.
    """
    import numpy as np

    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result.astype(np.float32)


def label_ids(probabilities: "NDArray[np.float32]") -> "NDArray[np.int16]":
    """Return the most probable class per row; a tie goes to the lowest id.

    Decided on the probabilities as they are written, so that a reader of the score columns
    comes to the same label.
    """
    best: NDArray[np.intp] = probabilities.argmax(axis=1)
    return best.astype("int16")
