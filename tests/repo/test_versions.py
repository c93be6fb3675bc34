"""The version is written in pyproject.toml, and read where it is installed."""

from collections.abc import Iterator
from importlib import metadata

import pytest

from scorer.errors import InvalidBundle
from scorer.monitor.versions import library_versions, tweetscore_version


@pytest.fixture(autouse=True)
def asked_afresh() -> Iterator[None]:
    """Forget what was looked up, before the test and after it."""
    tweetscore_version.cache_clear()
    library_versions.cache_clear()
    yield
    tweetscore_version.cache_clear()
    library_versions.cache_clear()


def absent(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_files_that_nobody_installed_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown version cannot decide whether answers may be reused."""
    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(InvalidBundle, match=r"not installed.*; run pip install --no-deps -e \."):
        tweetscore_version()


def test_a_library_that_is_absent_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two ONNX Runtimes always is."""
    monkeypatch.setattr(metadata, "version", absent)
    assert set(library_versions()) == {"python"}
