"""The units of the samples under a real systemd: the first process of a namespace of its own.

Needs root, systemd 251 or newer, and curl. No unit of the box itself is started, and nothing on it
is changed but for an empty /etc/tweetscore: what the units write to is the namespace's own.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.samples.health_check import HealthCheck, health_check

pytestmark = pytest.mark.ci

ROOT = Path(__file__).parents[2]
CRON = ROOT / "samples" / "cron"
UNITS = sorted(CRON.glob("tweetscore*.service"))
USER_ID = 64_999

# What `systemctl edit` would write on this box, whose Python may be in a home. Without
# DefaultDependencies=no systemd would start the rest of the box first.
EDITED = """[Unit]
DefaultDependencies=no
After=systemd-journald.service
[Service]
{readable}
"""

DRIVER = """[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
After=systemd-journald.service
[Service]
Type=oneshot
ExecStart=/bin/sh {folder}/drive.sh
"""

# Waits for the ping as well, which starts when the run has ended.
DRIVE = """systemctl start tweetscore.service
systemctl show --property=Result,ExecMainStatus tweetscore.service >{folder}/result
journalctl --quiet --output=cat SYSLOG_IDENTIFIER=tweetscore >{folder}/said
while systemctl list-jobs --no-legend | grep -q ping; do sleep 0.1; done
journalctl --quiet --output=cat SYSLOG_IDENTIFIER=unit-ended.sh >{folder}/ping-said
systemctl exit 0
"""

# The places and the user that the units name exist in the namespace alone.
FIRST = """set -e
mount --make-rprivate /
for place in /run /opt /srv; do mount -t tmpfs tmpfs $place; done
cp -r {folder}/run/. /run/
install --directory --mode=2755 --group=systemd-journal /run/log/journal
mkdir /opt/tweetscore /srv/tweets
mount --bind {root} /opt/tweetscore
mount --bind {environment} /opt/tweetscore/.venv
mount --bind {tweets} /srv/tweets
mount --bind {folder}/etc /etc/tweetscore
for table in passwd group; do mount --bind {folder}/$table /etc/$table; done
exec env container=other /lib/systemd/systemd --system --unit=driver.service \
    --log-target=null --show-status=no
"""


class Box:
    """A folder of tweets, and a systemd that starts the sample's service on it."""

    def __init__(self, folder: Path, check: HealthCheck) -> None:
        self.check = check
        self.tweets = folder / "tweets"
        self.incoming = self.tweets / "incoming"
        self._folder = folder
        self.incoming.mkdir(parents=True)
        for directory in (self.tweets, self.incoming):
            os.chown(directory, USER_ID, USER_ID)
        (folder / "etc").mkdir()
        (folder / "etc" / "ping.env").write_text(f"PING_URL={check.url}\n")
        user = f"tweetscore:x:{USER_ID}:"
        for table, line in (
            ("passwd", f"{user}{USER_ID}::/:/usr/sbin/nologin\n"),
            ("group", f"{user}\n"),
        ):
            (folder / table).write_text(Path("/etc", table).read_text() + line)

    def night(self, *settings: str) -> dict[str, str]:
        """Start the service, with further settings; return systemd's verdict after the ping."""
        units = self._folder / "run" / "systemd" / "system"
        units.mkdir(parents=True, exist_ok=True)
        (self._folder / "run" / "lock").mkdir(exist_ok=True)
        for unit in UNITS:
            shutil.copy(unit, units)
            self._edit(units, unit.name, "local", EDITED.format(readable=self._readable()))
        self._edit(units, "tweetscore.service", "more", "\n".join(["[Service]", *settings]))
        words = {
            "folder": self._folder,
            "root": ROOT,
            "environment": sys.prefix,
            "tweets": self.tweets,
        }
        (units / "driver.service").write_text(DRIVER.format(**words))
        for name, script in (("drive", DRIVE), ("first", FIRST)):
            (self._folder / f"{name}.sh").write_text(script.format(**words))
        Path("/etc/tweetscore").mkdir(exist_ok=True)  # a place to mount on
        subprocess.run(
            ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--ipc", "--uts",
             "--kill-child", "sh", self._folder / "first.sh"],
            check=True,
            timeout=120,
        )  # fmt: skip
        return dict(line.split("=", 1) for line in self.read("result").splitlines())

    def read(self, name: str) -> str:
        """Return what the driver kept under a name."""
        return (self._folder / name).read_text()

    def _edit(self, units: Path, unit: str, name: str, text: str) -> None:
        folder = units / f"{unit}.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(text)

    def _readable(self) -> str:
        """Return the settings that show the unit a checkout and a Python in a home or in /tmp."""
        needed = sorted({ROOT, Path(sys.base_prefix), Path(sys.prefix)})
        hidden = [path for path in needed if path.parts[1] in {"root", "home", "tmp"}]
        binds = [f"BindReadOnlyPaths={path}" for path in hidden]
        return "\n".join(["ProtectHome=tmpfs", *binds] if hidden else [])


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    assert os.geteuid() == 0, "systemd in a namespace needs root"
    assert shutil.which("systemd-run"), "this test needs Debian's package systemd"
    with health_check() as check:
        yield Box(tmp_path, check)


