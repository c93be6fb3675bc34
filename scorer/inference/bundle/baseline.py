"""The baseline in a bundle: the rows that drift is measured against."""

import numpy as np

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.bundle.metadata import MAX_ROWS, BaselineFigures, decoded
from scorer.records import Baseline


def baseline_of(bundle: Bundle, *, required: bool = False) -> Baseline | None:
    """Return a bundle's baseline; None where it has none that rows can be compared with.

    A checkpoint that was trained elsewhere comes without one, and is a good model all the same.

    Raises:
        InvalidBundle: It has none, and one is required.
    """
    figures = decoded(bundle.metadata.baseline, BaselineFigures)
    baseline = _usable(figures, bundle) if figures else None
    if required and baseline is None:
        raise InvalidBundle(
            f"drift cannot be measured: the model {bundle.name} has no baseline",
            "leave out --fail-on-drift, or train it with `tweetscore model train`",
        )
    return baseline


def _usable(figures: BaselineFigures, bundle: Bundle) -> Baseline | None:
    """Return the baseline where the figures are of this model and belong together."""
    shares, edges = figures.label_shares, figures.score_histogram.edges
    scores, known = figures.score_histogram.counts, figures.length_histogram
    tokens = [str(length) for length in range(bundle.max_length + 1)]
    lengths = [known.get(length, 0) for length in tokens]
    usable = (
        shares.keys() == {*bundle.labels} and abs(sum(shares.values()) - 1) < 1e-3,
        len(edges) == len(scores) + 1 and (edges[0], edges[-1]) == (0, 1),
        list(edges) == sorted({*edges}),
        known.keys() <= {*tokens},
        *(0 < sum(counts) <= MAX_ROWS for counts in (scores, lengths)),
    )
    if not all(usable):
        return None
    return Baseline(
        rows=figures.rows,
        labels=np.array([round(figures.rows * shares[name]) for name in bundle.labels], np.int64),
        score_edges=np.array(edges, np.float64),
        scores=np.array(scores, np.int64),
        lengths=np.array(lengths, np.int64),
        unknown_share=figures.unknown_token_share,
    )
