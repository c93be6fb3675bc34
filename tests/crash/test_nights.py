"""Thirty nights of a growing file: kills, an upgrade of the model, a full disk."""

import csv
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.harness import Zygote
from tests.crash.workspace import Workspace, write_input
from tests.stubs import LABELS, answer

NIGHTS, UPGRADE, FULL_DISK = 30, 10, 20
ROWS = 60  # that every night has more than the last one

pytestmark = pytest.mark.ci


def edition(night: int) -> str:
    return "2" if night >= UPGRADE else "1"


def disturb(workspace: Workspace, watched: Zygote, night: int) -> list[int]:
    """Let the night's first attempts go wrong; return their exit codes."""
    chance = random.Random(night)  # noqa: S311 - no secret, and the same every time
    attempts = [
        (chance.choice(["kill", "torn"]), edition(night)) for _ in range(chance.randint(0, 3))
    ]
    if night == UPGRADE:
        attempts = [("kill", edition(night - 1)), *attempts]
    if night == FULL_DISK:
        attempts = [("full", edition(night)), *attempts]
    codes = []
    for fault, model in attempts:
        at = chance.randint(20, 50) if fault == "full" else chance.randint(1, 110)
        stub = {"edition": model}
        ended = watched.run(workspace.command, workspace.directory, fault=fault, at=at, stub=stub)
        codes.append(ended.code)
        assert ended.code in ({74} if fault == "full" else {0, -9}), ended.stderr
    return codes


def check_content(workspace: Workspace, night: int) -> None:
    """Every tweet is there once, with the answer of the night's model; the report says the same."""
    with workspace.output.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(1, ROWS * night + 1))
    counts: Counter[str] = Counter()
    for row in rows:
        expected = ("", "")
        if row["text"]:
            label, probability = answer(row["text"].strip(), edition(night))
            expected = (LABELS[label], str(probability))
        assert (row["label"], row["score"]) == expected
        counts[row["label"]] += 1
    report = json.loads((workspace.directory / ".tweetscore/out.csv.run.json").read_bytes())
    rejects = workspace.directory / ".tweetscore/out.csv.rejects.ndjson"
    rejected = len(rejects.read_text("utf-8").splitlines()) if rejects.exists() else 0
    counters = report["counters"]
    assert counters["rows"] == report["output"]["rows"] == len(rows)
    assert counters["blank"] == counts.pop("")
    assert counters["rejected"] == rejected
    assert counters["read"] == counters["scored"] + counters["blank"] + rejected
    assert {label["name"]: label["rows"] for label in report["labels"]} == counts
    assert report["model"]["version"] == edition(night)


def test_thirty_nights(
    watched: Zygote,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    """Whatever happened in a night, the output is that of undisturbed nights."""
    workspaces = [Workspace("csv", tmp_path / name) for name in ("stormy", "quiet")]
    stormy, quiet = workspaces
    for workspace in workspaces:
        workspace.directory.mkdir()
    codes: Counter[int] = Counter()
    reused = 0
    for night in range(1, NIGHTS + 1):
        write_input(stormy, range(1, ROWS * night + 1))
        quiet.input.unlink(missing_ok=True)
        quiet.input.hardlink_to(stormy.input)
        codes.update(disturb(stormy, watched, night))
        stub = {"edition": edition(night)}
        # Cron's retry, and the twin on a box where nothing ever happens.
        ended = watched.run(stormy.command, stormy.directory, stub=stub)
        twin = watched.run(quiet.command, quiet.directory, stub=stub)
        assert (ended.code, twin.code) == (0, 0), ended.stderr
        assert stormy.products() == quiet.products()
        assert stormy.names() == quiet.names()
        check_content(stormy, night)
        verified = watched.run(["verify", stormy.output.name], stormy.directory)
        assert verified.code == 0, verified.stderr
        reused += twin.windows - ended.windows
    figure(f"{NIGHTS} nights: attempts ended with {dict(codes)}; {reused} windows reused")
    assert codes[74] == 1
    assert codes[-9] > NIGHTS / 2
    assert reused > 0
