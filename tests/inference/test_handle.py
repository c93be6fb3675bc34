"""One model for all inputs: what is opened, loaded and proven, and how often."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scorer.errors import GateFailed, InvalidBundle, OutOfMemory
from scorer.inference.loading import ModelHandle
from scorer.options import ModelSpec
from scorer.os_errors import WITH_ONE_GRAPH


class Calls(list[str]):
    """Notes what is asked of a model, and fails where that is wanted."""

    def __init__(self, **failing: BaseException) -> None:
        self._failing = failing

    def note(self, step: str) -> Any:
        """Note a step, and return what has the next one."""
        self.append(step)
        if error := self._failing.get(step):
            raise error
        return SimpleNamespace(prove=lambda *_: self.note("prove"))

    def handle(self) -> ModelHandle:
        """Return a handle whose steps are noted."""
        return ModelHandle(
            lambda: self.note("open"), lambda _: self.note("load"), lambda: self.note("proven")
        )


def test_each_step_is_taken_once_and_only_when_it_is_needed() -> None:
    """Whatever is asked for again is what there was."""
    calls = Calls()
    model = calls.handle()
    assert calls == []
    assert model.bundle is model.bundle
    assert calls == ["open"]
    assert model.load() is model.load()
    assert calls == ["open", "load"]
    assert model.prove() is model.prove()
    assert calls == ["open", "load", "prove", "proven"]
    assert model.error is None


@pytest.mark.parametrize("step", ["open", "load", "prove"])
def test_what_keeps_it_from_working_is_kept(step: str) -> None:
    """It concerns all inputs: the handle keeps the error."""
    error = GateFailed("answers differ")
    model = Calls(**{step: error}).handle()
    with pytest.raises(GateFailed, match="answers differ"):
        model.prove()
    assert model.error is error


def test_a_shortage_of_memory_is_told_with_what_helps_a_model() -> None:
    """Whatever kind of error the library has for it."""
    model = Calls(load=MemoryError()).handle()
    with pytest.raises(OutOfMemory) as raised:
        model.load()
    assert raised.value.remedy == WITH_ONE_GRAPH
    assert model.error is raised.value


def test_a_model_that_is_meant_is_opened_when_it_is_needed(tmp_path: Path) -> None:
    """A directory that is no bundle is no error until then."""
    model = ModelHandle.of(ModelSpec(tmp_path))
    with pytest.raises(InvalidBundle):
        _ = model.bundle
