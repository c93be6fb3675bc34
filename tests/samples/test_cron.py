"""The crontab of the samples works where cron runs it: no terminal, hardly an environment."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "tweetscore"


def crontab_command(replacements: dict[str, str]) -> list[str]:
    """Return the one entry of the sample crontab as cron would run it."""
    text = (ROOT / "samples" / "cron" / "tweetscore.crontab").read_text("utf-8")
    for sample, real in replacements.items():
        assert sample in text
        text = text.replace(sample, real)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    settings = [line for line in lines if re.match(r"[A-Z]+=", line)]
    (entry,) = (line for line in lines if line not in settings)
    command = re.sub(r"^(\S+\s+){5}", "", entry)
    bare = ["SHELL=/bin/sh", "PATH=/usr/bin:/bin", "HOME=/", "LOGNAME=nobody"]
    return ["env", "-i", *bare, *settings, "/bin/sh", "-c", f"{command} <&-"]


def cron(folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = crontab_command(
        {
            "/opt/tweetscore/.venv/bin/tweetscore": str(PROGRAM),
            "/opt/tweetscore/samples/cron": str(ROOT / "samples" / "cron"),
            "/srv/tweets": str(folder),
        }
    )
    return subprocess.run(command, cwd="/", capture_output=True, check=False)


def test_two_nights_are_silent_and_write_the_same(tmp_path: Path) -> None:
    """The second has nothing to do; neither gives cron cause for a mail."""
    shutil.copy(ROOT / "samples" / "tweets.parquet", tmp_path)
    outputs = []
    for _ in range(2):
        night = cron(tmp_path)
        assert (night.returncode, night.stdout, night.stderr) == (0, b"", b"")
        outputs.append((tmp_path / "tweets.scored.parquet").read_bytes())
    assert outputs[0] == outputs[1]
    scored = pl.read_parquet(tmp_path / "tweets.scored.parquet")
    assert scored["label"].null_count() == 0


def test_a_bad_night_says_so_in_two_lines(tmp_path: Path) -> None:
    """Without an input cron gets the error, its exit code and something to mail."""
    night = cron(tmp_path)
    lines = night.stderr.decode().splitlines()
    assert night.returncode == 66
    assert night.stdout == b""
    assert "tweets.parquet" in lines[0]
    assert lines[-1].endswith("exit code 66")
