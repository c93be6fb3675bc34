"""How far a distribution has moved (pure)."""

import numpy as np
from numpy.typing import ArrayLike

#: The usual marks of the population stability index: below the first nothing has happened, from
#: the second on the distribution is another one (Siddiqi, Credit Risk Scorecards, 2006).
MODERATE, LARGE = 0.1, 0.25


def psi(before: ArrayLike, now: ArrayLike) -> float:
    """Return the population stability index of two histograms over the same bins.

    Each bin gets half a row more than was counted, so that a bin that is empty on one side
    makes the index large, and not infinite.

    Args:
        before: Rows per bin of the distribution that is compared with, shape [bins].
        now: Rows per bin of the one in question, shape [bins].

    Returns:
        0 where nothing moved; not bounded above. 0 too where a side has no rows.
    """
    counts = np.asarray([before, now], np.float64)  # [2, bins]
    if not counts.sum(axis=1).all():
        return 0.0
    counts += 0.5
    old, new = counts / counts.sum(axis=1, keepdims=True)
    return float(((new - old) * np.log(new / old)).sum())
