from pathlib import Path

import pytest

from scorer import Scorer


@pytest.fixture(scope="session")
def tiny(tiny_bert_bundle: Path) -> Scorer:
    return Scorer(tiny_bert_bundle, device="builtin")
