# ruff: noqa: F811 - the arguments of tests are named like the fixtures
"""The first night after an upgrade, for objects: what was done is not done again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.remote.conftest import Bucket, bucket, server  # noqa: F401 - fixtures
from tests.upgrade.cases import FIXTURES, OBJECTS_COMMAND
from tests.upgrade.conftest import Box, change_json, computing

Boxes = Callable[..., Box]
REPORT = "out/.tweetscore/a.scored.csv.run.json"
DELIVERED = ["out/.tweetscore/a.scored.csv.rejects.ndjson", REPORT, "out/a.scored.csv"]


@pytest.fixture
def night(box: Boxes, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Box]:
    """Return a function that fills the bucket, and returns the box with its work directory."""

    def of(name: str) -> Box:
        found = box(name)
        held = found.directory / "bucket"
        for path in held.rglob("*"):
            if path.is_file():
                bucket.put(str(path.relative_to(held)), path.read_bytes())
        cache = found.directory / "cache"
        for directory in (*cache.glob("tweetscore/*"), *cache.rglob(".*.tweetscore")):
            directory.chmod(0o700)  # which git does not keep
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        bucket.asked.clear()
        return found

    return of


def test_what_was_delivered_is_up_to_date_and_moved(
    night: Callable[[str], Box],
    bucket: Bucket,
) -> None:
    """Nothing is fetched but what moves; the night after moves nothing."""
    box = night("objects")
    for said in (box.run(*OBJECTS_COMMAND), box.run(*OBJECTS_COMMAND)):
        assert said[0] == "tweetscore: s3://lake/out/a.scored.csv is up to date: 12 rows"
        assert bucket.names("out/") == DELIVERED
    assert "/lake/in/a.csv" not in bucket.fetched()
    old = FIXTURES / "objects/bucket/out"
    assert bucket.get(REPORT) == (old / "a.scored.csv.run.json").read_bytes()
    assert bucket.get("out/a.scored.csv") == (old / "a.scored.csv").read_bytes()


def test_a_run_that_was_killed_before_the_upload_goes_on(
    night: Callable[[str], Box],
    bucket: Bucket,
    here: dict[str, Any],
) -> None:
    """What it had fetched and scored is used."""
    box = night("objects-first-window")
    (plan,) = box.directory.rglob("plan.json")
    change_json(plan, lambda found: found["plan"].update(computing(here)))
    said = box.run(*OBJECTS_COMMAND)
    assert "; 4 were done already" in said[0]
    assert "/lake/in/a.csv" not in bucket.fetched()
    assert bucket.names("out/") == DELIVERED
    left = [path.name for path in (box.directory / "cache").rglob("*") if path.is_file()]
    assert sorted(left) == ["desk.lock", "sent.json"]
