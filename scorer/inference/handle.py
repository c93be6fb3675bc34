"""One model for all inputs of a run: opened, loaded and proven once, on first use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Self

from scorer.options import ModelSpec
from scorer.os_errors import WITH_ONE_GRAPH, as_out_of_memory

if TYPE_CHECKING:  # what is up to date needs neither
    from scorer.inference.bundle import Bundle
    from scorer.inference.classifier import Classifier
    from scorer.inference.loading import Candidate
    from scorer.inference.preparation import Prepared


class ModelHandle:
    """A model that works for all inputs, or fails for all of them; `error` has the reason."""

    def __init__(
        self,
        open_bundle: "Callable[[], Bundle]",
        load: "Callable[[Bundle], Candidate]",
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

        def open_bundle() -> "Bundle":
            from scorer.inference import bundle

            return bundle.open_bundle(spec.model)

        def load(bundle: "Bundle") -> "Candidate":
            from scorer.inference import loading

            return loading.load(bundle, spec)

        return cls(open_bundle, load)

    @cached_property
    def bundle(self) -> "Bundle":
        """The verified bundle."""
        with self._failing_for_all():
            return self._open_bundle()

    @cached_property
    def _candidate(self) -> "Candidate":
        return self._load(self.bundle)

    def load(self) -> "Candidate":
        """Return the loaded model, before it is proven on the canary."""
        with self._failing_for_all():
            return self._candidate

    def prove(self, first: "Prepared | None" = None) -> "Classifier":
        """Return the classifier, proven on the canary.

        Args:
            first: The window that will be scored first: it may share the canary's batches.
        """
        with self._failing_for_all():
            if self._classifier is None:
                self._classifier = self._candidate.prove(first)
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
