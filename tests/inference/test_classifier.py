"""Texts in, labels and scores out, on a session that has proven itself."""

import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from scorer.errors import DeviceUnavailable, GateFailed, InvalidBundle
from scorer.inference import loading, preparation
from scorer.inference.bundle import Bundle, Canary, open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.preparation import Preparation
from scorer.inference.runtime import Choice, choices, cuda, open_session
from scorer.inference.runtime.machine import Gpu, inspect
from scorer.installation import install
from scorer.options import ModelSpec
from scorer.records import Answers, Counters, Scores
from tests.handles import open_classifier

MACHINE = inspect()
CPU_DEVICES = list(dict.fromkeys(choice.device for choice in choices("cpu", "fp32", MACHINE))) or [
    "builtin"
]
BUILTIN = Choice("builtin", "fp32", "a test")
AMX = dataclasses.replace(MACHINE, instruction_set="amx", no_openvino_reason="", gpus=())
TWEETS = [
    "I love this song so much",
    "Stuck at the station again :(",
    "see you at 7 &amp; bring @someone https://example.com/a",
    "<|endoftext|> is a word",
    "\U0001f602\U0001f602 na na",
    "مرحبا بالعالم",
    "one two three four five six seven eight nine ten " * 12,
    "ugh",
    "!!",
    "so sad right now",
]


@pytest.fixture(scope="module", params=["tiny_bert_bundle", "tiny_gpt2_bundle"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle(request.getfixturevalue(request.param))


@pytest.fixture(scope="module", params=CPU_DEVICES)
def classifier(bundle: Bundle, request: pytest.FixtureRequest) -> Classifier:
    # On a CPU with AMX `auto` would mean bf16.
    return open_classifier(bundle, device=request.param, precision="fp32", threads=2)


class StubSession:
    """A stub: the built-in session, with its answers moved by `shift`; keeps what it was fed."""

    exact = None

    def __init__(self, bundle: Bundle, shift: float = 0.0, **info: Any) -> None:
        self._inner = open_session(bundle, BUILTIN, MACHINE, threads=2)
        self.info = structs.replace(self._inner.info, **info)
        self.token_budget = 64
        self.callers = 2
        self.warnings: tuple[str, ...] = ()
        self.shift = shift
        self.shapes: list[tuple[int, ...]] = []

    def run(self, ids: np.ndarray) -> np.ndarray:
        """Answer like the real one, but for the shift."""
        self.shapes.append(ids.shape)
        return self._inner.run(ids) + np.array([self.shift, 0, 0], dtype=np.float32)


def answers(classifier: Classifier, texts: Sequence[str | None]) -> np.ndarray:
    """Return what the model itself says, whatever earlier windows have left in memory."""
    return classifier.logits(classifier.prepare(column(texts)))


def column(texts: Sequence[str | None]) -> pl.Series:
    return pl.Series("text", texts, dtype=pl.String)


def test_answers_are_pytorchs(classifier: Classifier) -> None:
    """The session passed the strict gate on the canary before anybody could use it."""
    assert classifier.canary.label_agreement == 1
    assert classifier.canary.largest_difference <= 1e-5
    assert classifier.warnings == ()


def test_rows_come_back_in_order(classifier: Classifier) -> None:
    """Each row of a window has the answer that its text has alone."""
    rows = [*TWEETS, *reversed(TWEETS)]
    logits = answers(classifier, rows)
    for row, text in enumerate(rows):
        assert answers(classifier, [text]).tobytes() == logits[row].tobytes()
    scores = classifier.classify(column(rows))
    assert scores.label_ids.tolist() == logits.argmax(axis=1).tolist()
    assert scores.label_ids.tolist() == scores.probabilities.argmax(axis=1).tolist()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.integers(0, len(TWEETS) - 1), min_size=1, max_size=30),
    budget=st.integers(1, 400),
    callers=st.integers(1, 4),
)
def test_neither_order_nor_batch_nor_threads_change_a_score(
    classifier: Classifier, rows: list[int], budget: int, callers: int
) -> None:
    """Any rows, in any order, at any budget, from any number of threads: the same bits."""
    expected = answers(classifier, TWEETS)[rows]
    session = classifier._session
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "token_budget", budget)
        patch.setattr(session, "callers", callers)
        actual = answers(classifier, [TWEETS[row] for row in rows])
    assert actual.tobytes() == expected.tobytes()


