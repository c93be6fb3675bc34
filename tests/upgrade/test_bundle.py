"""A bundle that the version before exported is served by this one."""

import pytest

from tests.upgrade.cases import FIXTURES
from tests.upgrade.conftest import Box

BUNDLE = FIXTURES / "bundle"


@pytest.fixture
def anywhere(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return Box(tmp_path_factory.mktemp("anywhere"))


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_its_canary_passes(anywhere: Box, precision: str) -> None:
    """It is loaded and answers as PyTorch did when it was exported."""
    words = ("--model", BUNDLE, "--device", "builtin", "--precision", precision)
    shown = anywhere.call("doctor", *words)
    assert shown.exit_code == 0, shown.output
    assert "tiny 1, all hashes right" in shown.stdout
    assert "on 16 texts" in shown.stdout


def test_it_tells_what_it_is(anywhere: Box) -> None:
    """`model info` shows its metadata to people, and the file itself to programs."""
    shown = anywhere.call("model", "info", BUNDLE)
    assert shown.exit_code == 0, shown.output
    assert "negative, neutral, positive" in shown.stdout
    shown = anywhere.call("model", "info", BUNDLE, "--json")
    assert shown.stdout == (BUNDLE / "tweetscore.json").read_text("ascii")