def test_a_night_in_the_sandbox_scores_in_silence_and_pings_success(box: Box) -> None:
    shutil.copy(ROOT / "samples" / "tweets.parquet", box.incoming)
    assert box.night() == {"Result": "success", "ExecMainStatus": "0"}
    assert pl.read_parquet(box.tweets / "incoming.scored/tweets.scored.parquet").height == 296
    assert box.read("said") == ""
    assert box.read("ping-said") == ""
    ((path, message),) = box.check.pings
    assert path == "/the-uuid/0"
    assert message.splitlines()[0] == "tweetscore.service: success"


def test_a_bad_night_pings_its_exit_code_with_the_error(box: Box) -> None:
    (box.incoming / "broken.csv").write_text("id,text\n1,fine\n2,one,field,too,many\n")
    assert box.night() == {"Result": "exit-code", "ExecMainStatus": "65"}
    ((path, message),) = box.check.pings
    assert path == "/the-uuid/65"
    assert "the first on line 3: 5 cells where 2 are expected" in message


def test_the_sandbox_lets_nothing_be_written_elsewhere(box: Box, tmp_path: Path) -> None:
    shutil.copy(ROOT / "samples" / "tweets.csv", box.tweets)
    (tmp_path / "etc").chmod(0o777)
    program = "/opt/tweetscore/.venv/bin/tweetscore run -q /srv/tweets/tweets.csv"
    verdict = box.night("ExecStart=", f"ExecStart={program} -o /etc/tweetscore/scored.csv")
    assert verdict["ExecMainStatus"] == "73"
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["ping.env"]


def test_a_run_over_the_memory_cap_is_killed_and_done_by_the_next(box: Box) -> None:
    shutil.copy(ROOT / "samples" / "tweets.csv", box.incoming)
    verdict = box.night("MemoryMax=100M")
    assert verdict["ExecMainStatus"] == str(int(signal.SIGKILL))
    assert verdict["Result"] in {"oom-kill", "signal"}  # the second with cgroups of version 1
    assert not (box.tweets / "incoming.scored/tweets.scored.csv").exists()
    assert box.night()["Result"] == "success"
    assert (box.tweets / "incoming.scored/tweets.scored.csv").read_bytes().count(b"\n") == 297
    assert [path for path, _ in box.check.pings] == ["/the-uuid/fail", "/the-uuid/0"]


def test_the_units_are_in_order_and_the_sandbox_is_tight() -> None:
    """By a review of systemd's own: 10 is no sandbox at all, under 2 is what it calls safe."""
    verdict = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
         CRON / "tweetscore.service"],
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert verdict.returncode == 0, verdict.stdout.decode()[-300:]
    calendar = subprocess.run(
        ["systemd-analyze", "calendar", "*-*-* 03,05,07:15:00"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert "OnCalendar=*-*-* 03,05,07:15:00" in (CRON / "tweetscore.timer").read_text()
    assert "*-*-* 03,05,07:15:00" in calendar.stdout