def test_temperature_flattens_and_keeps_labels(bundle: Bundle) -> None:
    """A higher temperature gives the same labels with less certainty."""
    hot = dataclasses.replace(bundle, temperature=5.0)
    warm, flat = (
        open_classifier(b, device="builtin").classify(column(TWEETS)) for b in (bundle, hot)
    )
    assert warm.label_ids.tolist() == flat.label_ids.tolist()
    assert (flat.probabilities.max(axis=1) < warm.probabilities.max(axis=1)).all()


def test_counters_tell_what_happened(classifier: Classifier) -> None:
    """Blank, equal and over-long rows are counted, and blank rows have no answer."""
    texts = ["so sad", None, "", " \u200b ", "so  sad", "so sad", "! " * 500, "ugh"]
    scores = classifier.classify(column(texts))
    lengths = [len(classifier.prepare(column([text])).ids(0)) for text in texts]
    assert scores.counters == Counters(
        rows=8, scored=5, blank=3, equal=2, truncated=1, tokens=sum(lengths)
    )
    assert scores.lengths.tolist() == np.bincount([n for n in lengths if n]).tolist()
    blank = [1, 2, 3]
    assert scores.label_ids[blank].tolist() == [-1, -1, -1]
    assert np.isnan(scores.probabilities[blank]).all()
    assert np.isfinite(np.delete(scores.probabilities, blank, axis=0)).all()


def test_texts_of_equal_ids_are_equal(tiny_bert_bundle: Path) -> None:
    """Texts that differ only in what the tokenizer ignores are scored once."""
    session = StubSession(open_bundle(tiny_bert_bundle))
    stubbed = Classifier(open_bundle(tiny_bert_bundle), session)
    session.shapes.clear()
    scores = stubbed.classify(column(["So Sad", "so sad", "SO SAD", "so sad!"]))
    assert scores.counters.equal == 2
    assert sum(rows for rows, _ in session.shapes) == 2


def test_what_an_earlier_window_had_is_not_asked_again(bundle: Bundle) -> None:
    """The model sees only what is new; rows, counters and bits are as if it had seen all."""
    session = StubSession(bundle)
    stubbed = Classifier(bundle, session)
    first = stubbed.classify(column(TWEETS))
    session.shapes.clear()
    again = stubbed.classify(column([None, "as good as new", *TWEETS, TWEETS[0]]))
    assert sum(rows for rows, _ in session.shapes) == 1
    assert (first.remembered, again.remembered) == (0, len(TWEETS))
    assert again.counters.equal == 1
    assert again.counters.scored == len(TWEETS) + 2
    assert again.probabilities[2:-1].tobytes() == first.probabilities.tobytes()
    alone = Classifier(bundle, StubSession(bundle)).classify(column(["as good as new"]))
    assert again.probabilities[1].tobytes() == alone.probabilities.tobytes()


def test_a_gpu_remembers_nothing(bundle: Bundle) -> None:
    """Where an answer may depend on its batch, each window asks the model for all of its texts."""
    session = StubSession(bundle, device="cuda")
    stubbed = Classifier(bundle, session)
    for _ in range(2):
        session.shapes.clear()
        assert stubbed.classify(column(TWEETS)).remembered == 0
        assert sum(rows for rows, _ in session.shapes) == len(TWEETS)


def test_the_share_that_is_done_rises_to_1(bundle: Bundle) -> None:
    """Batch by batch, by the tokens in them, and whatever is known already."""
    session = StubSession(bundle)
    stubbed = Classifier(bundle, session)
    session.shapes.clear()
    session.callers = 1
    shares: list[float] = []
    window = stubbed.prepare(column(TWEETS))
    stubbed.score(window, None, shares.append)
    tokens = np.cumsum([rows * length for rows, length in session.shapes])
    assert len(shares) > 1
    assert shares == (tokens / tokens[-1]).tolist()
    stubbed.score(window, None, shares.append)  # from the cache
    assert len(shares) == len(tokens)


@pytest.mark.parametrize("texts", [[], [None, "", "\u200b"]])
def test_a_window_without_content_reaches_no_model(bundle: Bundle, texts: list[str | None]) -> None:
    """No rows, or only blank ones, are answered without a call; GPT-2 would crash on one."""
    session = StubSession(bundle)
    stubbed = Classifier(bundle, session)
    session.shapes.clear()
    scores = stubbed.classify(column(texts))
    assert session.shapes == []
    assert scores.label_ids.tolist() == [-1] * len(texts)
    assert scores.probabilities.shape == (len(texts), 3)


