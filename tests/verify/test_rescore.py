from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from scorer.errors import InvalidBundle
from scorer.inference.session import RuntimeInfo
from scorer.options import RunOptions
from scorer.records import Answers, OnShare, Scores
from scorer.run import pipeline
from scorer.verify import verify
from scorer.verify.rescore import Sample
from tests.stubs import StubClassifier
from tests.verify.helpers import check, forge, many, score


class Shifted(StubClassifier):
    """A stub whose probabilities have moved, and whose labels may have."""

    def __init__(
        self, by: float = 0.0, label: int | None = None, precision: Literal["fp32", "bf16"] = "fp32"
    ) -> None:
        super().__init__()
        self.runtime = RuntimeInfo("StubProvider", "builtin", precision, "none", 1, "a stub")
        self._by = np.float32(by)
        self._label = label

    def score(
        self,
        prepared: pl.Series,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Answer otherwise."""
        found = super().score(prepared, known, on_share)
        ids = found.label_ids
        if self._label is not None:
            ids = np.where(ids < 0, ids, np.int16(self._label)).astype(np.int16)
        return Scores(ids, found.probabilities - self._by, found.counters, found.lengths)


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 10), (10, 99), (1, 1), (7, 0), (0, 5)])
def test_a_sample_is_spread_and_always_the_same(rows: int, size: int) -> None:
    """So many different rows, in order, from all over the file; no chance in it."""
    sample = Sample(rows, size).rows
    assert len(set(sample.tolist())) == len(sample) == min(rows, size)
    assert all(0 <= row < rows for row in sample)
    assert np.diff(sample).max(initial=0) <= -(-rows // max(size, 1)) + 1
    assert sample.tolist() == Sample(rows, size).rows.tolist()


@pytest.mark.parametrize(
    ("stub", "line"),
    [
        (Shifted(1e-5), "row 1: scored again, its score differs (and 4 more)"),
        (Shifted(0.2, precision="bf16"), "row 1: scored again, its score differs (and 4 more)"),
        (Shifted(label=2), "row 2: scored again, its label differs"),
    ],
)
def test_answers_outside_the_bounds_are_found(tweets: Path, stub: Any, line: str) -> None:
    """What the model says now is held against what was written."""
    verdict = check(score(tweets), rescore=99, stub=stub)
    assert any(line in each for each in verdict.findings), verdict.findings
    assert verdict.exit_code == 65


@pytest.mark.parametrize("stub", [Shifted(1e-7), Shifted(0.02, precision="bf16")])
def test_answers_within_the_bounds_are_right(tweets: Path, stub: Any) -> None:
    """One provider in fp32 must agree to the last digits, another precision within the gate."""
    verdict = check(score(tweets), rescore=99, stub=stub)
    assert (verdict.findings, verdict.rescored) == ((), 7)


def test_forged_answers_are_found(tmp_path: Path) -> None:
    """A label that fits everything but its text is found by scoring it again."""
    output = score(many(tmp_path / "many.csv", 1_000))
    content = output.read_bytes()
    content = content.replace(b"4,so good+,positive", b"4,so good+,negative", 1)
    content = content.replace(b"5,bad-,negative", b"5,bad-,positive", 1)
    forge(output, content)
    assert check(output).findings == ()
    assert any("its label differs" in line for line in check(output, rescore=1_000).findings)


def test_another_model_is_refused(tweets: Path) -> None:
    """A sample says something only when the same bundle scores it."""
    output, stub = score(tweets), StubClassifier()
    stub.bundle = replace(stub.bundle, digest="e" * 64)
    with pytest.raises(InvalidBundle, match="is not the model that wrote the output"):
        check(output, rescore=1, stub=stub)
    verdict = check(output, stub=stub)
    assert verdict.findings == ()
    assert "what the model says of the report (stub 1 in /nowhere is another)" in (
        verdict.unchecked.line()
    )


def test_without_a_sample_no_model_is_loaded(tweets: Path) -> None:
    """Only --rescore needs the bundle."""
    output = score(tweets)
    stub = StubClassifier()
    check(output, stub=stub)
    assert stub.loads == 0


def test_the_embedded_model_agrees_with_itself(tweets: Path) -> None:
    """A real output is scored again from the report alone, bit for bit."""
    list(pipeline.run(RunOptions.of((tweets,), device="builtin", scores="all")))
    output = tweets.with_name("tweets.scored.csv")
    verdict = verify(output, rescore=99)
    assert (verdict.findings, verdict.rescored) == ((), 7)
