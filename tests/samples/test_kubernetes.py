"""The sample CronJob is valid, knows the exit codes of the program, and its command is one."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scorer.errors import OUTSIDE_BOUND
from tests.docs.test_exit_codes import known_codes

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "samples" / "kubernetes" / "cronjob.yaml"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
#: The same command may succeed: the device, the disk or another run stood in the way, or a signal.
RETRIED = {69, 74, 75, 130, 137, 143}
NO_FAILURE = {0, 141}  # 141: who read the output through a pipe has read enough


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(MANIFEST.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def container(job: dict[str, Any]) -> dict[str, Any]:
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    found: dict[str, Any] = only
    return found


@pytest.mark.ci
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_kubernetes_takes_it(job: dict[str, Any], version: str) -> None:
    """By the API's own schema; an unknown or misspelt field is an error."""
    import kubernetes_validate

    kubernetes_validate.validate(job, version, strict=True)
    job = yaml.safe_load(MANIFEST.read_text("utf-8"))
    job["spec"]["concurrencyPolice"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, version, strict=True)


def test_every_exit_code_is_retried_or_fails_the_job(job: dict[str, Any]) -> None:
    spec = job["spec"]["jobTemplate"]["spec"]
    (fails,) = [rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert fails["onExitCodes"]["operator"] == "In"
    failing = fails["onExitCodes"]["values"]
    assert failing == sorted(known_codes() - RETRIED - NO_FAILURE)
    assert OUTSIDE_BOUND in failing
    assert spec["backoffLimit"] > 0
    for codes in (failing, sorted(RETRIED)):
        assert f"| {', '.join(map(str, codes))} |" in PAGE


def test_one_night_at_a_time_without_rights(job: dict[str, Any], container: dict[str, Any]) -> None:
    """The policy on failures needs restartPolicy Never; nothing is written but to the volumes."""
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    policy = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]
    assert policy["onExitCodes"]["containerName"] == container["name"]


def test_its_command_is_one(container: dict[str, Any], programs: Path, tmp_path: Path) -> None:
    """Folders of this box in the place of the volumes; the rest as it stands there."""
    (tmp_path / "tweets").mkdir()
    (tmp_path / "tweets" / "a.csv").write_text("text\nI love it\n", "utf-8")
    words = [f"{tmp_path}{word}" if word[0] == "/" else word for word in container["args"]]
    assert words[0] == "run"
    done = subprocess.run(
        [programs / "tweetscore", *words], capture_output=True, text=True, check=True
    )
    assert '"event": "total"' in done.stderr
    assert (tmp_path / "scored" / "a.scored.csv").exists()