def test_batches_run_on_several_threads(bundle: Bundle) -> None:
    """Two callers are in the model at the same time."""
    session = StubSession(bundle)
    stubbed = Classifier(bundle, session)
    together, run = threading.Barrier(2, timeout=30), session.run
    session.token_budget = 1
    session.run = lambda ids: (together.wait(), run(ids))[1]  # type: ignore[method-assign]
    assert stubbed.classify(column(["a", "b !", "c ! !", "d ! ! !"])).counters.scored == 4


@pytest.mark.parametrize(("device", "sizes"), [("builtin", [5, 2]), ("openvino", [4, 4])])
def test_a_session_that_compiles_gets_batches_of_one_size(
    bundle: Bundle, device: str, sizes: list[int]
) -> None:
    """Seven texts of one length, of which five are within the budget."""
    session = StubSession(bundle, device=device)
    stubbed = Classifier(bundle, session)
    texts = column(["!" * (row + 1) + "?" * (7 - row) for row in range(7)])
    (length,) = {*stubbed.prepare(texts).tokens.lengths.tolist()}
    session.token_budget = 5 * length
    session.shapes.clear()
    stubbed.classify(texts)
    assert sorted(session.shapes, reverse=True) == [(size, length) for size in sizes]


def test_texts_of_low_margin_are_decided_together(tiny_bert_bundle: Path) -> None:
    """They are asked of the exact session, however many batches they were in, and none else."""
    bundle = open_bundle(tiny_bert_bundle)
    session, exact = StubSession(bundle), StubSession(bundle, shift=9.0)
    stubbed = Classifier(bundle, session)
    run, tied = session.run, bundle.canary().token_ids[0]
    session.token_budget = 1  # each text is a batch

    def undecided(ids: np.ndarray) -> np.ndarray:
        return np.where(ids[:, 1:2] == tied[1], 0, run(ids) + np.array([0, 9, 0], np.float32))

    session.run = undecided  # type: ignore[method-assign]
    session.exact = exact  # type: ignore[assignment]
    word = bundle.canary().texts[0].split()[0]
    scores = stubbed.classify(column([f"{word} a", "b c", f"{word} d", "e f"]))
    assert [rows for rows, _ in exact.shapes] == [2]
    assert scores.label_ids.tolist() == [0, 1, 0, 1]


def test_a_failure_stops_the_window(tiny_bert_bundle: Path) -> None:
    """After an error no further batch is begun: an interrupt must not wait for a window."""
    session = StubSession(open_bundle(tiny_bert_bundle))
    stubbed = Classifier(session=session, bundle=open_bundle(tiny_bert_bundle))
    session.token_budget, session.callers, calls = 1, 1, []
    run = session.run

    def failing_once(ids: np.ndarray) -> np.ndarray:
        calls.append(ids.shape)
        if len(calls) == 1:
            raise MemoryError("a stub's")
        time.sleep(1)  # longer than it takes to notice
        return run(ids)

    session.run = failing_once  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        stubbed.classify(column(["!" * n for n in range(1, 40)]))
    assert len(calls) < 20


def with_canary(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    changed = dataclasses.replace(bundle.canary(), **changes)
    monkeypatch.setattr(Bundle, "canary", lambda _: changed)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [
                {"device": device, "precision": precision, "architecture": "amx"}
                for device in ("openvino", "builtin")
                for precision in ("bf16", "fp32")
            ],
            "fp32",
        ),
        ([{"device": "openvino", "precision": "bf16", "architecture": "avx512-bf16"}], "bf16"),
        ([{"device": "openvino"}], "bf16"),
        ("openvino bf16 amx", "bf16"),
        (None, "bf16"),
    ],
)
def test_auto_does_not_try_what_the_export_found_outside_the_gate(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, entries: object, expected: str
) -> None:
    """On a box of that kind; by its name it is tried all the same. Other entries say nothing."""
    monkeypatch.setattr(loading, "inspect", lambda: AMX)
    metadata = msgspec.structs.replace(bundle.metadata, outside_gate=entries, parity=[])
    described = dataclasses.replace(bundle, metadata=metadata)
    assert loading.foreseen(described, ModelSpec())["precision"] == expected
    assert loading.foreseen(described, ModelSpec(precision="bf16"))["precision"] == "bf16"


