"""The tree is as CONTRIBUTING describes it."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    ".dockerignore",
    "Dockerfile",
    "compose.yaml",
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
    "benchmarks",
    "docs",
    "export",
    "pyproject.toml",
    "requirements",
    "samples",
    "scorer",
    "tests",
    "tweetscore",
}


def tracked() -> list[Path]:
    """Return what git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(line) for line in listing.splitlines() if (ROOT / line).exists()]


def test_top_level_is_the_agreed_one() -> None:
    """No other file or folder lies at the top level."""
    assert {file.parts[0] for file in tracked()} == TOP_LEVEL


def test_contributing_names_every_package() -> None:
    """The table of packages has each folder of scorer/, and each folder of export/."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    folders = {"/".join(f.parts[:2]) for f in tracked() if f.parts[0] == "scorer" and f.parts[2:]}
    steps = {f.parts[1] for f in tracked() if f.parts[0] == "export" and f.parts[2:]}
    assert [name for name in sorted(folders) if f"`{name}/`" not in page] == []
    assert [name for name in sorted(steps) if f"`{name}/`" not in page] == []


def test_every_file_says_what_it_is_for() -> None:
    """The first line of each file of what is shipped is a sentence about it."""
    silent = [
        str(file)
        for file in tracked()
        if file.suffix == ".py" and file.parts[0] in {"scorer", "export", "tweetscore"}
        if ast.get_docstring(ast.parse((ROOT / file).read_text("utf-8"))) is None
    ]
    assert silent == []


def test_no_two_modules_have_one_name() -> None:
    """A traceback's file name says which file it is, within scorer/ and within export/."""
    for package in ("scorer", "export"):
        names = [f.stem for f in tracked() if f.suffix == ".py" and f.parts[0] == package]
        assert {n for n in names if n != "__init__" and names.count(n) > 1} == set()


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
