"""What runs before a commit and before a merge is what the Makefile and .ci/run say."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
HOOKS = ".pre-commit-config.yaml"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_a_commit_is_checked_by_the_programs_of_make_lint() -> None:
    """Those of .venv, whose versions are locked: the two can never disagree."""
    recipe = re.search(
        r"^lint: .*\n((\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert recipe
    linters = re.findall(r"\t\$\(BIN\)/([\w-]+(?: check| format| --no-cache)?)", recipe[1])
    hooks = chain.from_iterable(each["hooks"] for each in read(ROOT / HOOKS)["repos"])
    ours = [hook["entry"] for hook in hooks if hook["language"] == "system"]
    assert [entry.removesuffix(" --force-exclude") for entry in ours] == [
        f".venv/bin/{linter}" for linter in linters
    ]
    assert len(linters) == recipe[1].count("\n")


def test_the_workflow_runs_ci_and_may_change_nothing() -> None:
    """It calls .ci/run, only reads the repository, ends by itself, and pins its actions."""
    workflow = read(GITHUB / "workflows" / "ci.yml")
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"}
    assert job["timeout-minutes"] <= 90
    assert job["steps"][-1]["run"].endswith(" .ci/run")
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert actions
    assert [uses for uses in actions if not re.search(r"@(v\d+|[0-9a-f]{40})$", uses)] == []


def test_a_release_is_built_by_one_job_and_published_by_another() -> None:
    """Only a tag starts it; only the job that runs nothing of ours may ask PyPI to trust it."""
    workflow = read(GITHUB / "workflows" / "release.yml")
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in build
    assert "make dist" in [step.get("run") for step in build["steps"]]
    assert publish["needs"] == "build"
    assert publish["environment"] == "pypi"
    assert publish["permissions"] == {"id-token": "write"}
    assert [step for step in publish["steps"] if "run" in step] == []
    actions = [step["uses"] for job in (build, publish) for step in job["steps"] if "uses" in step]
    assert [uses for uses in actions if not re.search(r"@[0-9a-f]{40}$", uses)] == []


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_an_issue_form_can_be_shown(name: str) -> None:
    """It has what GitHub asks of one: a name, a description, fields with labels of their own."""
    form = read(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    labels = [field["attributes"]["label"] for field in fields]
    assert len({field["id"] for field in fields}) == len(set(labels)) == len(fields) > 0