def test_fp32_outside_the_gate_is_76(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference of 1e-3, which other precisions may have, breaks the promise of fp32."""
    with_canary(bundle, monkeypatch, logits=bundle.canary().logits * np.float32(1.01))
    with pytest.raises(GateFailed, match="CPUExecutionProvider in fp32 differs from PyTorch"):
        open_classifier(bundle, device="builtin")


def test_other_token_ids_are_76(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that splits otherwise than in training is found before a tweet is scored."""
    ids: Canary = bundle.canary()
    with_canary(bundle, monkeypatch, token_ids=((1, 2, 3), *ids.token_ids[1:]))
    with pytest.raises(GateFailed, match=r"1 of 10 canary texts .* other token ids") as failure:
        open_classifier(bundle, device="builtin")
    assert "tokenizers" in failure.value.remedy


def stub_sessions(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, shifts: dict[str, float | None]
) -> None:
    """Let each provider and precision answer with a shift, or be unavailable (None)."""

    def opener(_bundle: Bundle, choice: Choice, *_: Any) -> StubSession:
        shift = shifts[f"{choice.device} {choice.precision}"]
        if shift is None:
            raise DeviceUnavailable("a stub is not there", "use a real one")
        return StubSession(bundle, shift, device=choice.device, precision=choice.precision)

    monkeypatch.setattr(loading, "inspect", lambda: AMX)
    monkeypatch.setattr(loading, "open_session", opener)


SHIFTS: dict[str, float | None] = {"openvino bf16": 1e-4, "openvino fp32": 0.0, "builtin fp32": 0.0}


@pytest.mark.parametrize(
    ("changes", "used", "warnings"),
    [
        ({}, "openvino bf16", []),
        ({"openvino bf16": 1.0}, "openvino fp32", ["openvino in bf16"]),
        (
            {"openvino bf16": float("nan"), "openvino fp32": 1e-3},
            "builtin fp32",
            ["openvino in bf16", "openvino in fp32"],
        ),
        (
            {"openvino bf16": None, "openvino fp32": None},
            "builtin fp32",
            ["openvino in bf16", "openvino in fp32"],
        ),
    ],
)
def test_auto_takes_the_next_slower_one_and_says_so(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, float | None],
    used: str,
    warnings: list[str],
) -> None:
    """Outside the gate or not loadable: passed over with a warning that names it."""
    stub_sessions(bundle, monkeypatch, SHIFTS | changes)
    opened = open_classifier(bundle)
    assert f"{opened.runtime.device} {opened.runtime.precision}" == used
    assert [warning.partition(" is not used")[0] for warning in opened.warnings] == warnings


