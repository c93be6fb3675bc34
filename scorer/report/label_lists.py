"""What a page counts of a multi-label model's lists, and how they agree with true ones."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.report.statistics import Counts, Ids

Which = NDArray[np.bool_]


class LabelLists:
    """Counts lists of labels as they go by; a label that a list has twice counts once."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.rows = 0
        self.empty = 0  # rows without a label in their list
        self.per_label: Counts = np.zeros(len(labels), np.int64)
        self.compared = 0  # rows that have true labels
        self.exact = 0  # of them: rows whose list is the true one
        self.given: Counts = np.zeros(len(labels), np.int64)  # compared rows by label
        self.true: Counts = np.zeros(len(labels), np.int64)
        self.both: Counts = np.zeros(len(labels), np.int64)
        self._numbers = {label: i for i, label in enumerate(labels)}

    @property
    def left_out(self) -> int:
        """Scored rows whose true labels are missing, or one of them is none of the model's."""
        return self.rows - self.compared

    def add(
        self, ids: Ids, lists: pl.Series, true: pl.Series | None, known: Mapping[str, int]
    ) -> None:
        """Count rows.

        Args:
            ids: Their best labels, [rows]; -1 where blank.
            lists: Their labels as they are written, List(String) [rows].
            true: True labels in lower case, joined by `|`, String [rows]; None: there are none.
            known: The number of each label by its spellings in lower case.
        """
        scored = ids >= 0
        found, _ = self._which(lists, self._numbers)
        found = found[scored]
        self.rows += len(found)
        self.empty += int((~found.any(axis=1)).sum())
        self.per_label += found.sum(axis=0)
        if true is None:
            return
        words = true.str.split("|").list.eval(pl.element().str.strip_chars())
        wanted, odd = self._which(words, known)
        wanted, odd = wanted[scored], odd[scored]
        there = wanted.any(axis=1) & ~odd
        found, wanted = found[there], wanted[there]
        self.compared += len(found)
        self.exact += int((found == wanted).all(axis=1).sum())
        self.given += found.sum(axis=0)
        self.true += wanted.sum(axis=0)
        self.both += (found & wanted).sum(axis=0)

    def _which(self, lists: pl.Series, numbers: Mapping[str, int]) -> tuple[Which, Which]:
        """Return which labels each row has, [rows, labels], and whether it has others, [rows]."""
        which = np.zeros((len(lists), len(self.per_label)), np.bool_)
        each = pl.DataFrame({"row": np.arange(len(lists)), "label": lists}).explode("label")
        each = each.drop_nulls("label")
        ids = each["label"].replace_strict(numbers, default=-1, return_dtype=pl.Int64).to_numpy()
        rows = each["row"].to_numpy()
        which[rows[ids >= 0], ids[ids >= 0]] = True
        odd = np.zeros(len(lists), np.bool_)
        odd[rows[ids < 0]] = True
        return which, odd
