"""Opens hostile bundles in an interpreter of its own: what it loads, opens and says, as JSON.

Run as a program, with a mode, what the mode needs, and the bundles' directories.
"""

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY = 1 << 30  # bytes that opening may take beyond what an honest bundle took


def main() -> None:
    mode, first, *directories = sys.argv[1:]
    work = {"open": open_all, "run": run_all}[mode]
    answer = work(first, directories)
    answer["modules"] = sorted({name.partition(".")[0] for name in sys.modules})
    sys.stdout.write(json.dumps(answer))


def open_all(good: str, directories: list[str]) -> dict[str, Any]:
    """Open every bundle after a good one, with little memory, and note which files are opened."""
    from scorer.errors import TweetscoreError
    from scorer.inference.bundle import open_bundle

    open_bundle(Path(good))
    bound_memory()
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not isinstance(arguments[0], int):  # not a descriptor once more
            opened.append(str(arguments[0]))

    sys.addaudithook(note)
    refusals = {}
    for directory in directories:
        try:
            open_bundle(Path(directory))
        except TweetscoreError as error:
            refusals[directory] = error.exit_code
    return {"refusals": refusals, "opened": opened}


def bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_all(tweets: str, directories: list[str]) -> dict[str, Any]:
    """Run the command with every bundle, on tweets that have been scored before."""
    from click.testing import CliRunner

    from scorer.cli import tweetscore

    output = Path(tweets).with_suffix(".scored.csv")
    runs = {}
    for directory in directories:
        words = ["run", tweets, "--model", directory]
        result = CliRunner().invoke(tweetscore, words, prog_name="tweetscore")
        digest = hashlib.sha256(output.read_bytes()).hexdigest()
        runs[directory] = (result.exit_code, result.stdout, result.stderr, digest)
    return {"runs": runs}


if __name__ == "__main__":
    main()