def test_the_tokenizer_is_loaded_while_the_graph_is(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other: a run of a thousand rows is mostly start-up."""
    both = threading.Barrier(2, timeout=30)

    def opener(*_: Any) -> StubSession:
        both.wait()
        return StubSession(bundle)

    class Waiting(Preparation):
        """The real one, once the graph is being loaded."""

        def __init__(self, bundle: Bundle) -> None:
            both.wait()
            super().__init__(bundle)

    monkeypatch.setattr(loading, "open_session", opener)
    monkeypatch.setattr(preparation, "Preparation", Waiting)
    assert open_classifier(bundle, device="builtin").canary.label_agreement == 1


def test_a_precision_asked_for_by_name_is_not_replaced(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 that leaves the gate, asked for by name, is 76 and nothing else."""
    stub_sessions(bundle, monkeypatch, SHIFTS | {"openvino bf16": 1.0})
    with pytest.raises(GateFailed, match="in bf16"):
        open_classifier(bundle, precision="bf16")


def test_a_visible_gpu_is_never_left_for_the_cpu(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` with an NVIDIA device whose CUDA does not run is 69, not a slow night."""
    machine = dataclasses.replace(MACHINE, gpus=(Gpu("H100", "sm_90", 2**36),), no_gpu_reason="")
    monkeypatch.setattr(loading, "inspect", lambda: machine)

    def no_provider() -> None:
        raise cuda._unusable("libcudnn.so.9 is missing")

    monkeypatch.setattr(cuda, "_require_provider", no_provider)
    with pytest.raises(DeviceUnavailable, match=r"libcudnn\.so\.9") as refusal:
        open_classifier(bundle)
    assert install("cuda") in refusal.value.remedy
    assert open_classifier(bundle, device="builtin").runtime.device == "builtin"


def test_opening_and_scoring_are_silent(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither Python nor the native libraries write to the user's terminal."""
    open_classifier(bundle).classify(column(TWEETS))
    assert capfd.readouterr() == ("", "")


def test_the_canary_is_normalised_like_any_text(tiny_gpt2_bundle: Path) -> None:
    """Its texts are raw: entities and link targets are in the file, not in the ids."""
    content = json.loads((tiny_gpt2_bundle / "canary.json").read_bytes())
    raw = open_classifier(open_bundle(tiny_gpt2_bundle), device="builtin")
    prepared = raw.prepare(column(content["texts"]))
    assert any("&amp;" in text for text in content["texts"])
    assert [prepared.ids(row) for row in range(prepared.counters.rows)] == content["token_ids"]


def test_an_answer_that_is_no_number_is_never_a_label(bundle: Bundle) -> None:
    """A session that overflows on a text after a sound canary stops the run."""
    session = StubSession(bundle)
    classifier = Classifier(bundle, session)
    session.shift = np.nan
    with pytest.raises(GateFailed, match="not numbers, for 1 text"):
        classifier.classify(column(["ugh", ""]))


def test_a_session_that_fails_on_a_batch_says_which(bundle: Bundle) -> None:
    """The library's own error becomes one line with provider and batch."""
    session = open_session(bundle, BUILTIN, MACHINE, threads=1)
    beyond_the_vocabulary = np.full((2, 3), 10**6, dtype=np.int64)
    with pytest.raises(DeviceUnavailable, match="fails on a batch of 2 texts of 3 tokens"):
        session.run(beyond_the_vocabulary)


def test_a_bundle_that_changes_while_it_is_loaded_is_refused(
    tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """ONNX Runtime opens files by their paths: they must still be those that were verified."""
    bundle = open_bundle(Path(shutil.copytree(tiny_bert_bundle, tmp_path / "bundle")))
    content = (bundle.directory / "model.safetensors").read_bytes()
    (bundle.directory / "model.safetensors").write_bytes(content)
    with pytest.raises(InvalidBundle, match=r"model\.safetensors changed while it was loaded"):
        open_classifier(bundle, device="builtin")


def known_of(scores: Scores, rows: Sequence[int], *, all_classes: bool) -> Answers:
    """Return what an earlier output says of some rows."""
    label_ids = np.full_like(scores.label_ids, -1)
    probabilities = np.full_like(scores.probabilities, np.nan)
    label_ids[rows] = scores.label_ids[rows]
    best = probabilities[rows, label_ids[rows]] = scores.probabilities[rows, label_ids[rows]]
    assert best.all()
    if all_classes:
        probabilities[rows] = scores.probabilities[rows]
    return Answers(label_ids, probabilities)


@pytest.mark.parametrize("all_classes", [True, False])
def test_what_is_known_is_not_asked_again(bundle: Bundle, all_classes: bool) -> None:
    """Nor are texts with the same tokens; the others have the bits that they have alone."""
    session = StubSession(bundle)
    classifier = Classifier(bundle, session)
    texts = column(["so sad", None, "ugh", "so  sad", "new", "", "ugh"])
    full = classifier.score(classifier.prepare(texts))
    again = Classifier(bundle, session)
    session.shapes.clear()
    known = known_of(full, [0, 2], all_classes=all_classes)
    found = again.score(again.prepare(texts), known)
    assert sum(rows for rows, _ in session.shapes) == 1
    assert found.counters == full.counters
    assert found.label_ids.tolist() == full.label_ids.tolist()
    rows = np.flatnonzero(full.label_ids >= 0)
    best = full.label_ids[rows]
    assert (found.probabilities[rows, best] == full.probabilities[rows, best]).all()
    if all_classes:
        assert np.array_equal(found.probabilities, full.probabilities, equal_nan=True)


def test_a_known_answer_hides_no_broken_one(bundle: Bundle) -> None:
    """An answer that is not a number ends the run, whatever is known of other rows."""
    session = StubSession(bundle)
    classifier = Classifier(bundle, session)
    texts = column(["so sad", "ugh"])
    known = known_of(classifier.score(classifier.prepare(texts)), [0], all_classes=True)
    broken = Classifier(bundle, session)
    session.shift = float("nan")
    with pytest.raises(GateFailed, match="for 1 text of a window"):
        broken.score(broken.prepare(texts), known)
