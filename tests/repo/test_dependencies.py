"""The declared dependencies are the ones that are used."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Distributions that are used without an import of that name.
WITHOUT_IMPORT = {
    "onnxruntime-gpu": "onnxruntime",
    "accelerate": "transformers",  # the Trainer imports it
    "optimum-onnx": "optimum",
    "scikit-learn": "sklearn",
    "vl-convert-python": "vl_convert",
}


def imported(package: str) -> set[str]:
    """Return the top-level modules that a package's files import, wherever in the file."""
    found: set[str] = set()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"scorer", "export"}


def modules(requirements: list[str]) -> set[str]:
    names = {Requirement(line).name for line in requirements}
    return {WITHOUT_IMPORT.get(name, name).replace("-", "_") for name in names}


def test_the_scorer_imports_what_it_declares() -> None:
    """No dependency of the core or of an extra is missing, and none is there for nothing.

    Daft has no extra: it admits no pyarrow that the core does.
    """
    extras = PROJECT["optional-dependencies"]
    names = ("databases", "metrics", "ray", "remote", "report", "spark")
    doors = [line for name in names for line in extras[name]]
    brought = {"botocore", "daft"}  # the first is a part of boto3, which pins it
    assert imported("scorer") - brought == modules([*PROJECT["dependencies"], *doors])


def test_the_export_imports_what_it_declares() -> None:
    """The export extra and the core cover the training half; nothing of the extra is idle."""
    core = modules(PROJECT["dependencies"])
    extra = modules(PROJECT["optional-dependencies"]["export"])
    used = imported("export")
    assert used <= core | extra
    assert extra <= used


def test_the_benchmark_imports_what_it_declares() -> None:
    """Every peer of the extra takes part; what else a script imports, the other extras bring."""
    extras = PROJECT["optional-dependencies"]
    known = modules([*PROJECT["dependencies"], *extras["export"], *extras["bench"]])
    used = imported("tests/bench") - {"pytest", "tests"}
    assert modules(extras["bench"]) <= used <= known


def test_one_onnx_runtime_is_installed() -> None:
    """The distributions that own the module onnxruntime are never installed together."""
    owners = metadata.packages_distributions()["onnxruntime"]
    assert len(set(owners)) == 1


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [
        ("linux", "x86_64", {"onnxruntime-gpu", "onnxruntime-ep-openvino"}),
        ("linux", "aarch64", {"onnxruntime"}),
        ("darwin", "arm64", {"onnxruntime"}),
        ("win32", "AMD64", {"onnxruntime-gpu"}),
        ("win32", "ARM64", {"onnxruntime"}),
    ],
)
def test_each_platform_asks_for_one_onnx_runtime(
    platform: str, machine: str, expected: set[str]
) -> None:
    """The markers pick one runtime, and the plugin only where it has a wheel."""
    environment = {"sys_platform": platform, "platform_machine": machine}
    wanted = {
        requirement.name
        for requirement in map(Requirement, PROJECT["dependencies"])
        if requirement.name.startswith("onnxruntime")
        and (requirement.marker is None or requirement.marker.evaluate(environment))
    }
    assert wanted == expected


def constraints() -> Iterator[Requirement]:
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line)


def test_constraints_pin_versions_that_the_project_admits() -> None:
    """Every dependency is pinned once, within the bounds that pyproject gives."""
    pins = {
        pin.name.lower(): Version(str(pin.specifier).removeprefix("==")) for pin in constraints()
    }
    extras = PROJECT["optional-dependencies"]
    names = ("databases", "export", "bench", "metrics", "ray", "remote", "report", "dev", "spark")
    for line in chain(PROJECT["dependencies"], *(extras[name] for name in names)):
        wanted = Requirement(line)
        # Another platform's (one box has one runtime), and an extra of our own.
        if wanted.name in {"onnxruntime", PROJECT["name"]}:
            continue
        assert wanted.specifier.contains(pins[wanted.name]), line


def test_constraints_name_no_build_of_one_box() -> None:
    """A local version such as +cpu would tie the pins to one package index."""
    assert not [str(pin) for pin in constraints() if re.search(r"[+@/]", str(pin))]
