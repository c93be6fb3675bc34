"""A stub classifier's answers, and the two passes joined without a pipeline."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from scorer.formats.base import ScoredSlice, Source, text_digest
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.options import CsvOptions, InputSpec
from scorer.records import TextWindow

SCHEMA = OutputColumns("label", "score", ("neg", "neutral", "po,s"))
_SCORES = np.array([[0.5, 0.3, 0.2], [0.9, 1.2e-7, 0.1], [0.4, 0.35, 0.25]], np.float32)
_ANSWERS = [",neg,0.5", ",neutral,0.00000012", ',"po,s",0.25']


def label_of(text: str | None) -> int:
    """Stub: three texts have a class of their own; null and '' are blank."""
    if not text:
        return -1
    return {"last": 1, "ok": 1, "two\r\nlines": 2}.get(text, 0)


def scored(texts: Sequence[str | None]) -> list[str]:
    """Return the cells that each text gets."""
    return [",," if label_of(t) < 0 else _ANSWERS[label_of(t)] for t in texts]


def slices(source: Source, rows: int) -> list[ScoredSlice]:
    """Return the answers to a first pass."""
    return answers(source.windows(rows))


def answers(windows: Iterable[TextWindow]) -> list[ScoredSlice]:
    """Return the stub's answers, window by window."""
    found = []
    for window in windows:
        ids = np.array([label_of(text) for text in window.texts], np.int16)
        scores = _SCORES[ids].copy().reshape(len(ids), 3)
        scores[ids < 0] = np.nan
        found.append(ScoredSlice(ids, scores, window.offset, text_digest(window.texts)))
    return found


def write_scored(
    path: Path,
    out: Path,
    rows: int = 2,
    schema: OutputColumns = SCHEMA,
    *,
    csv: CsvOptions | None = None,
    limit: int | None = None,
) -> Path:
    """Score with the stub and return the output."""
    source = open_source(path, InputSpec(csv=csv or CsvOptions(), limit=limit))
    source.write_scored(out, schema, slices(source, rows))
    return out
