"""A missing extra is installed from where tweetscore itself came."""

import json
import shlex
from importlib import metadata
from pathlib import Path

import pytest

from scorer.hints import install


class StubDistribution:
    """What an installer recorded."""

    def __init__(self, recorded: object) -> None:
        self._text = None if recorded is None else json.dumps(recorded)

    def read_text(self, _: str) -> str | None:
        """Return it."""
        return self._text


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (None, ["tweetscore[ray]"]),
        ({"url": "file:///a%20b/t.whl", "archive_info": {}}, ["/a b/t.whl[ray]"]),
        ({"url": "file:///none", "dir_info": {"editable": True}}, ["-e", "/none[ray]"]),
        (
            {"url": "https://host/x.git", "vcs_info": {"vcs": "git"}},
            ["tweetscore[ray] @ git+https://host/x.git"],
        ),
        ({"url": "https://host/t.whl"}, ["tweetscore[ray] @ https://host/t.whl"]),
    ],
)
def test_the_command_names_the_place(
    monkeypatch: pytest.MonkeyPatch, recorded: object, words: list[str]
) -> None:
    """An index, a wheel, a checkout, a repository, an address."""
    both = [StubDistribution(None), StubDistribution(recorded)]
    monkeypatch.setattr(metadata, "distributions", lambda **_: both)
    command = shlex.split(install("ray"))
    assert command[command.index("install") + 1 :] == words


def test_a_checkout_has_its_pins() -> None:
    """What is installed beside the program is what was tested with it."""
    root = Path(__file__).parents[2]
    command = shlex.split(install("report"))
    assert command[-4:] == ["-c", f"{root}/requirements/constraints.txt", "-e", f"{root}[report]"]


def test_nobody_is_sent_to_an_index() -> None:
    """There the name may be anybody's."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("scorer/**/*.py"), *root.glob("docs/*.md"), root / "README.md"]
    dead = ["pip install 'tweetscore", 'pip install "tweetscore', "pip install tweetscore"]
    named = [path.name for path in sources for words in dead if words in path.read_text("utf-8")]
    assert [name for name in named if name != "cli.md"] == []
