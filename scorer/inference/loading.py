"""Loads a bundle on this box: chooses a session, opens it, and proves a classifier on it.

Importing polars and the tokenizers library takes 0.1 s, and loading a bundle's tokenizer as long.
Both happen while the session is loaded, which leaves the interpreter free: so this module itself
imports neither.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from scorer.errors import DeviceUnavailable, GateFailed
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.gate import is_proven, was_outside
from scorer.inference.runtime import Choice, choices, open_session, prepared, without
from scorer.inference.runtime.machine import Machine, inspect
from scorer.inference.session import Session
from scorer.options import ModelSpec
from scorer.os_errors import WITH_ONE_GRAPH, as_out_of_memory, check_address_space, model_needs
from scorer.records import OnShare

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier
    from scorer.inference.preparation import Preparation, Prepared


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle with the session that is tried first, which has not proven itself yet."""

    bundle: Bundle
    choices: tuple[Choice, ...]  # in the order in which they are tried
    session: Callable[[Choice], Session]  # loads one of them, or returns what is loaded already
    prepare: "Preparation"  # the bundle's normaliser and tokenizer

    @property
    def device(self) -> str:
        """The device of the first choice; later choices are of the same kind, GPU or CPU."""
        return self.choices[0].device

    def prove(
        self, first: "Prepared | None" = None, on_share: OnShare = lambda _: None
    ) -> "Classifier":
        """Return a classifier on the first session that passes the gate.

        The window that will be scored first may share the canary's batches, see `Classifier`;
        then `on_share` is called with the share of them that is done.

        Raises:
            DeviceUnavailable: The requested device or precision is not there.
            GateFailed: The answers differ from PyTorch's, and nothing slower is left to try.
            InvalidBundle: The graph cannot be loaded, or the weights are not those that were
                verified.
        """
        from scorer.inference.classifier import Classifier

        def proven(choice: Choice) -> Classifier:
            return Classifier(
                self.bundle, self.session(choice), warnings, self.prepare, first, on_share
            )

        warnings: list[str] = []
        *preferred, last = self.choices
        for choice in preferred:
            try:
                return proven(choice)
            except (DeviceUnavailable, GateFailed) as error:
                warnings.append(
                    f"{choice.device} in {choice.precision} is not used: {error.problem}"
                )
        return proven(last)


def load(bundle: Bundle, spec: ModelSpec) -> Candidate:
    """Load the fastest provider and precision of this box, and the bundle's tokenizer.

    Sessions that were skipped, and why, are in the classifier's `warnings`.

    Raises:
        DeviceUnavailable: The requested device or precision is not there.
        GateFailed: A canary text gets other token ids than in training.
        InvalidBundle: The tokenizer cannot be loaded.
        OutOfMemory: The process may not have the address space that this takes.
    """
    machine = inspect()
    tried = _choices(bundle, spec, machine)
    if tried[0].device != "cuda":
        weights = (bundle.directory / "model.safetensors").stat().st_size
        needed = model_needs(weights, tried[0].precision, spec.threads or machine.cpus)
        check_address_space(needed, with_one_graph=model_needs(weights, "fp32", 1))
    # polars sets this when it is imported: by then it has to be there, see `prepared`.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "")
    pool = ThreadPoolExecutor(1, thread_name_prefix="load")
    # What the session needs is imported first: it would share the interpreter with polars.
    with prepared(tried[0].device):
        try:
            ready = {tried[0]: pool.submit(open_session, bundle, tried[0], machine, spec.threads)}
            from scorer.inference.preparation import Preparation

            preparation = Preparation(bundle)
            wait(ready.values())
        finally:
            pool.shutdown(wait=False)  # an interrupt must not wait for the graph

    def session(choice: Choice) -> Session:
        if choice in ready:
            return ready.pop(choice).result()  # not kept while another graph is loaded
        return open_session(bundle, choice, machine, spec.threads)

    return Candidate(bundle, tried, session, preparation)


def foreseen(bundle: Bundle, spec: ModelSpec) -> dict[str, str]:
    """Return the session that `load` tries first: it decides the last bits of an answer.

    Raises:
        DeviceUnavailable: The requested device or precision is not there.
    """
    machine = inspect()
    first = _choices(bundle, spec, machine)[0]
    kind = machine.architecture(first.device)
    return {"device": first.device, "precision": first.precision, "instruction_set": kind}


def _choices(bundle: Bundle, spec: ModelSpec, machine: Machine) -> tuple[Choice, ...]:
    """Return the choices; with `auto` without those that fail the bundle's gate, to save time."""
    proven = is_proven(bundle.metadata, "int8")
    tried = choices(spec.device, spec.precision, machine, int8_proven=proven)
    if spec.precision != "auto":
        return tried
    outside = [
        each
        for each in tried
        if each.precision != "fp32"  # which is always tried
        and was_outside(
            bundle.metadata, each.device, each.precision, machine.architecture(each.device)
        )
    ]
    return without(tried, outside)


class ModelHandle:
    """A model that works for all inputs, or fails for all of them; `error` has the reason."""

    def __init__(
        self,
        open_bundle: Callable[[], Bundle],
        load: Callable[[Bundle], Candidate],
        on_proven: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep the functions that open and load the bundle, and the callback of its proof."""
        self.error: BaseException | None = None
        self._open_bundle = open_bundle
        self._load = load
        self._on_proven = on_proven
        self._classifier: Classifier | None = None

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Return the handle of the model that a specification names, on this box."""
        return cls(lambda: open_bundle(spec.model), lambda bundle: load(bundle, spec))

    @cached_property
    def bundle(self) -> Bundle:
        """The verified bundle."""
        with self._failing_for_all():
            return self._open_bundle()

    @cached_property
    def _candidate(self) -> Candidate:
        return self._load(self.bundle)

    def load(self) -> Candidate:
        """Return the loaded model, before it is proven on the canary."""
        with self._failing_for_all():
            return self._candidate

    def prove(
        self, first: "Prepared | None" = None, on_share: OnShare = lambda _: None
    ) -> "Classifier":
        """Return the classifier, proven on the canary, as `Candidate.prove` does."""
        with self._failing_for_all():
            if self._classifier is None:
                self._classifier = self._candidate.prove(first, on_share)
                self._on_proven()
            return self._classifier

    @contextmanager
    def _failing_for_all(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = as_out_of_memory(error, WITH_ONE_GRAPH)
            if self.error is error:
                raise
            raise self.error from error
