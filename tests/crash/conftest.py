"""Crash fixtures and the process that runs are forked from, made once per session."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixture
from tests.crash.harness import Zygote

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep what a test has measured, for the end of the session."""
    kept = request.config.stash.setdefault(_FIGURES, [])
    return lambda words: kept.append(f"{request.node.name}: {words}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if kept := terminalreporter.config.stash.get(_FIGURES, []):
        terminalreporter.section("kills, faults, races")
        terminalreporter.write_line("\n".join(kept))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash").resolve()


@pytest.fixture(scope="session")
def zygote(scratch: Path) -> Iterator[Zygote]:
    parent = Zygote(scratch)
    yield parent
    parent.close()


@pytest.fixture(scope="session")
def shim(scratch: Path) -> Path:
    """Compile the faults library."""
    library = scratch / "faults.so"
    source = Path(__file__).with_name("faults.c")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def watched(scratch: Path, shim: Path) -> Iterator[Zygote]:
    """Return a zygote whose runs can be armed."""
    directory = scratch / "watched"
    directory.mkdir()
    parent = Zygote(directory, preload=shim)
    yield parent
    parent.close()


@pytest.fixture(scope="session")
def crash_fixture(scratch: Path, zygote: Zygote) -> Callable[[str], CrashFixture]:
    """Return the crash fixture of a format, made when it is first asked for."""
    built: dict[str, CrashFixture] = {}

    def of(kind: str) -> CrashFixture:
        if kind not in built:
            built[kind] = CrashFixture(kind, scratch / kind, zygote)
        return built[kind]

    return of
