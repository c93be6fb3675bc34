"""The Dockerfile copies what is there and nobody runs as root; the compose file takes no rights."""

import fnmatch
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STEPS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
    if line and not line.startswith("#")
]


def copied() -> set[str]:
    """Return the files and folders that the Dockerfile takes from the checkout."""
    calls = [rest.split() for word, rest in STEPS if word == "COPY"]
    return {name for call in calls if "--from=" not in call[0] for name in call[:-1]}


def test_it_copies_what_is_there_and_what_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    for name in copied():
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), name


def test_both_targets_run_as_a_numbered_user_and_prove_the_model() -> None:
    """Kubernetes cannot tell from a name that it is not root."""
    heads = [n for n, (word, _) in enumerate(STEPS) if word == "FROM"]
    stages = {
        STEPS[start][1].split()[-1]: STEPS[start:end]
        for start, end in zip(heads, [*heads[1:], len(STEPS)], strict=True)
    }
    assert ("USER", "10001:10001") in stages["runtime"]
    for target in ("cpu", "cuda"):
        assert stages[target][0] == ("FROM", f"runtime AS {target}")
        assert not [step for step in stages[target] if step[0] == "USER"]
        assert stages[target][-1][1].startswith('["tweetscore", "doctor"')


def test_every_lock_is_installed_with_its_hashes() -> None:
    installs = [rest for word, rest in STEPS if word == "RUN" and "-r requirements/" in rest]
    assert len(installs) == 2
    assert all("--no-deps --require-hashes" in call for call in installs)


@pytest.mark.parametrize("name", ["doctor", "run"])
def test_a_service_has_no_rights(name: str) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    service: dict[str, Any] = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["network_mode"] == "none"
    assert service["restart"] == "no"


def test_a_run_waits_for_the_doctor() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert services["run"]["depends_on"] == {
        "doctor": {"condition": "service_completed_successfully"}
    }
