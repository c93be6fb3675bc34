"""The house stands as CONTRIBUTING describes it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CITATION.cff",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.es.md",
    "README.md",
    "SECURITY.md",
    "docs",
    "export",
    "pyproject.toml",
    "requirements",
    "samples",
    "scorer",
    "tests",
}


def tracked() -> list[Path]:
    """Return what git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(line) for line in listing.splitlines() if (ROOT / line).exists()]


def test_top_level_is_the_agreed_one() -> None:
    """Nothing lies beside the front door that is not meant to."""
    assert {file.parts[0] for file in tracked()} == TOP_LEVEL


def test_contributing_names_every_source_file() -> None:
    """The plan of the house has a line for each file of scorer/ and export/."""
    plan = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    sources = [f for f in tracked() if f.parts[0] in {"scorer", "export"} and f.suffix == ".py"]
    unnamed = [str(f) for f in sources if f.stat().st_size and f"`{f.name}`" not in plan]
    assert unnamed == []


def test_files_stay_small() -> None:
    """No source file is longer than 300 lines."""
    long = {
        str(file): count
        for file in tracked()
        if file.suffix == ".py"
        and file.parts[0] in {"scorer", "export"}
        and (count := len((ROOT / file).read_text("utf-8").splitlines())) > 300
    }
    assert long == {}


def test_tests_have_no_init_files() -> None:
    """An __init__.py under tests would make tests/scorer shadow scorer."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
