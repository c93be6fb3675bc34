"""What a bundle says of the rows that its drift is measured against."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.untrusted import is_whole
from scorer.records import Baseline

_MOST = 2**53  # rows; beyond it a count is no exact number in JSON
_MOST_BINS = 1_000


def baseline_of(bundle: Bundle, *, required: bool = False) -> Baseline | None:
    """Return a bundle's baseline; None where it has none that rows can be compared with.

    A checkpoint that was trained elsewhere comes without one, and is a good model all the same.

    Raises:
        InvalidBundle: It has none, and one is required.
    """
    found = bundle.metadata.get("baseline")
    with suppress(_Unusable):
        if isinstance(found, dict):
            return _Fields(found, bundle).baseline()
    if required:
        raise InvalidBundle(
            f"drift cannot be measured: the model {bundle.name} has no baseline",
            "leave out --fail-on-drift, or train it with `tweetscore model train`",
        )
    return None


class _Unusable(Exception):
    """A field is missing, or is not what the export writes there."""


class _Fields:
    """A baseline's fields while they are being checked: a bundle may come from anywhere."""

    def __init__(self, fields: dict[str, Any], bundle: Bundle) -> None:
        self._fields = fields
        self._bundle = bundle

    def baseline(self) -> Baseline:
        rows: Any = self._fields.get("rows")
        share: Any = self._fields.get("unknown_token_share")
        _require(is_whole(rows, 1, _MOST) and _is_share(share))
        edges, scores = self._scores()
        return Baseline(rows, self._labels(rows), edges, scores, self._lengths(), share)

    def _labels(self, rows: int) -> NDArray[np.int64]:
        shares = self._object("label_shares")
        _require(shares.keys() == set(self._bundle.labels) and all(map(_is_share, shares.values())))
        _require(abs(sum(shares.values()) - 1) < 1e-3)
        return np.array([round(rows * shares[label]) for label in self._bundle.labels], np.int64)

    def _scores(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        histogram = self._object("score_histogram")
        edges, counts = histogram.get("edges"), histogram.get("counts")
        if not isinstance(edges, list) or not isinstance(counts, list):
            raise _Unusable
        _require(len(edges) == len(counts) + 1 <= _MOST_BINS and all(map(_is_share, edges)))
        _require(edges[0] == 0 and edges[-1] == 1 and edges == sorted(set(edges)))
        return np.array(edges, np.float64), _counts(counts)

    def _lengths(self) -> NDArray[np.int64]:
        histogram = self._object("length_histogram")
        lengths = [str(length) for length in range(self._bundle.max_length + 1)]
        _require(histogram.keys() <= set(lengths))
        return _counts([histogram.get(length, 0) for length in lengths])

    def _object(self, name: str) -> dict[str, Any]:
        value = self._fields.get(name)
        if not isinstance(value, dict):
            raise _Unusable
        return value


def _counts(counts: list[Any]) -> NDArray[np.int64]:
    _require(all(is_whole(count, 0, _MOST) for count in counts) and 0 < sum(counts) <= _MOST)
    return np.array(counts, np.int64)


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _require(condition: bool) -> None:
    if not condition:
        raise _Unusable
