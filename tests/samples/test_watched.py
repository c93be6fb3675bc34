"""The wrapper that pings a health check before and after a cron job. Needs curl."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.samples.health_check import health_check

pytestmark = pytest.mark.ci

WATCHED = Path(__file__).parents[2] / "samples" / "cron" / "watched.sh"


def watched(url: str, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WATCHED, "sh", "-c", script],
        env={"PATH": os.environ["PATH"], "PING_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_good_job_is_silent_and_pings_start_and_success() -> None:
    with health_check() as check:
        done = watched(check.url, "exit 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert check.pings == [("/the-uuid/start", ""), ("/the-uuid/0", "")]


def test_a_bad_job_keeps_its_code_and_words_and_pings_them() -> None:
    with health_check() as check:
        done = watched(check.url, "echo no such file >&2; exit 66")
    assert (done.returncode, done.stdout, done.stderr) == (66, "", "no such file\n")
    assert check.pings[-1] == ("/the-uuid/66", "no such file\n")


def test_a_job_without_anybody_to_tell_ends_as_it_ended() -> None:
    with health_check() as check:
        pass  # now nobody listens there
    done = watched(check.url, "exit 3")
    assert done.returncode == 3
    assert "the health check did not get the end" in done.stderr
