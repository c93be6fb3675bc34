"""What is forked is the real command: same words, same exit code, same files."""

import re
from pathlib import Path

import pytest

from tests.docs.test_pages import bench, run

LINES = [
    "tweetscore --version",
    "tweetscore run samples/hard.csv --scores all",
    "tweetscore run samples/tweets.csv -q && tweetscore verify samples/tweets.scored.csv",
    "tweetscore run samples/tweets.csv -o missing/out.csv",
    "tweetscore run samples/tweets.csv --no-such-option",
    "umask 027; tweetscore run samples/tweets.csv -q; stat -c %a samples/tweets.scored.csv",
    "head -3 samples/tweets.csv | tweetscore run - | tweetscore run - -q --label-column again",
    "TWEETSCORE_SCORES=all COLUMNS=60 tweetscore config run; tweetscore run --help",
    "tweetscore run samples/tweets.csv -q >/dev/full --dry-run",
]


@pytest.mark.parametrize("line", LINES)
def test_a_forked_command_is_the_real_one(programs: Path, tmp_path: Path, line: str) -> None:
    """Its output, but for seconds, its exit code, and every byte that it writes."""
    printed, left = [], []
    for name, path in (("real", ""), ("forked", f"{programs}:")):
        (folder := tmp_path / name / "x").mkdir(parents=True)
        words = run(f"{line}; echo $?", bench(folder), path)
        timeless = re.sub(r"\d+\.\d s( \([\d,]+ rows/s\))?", "N s", words)
        printed.append(timeless.replace(str(folder), "FOLDER"))
        outputs = [*folder.rglob("*.scored.*")]
        left.append(
            {each.name: each.read_bytes() for each in outputs if not each.name.endswith(".json")}
        )
    assert printed[0] == printed[1]
    assert left[0] == left[1]
