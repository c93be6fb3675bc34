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
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
LOCKS = ("core", "cpu", "cuda", "dev", "engines", "docs", "bench")
# The groups that have an environment and a lock of their own.
APART = ("airflow", "dbt")
# Distributions that are used without an import of that name.
WITHOUT_IMPORT = {
    "onnxruntime-gpu": "onnxruntime",
    "accelerate": "transformers",  # the Trainer imports it
    "optimum-onnx": "optimum",
    "scikit-learn": "sklearn",
    "sentencepiece": "transformers",  # imports it to convert a slow tokenizer
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
    names = ("databases", "lake", "metrics", "ray", "remote", "report", "spark")
    of_extras = [line for name in names for line in extras[name]]
    brought = {"botocore", "daft"}  # the first is a part of boto3, which pins it
    assert imported("scorer") - brought == modules([*PROJECT["dependencies"], *of_extras])


def test_the_export_imports_what_it_declares() -> None:
    """The export extra and the core cover the training half; nothing of the extra is idle."""
    core = modules(PROJECT["dependencies"])
    extra = modules(PROJECT["optional-dependencies"]["export"])
    used = imported("export")
    assert used <= core | extra
    assert extra <= used


def test_the_benchmark_imports_what_it_declares() -> None:
    """Every peer of the group takes part; what else a script imports, core and export bring."""
    peers = modules(PYPROJECT["dependency-groups"]["bench"])
    known = modules([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["export"]])
    used = imported("benchmarks") - {"benchmarks", "pytest", "tests"}
    assert peers <= used <= known | peers


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


def pins(file: str) -> dict[str, Requirement]:
    """Return what a file of requirements/ pins, each package once, by its name."""
    lines = (ROOT / "requirements" / f"{file}.txt").read_text("utf-8").splitlines()
    found = [
        Requirement(line.partition(" #")[0].rstrip(" \\")) for line in lines if line[0].isalnum()
    ]
    assert len({pin.name for pin in found}) == len(found)
    return {pin.name: pin for pin in found}


def version(pin: Requirement) -> Version:
    return Version(str(pin.specifier).removeprefix("=="))


def declared() -> Iterator[str]:
    """Yield what one environment may have of pyproject.toml: the core, the extras, the groups."""
    yield from PROJECT["dependencies"]
    yield from chain.from_iterable(PROJECT["optional-dependencies"].values())
    groups = PYPROJECT["dependency-groups"]
    yield from chain.from_iterable(groups[name] for name in groups if name not in APART)


def test_constraints_pin_versions_that_the_project_admits() -> None:
    """Every dependency is pinned within the bounds of pyproject: `make lock` was run."""
    pinned = pins("constraints")
    for line in declared():
        wanted = Requirement(line)
        assert wanted.specifier.contains(version(pinned[canonicalize_name(wanted.name)])), line


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_has_the_versions_of_the_constraints_and_a_hash_for_each(file: str) -> None:
    """An extra that is added later brings no other version, and pip never has to trust a name."""
    pinned = pins("constraints")
    assert [pin for pin in pins(file).values() if version(pin) != version(pinned[pin.name])] == []
    assert_hashed(file)


def assert_hashed(file: str) -> None:
    """Fail unless a lock has nothing but packages of one version with their hashes."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text("utf-8")
    digest = r"    --hash=sha256:[0-9a-f]{64}"
    entry = rf"[a-z0-9-]+==[^ ]+( ; [^\\\n]+)? \\\n({digest} \\\n)*{digest}\n"
    assert re.fullmatch(rf"(#.*\n)*({entry})+", text)


@pytest.mark.parametrize("group", APART)
def test_an_environment_apart_has_what_its_group_asks_for(group: str) -> None:
    """Its lock is as new as pyproject.toml, and has a hash for each package."""
    pinned = pins(group)
    for line in PYPROJECT["dependency-groups"][group]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(version(pinned[wanted.name])), line
    assert_hashed(group)


def test_dbt_scores_with_the_versions_of_the_nightly_box() -> None:
    """All that tweetscore asks for has in dbt's environment a version that it admits.

    What decides a score is pinned exactly, so that it is the very same.
    """
    pinned, core = pins("dbt"), pins("core")
    for wanted in map(Requirement, PROJECT["dependencies"]):
        assert wanted.specifier.contains(version(pinned[wanted.name])), wanted
    exact = [pin for pin in map(Requirement, PROJECT["dependencies"]) if "==" in str(pin.specifier)]
    assert [pin.name for pin in exact if version(pinned[pin.name]) != version(core[pin.name])] == []


def test_the_light_lock_is_the_core_with_the_other_onnx_runtime() -> None:
    """The same versions of the same packages: an answer cannot change with the lock."""
    core, light = pins("core"), pins("cpu")
    assert set(core) - set(light) == {"onnxruntime-gpu"}
    assert set(light) <= set(core)
    assert light["onnxruntime"].marker is None
    assert version(light["onnxruntime"]) == version(core["onnxruntime-gpu"])


def test_uv_is_told_the_same_onnx_runtime() -> None:
    """The file that `make lock` makes the light lock with serves installations by uv, too."""
    gpu, cpu = pins("core")["onnxruntime-gpu"], pins("cpu-overrides")
    assert cpu["onnxruntime"].marker is None
    assert cpu["onnxruntime-gpu"].marker is not None
    assert not cpu["onnxruntime-gpu"].marker.evaluate()
    assert {version(pin) for pin in cpu.values()} == {version(gpu)}


def test_the_locks_together_have_every_package_but_torch() -> None:
    """Its hashes differ between indexes; requirements/README.md says so."""
    locked = {name for file in LOCKS for name in pins(file)}
    assert set(pins("constraints")) - locked == {"torch"}


def test_the_tests_run_with_the_locked_versions() -> None:
    """A version that was installed by hand proves nothing about the locked one."""
    locked = pins("core") | pins("dev")
    here = [pin for pin in locked.values() if pin.marker is None or pin.marker.evaluate()]
    other = {pin.name: metadata.version(pin.name) for pin in here}
    assert other == {pin.name: str(version(pin)) for pin in here}


def test_requirements_name_no_index_and_no_build_of_one_box() -> None:
    """A host or a local version such as +cpu would tie them to one package index."""
    for file in ("constraints", *LOCKS, *APART):
        text = (ROOT / "requirements" / f"{file}.txt").read_text("utf-8")
        assert not re.search(r"[+@/]|--(?!hash=)", text), file


def test_what_builds_tweetscore_is_locked() -> None:
    """`make run` builds without an environment of its own, for which pip would check no hash."""
    assert PYPROJECT["dependency-groups"]["build"] == PYPROJECT["build-system"]["requires"]


def test_the_metadata_that_overrides_a_package_is_of_its_version() -> None:
    """After an upgrade of torch or Daft their requirements have to be checked again."""
    overrides = PYPROJECT["tool"]["uv"]["dependency-metadata"]
    pinned = pins("constraints")
    assert {each["name"]: Version(each["version"]) for each in overrides} == {
        name: version(pinned[name]) for name in ("torch", "daft")
    }
