from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks.fork_server import ForkServer


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a `tweetscore` that starts in no time: see `tests/forks/`."""
    folder = tmp_path_factory.mktemp("bin")
    server = ForkServer("tests.forks.embedded_model")
    server.put_command(folder)
    yield folder
    server.close()
