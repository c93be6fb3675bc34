"""Exports on a quarter of the texts, where their number is no part of the claim.

PyTorch answers each text alone, three times over, which is most of what an export costs. The
fixture `bundles` has all the texts, and so has what a command does in its confined process.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from export.parity import pytorch
from export.steps import Steps

CONFINED = f"{__name__}:convert_here"  # instead of `export.conversion:convert_here`
WHOLE = pytorch._TEXTS


def write(directory: Path) -> Path:
    """Write a quarter of the texts into a file; control tokens and what fills a model are there."""
    texts = json.loads(WHOLE.read_text("utf-8"))
    few = [
        text
        for number, text in enumerate(texts)
        if number % 5 == 0 or len(text) > 1000 or pytorch._CONTROL.search(text)
    ]
    assert 60 < len(few) < 75
    file = directory / "texts.json"
    file.write_text(json.dumps(few), "utf-8")
    return file


@contextmanager
def but_all_of_them() -> Iterator[None]:
    """Measure exports in this process on all the texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch, "_TEXTS", WHOLE)
        yield


def convert_here(argument: bytes, steps: Steps) -> None:
    """Convert in a confined process."""
    from export import conversion

    pytorch._TEXTS = write(Path(tempfile.mkdtemp()))
    conversion.convert_here(argument, steps)
