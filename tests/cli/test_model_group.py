import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.cli import check_export_package
from scorer.errors import InvalidBundle
from scorer.installation import install

Invoke = Callable[..., Result]


def test_our_own_export_is_accepted() -> None:
    """The export that Python finds here is the folder beside scorer."""
    check_export_package()


def test_a_strangers_export_is_not_opened(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package of that common name is refused with 78, before any of it runs."""
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "__init__.py").write_text("raise SystemExit('ran')")
    (tmp_path / "export" / "cli.py").write_text("raise SystemExit('ran')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "export"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("model", "train")
    assert result.exit_code == 78
    assert str(tmp_path / "export") in result.stderr
    with pytest.raises(InvalidBundle, match="environment of its own"):
        check_export_package()


def test_a_missing_library_names_the_pip_line(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the message says what to install, and the exit code is 78."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("export", "torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [StubFinder(), *sys.meta_path])
    result = invoke("model", "--help")
    assert result.exit_code == 78
    assert result.stderr == (
        "tweetscore: training and exporting need the library torch, which is not installed; "
        f"try: {install('export')}\n"
    )


class StubFinder:
    """Finds export.commands missing a library, as on a box without the extra."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Find nothing, loudly."""
        if name == "export.commands":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_help_names_the_commands(invoke: Invoke) -> None:
    """`tweetscore model --help` lists export's commands."""
    result = invoke("model", "--help")
    assert result.exit_code == 0
    for name in ("train", "export", "check", "info"):
        assert f"\n  {name} " in result.stdout
