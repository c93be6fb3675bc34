"""Scores one file after the other with a stub, in a process of its own that may be killed.

Reads a line of JSON for each file from stdin and answers with one: what became of it, how long
it took and the most memory that it needed.
"""

import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import TweetscoreError
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.hostile.parquet_compare import difference
from tests.reports import report_json
from tests.stubs import StubClassifier


def main(memory: int, *, fork: bool) -> None:
    """Answer requests until there are none; with `fork`, each in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        if not fork:
            _answer(line)
        elif (child := os.fork()) == 0:
            _answer(line)
            os._exit(0)
        elif status := os.waitpid(child, 0)[1]:
            print(json.dumps({"outcome": f"died: {status}"}), flush=True)  # noqa: T201 - the answer to the parent


def _answer(line: str) -> None:
    request = json.loads(line)
    path = Path(request["input"])
    output = path.parent / "out" / f"out{path.suffix}"
    output.parent.mkdir()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    before, start = _status("VmRSS"), time.process_time()
    answer = _attempt(path, output)
    answer["seconds"] = time.process_time() - start
    answer["peak"] = _status("VmHWM") - before
    if answer["outcome"] == "scored" and request["compare"]:
        answer["difference"] = _compare(path, output, answer)
    answer["published"] = output.exists()
    shutil.rmtree(output.parent)
    print(json.dumps(answer), flush=True)  # noqa: T201 - the answer to the parent


def _attempt(path: Path, output: Path) -> dict[str, Any]:
    stub = StubClassifier()
    options = RunOptions.of((path,), output=output)
    try:
        (outcome,) = pipeline.run(options, model=handle_of(stub))
    except TweetscoreError as error:
        return _refused(error)
    except BaseException as error:  # noqa: BLE001 - what must never happen is what is looked for
        return {"outcome": f"raised {type(error).__name__}: {error}"}
    if outcome.error:
        return _refused(outcome.error)
    report = report_json(outcome)
    dropped = report["output"].get("schema_keys", {}).get("dropped", [])
    return {"outcome": "scored", "rows": report["counters"], "dropped": dropped}


def _refused(error: TweetscoreError) -> dict[str, Any]:
    return {"outcome": "refused", "code": error.exit_code, "message": str(error)}


def _compare(path: Path, output: Path, answer: dict[str, Any]) -> str:
    if path.suffix == ".parquet":
        whole, copied = output.read_bytes(), path.read_bytes()
        if not whole.startswith(copied[: -8 - int.from_bytes(copied[-8:-4], "little")]):
            return "the bytes before the footer"
        try:
            before = read_table(path)
        except (pa.ArrowException, OSError, ValueError):  # of a column that a run does not read
            return ""
    else:
        before = read_table(path)
    after = read_table(output)
    counted = answer["rows"]
    parts = counted["scored"] + counted["blank"] + counted["rejected"]
    if not len(before) == len(after) == counted["read"] == parts:
        return f"{len(before)} rows became {len(after)}, counted as {counted}"
    if answer["dropped"]:  # a schema of Arrow's that is not the footer's: types are the footer's
        names = [name for name in ("id", "text") if name in before.schema.names]
        before, after = before.select(names), after.select([*names, "label", "score"])
        before = before.replace_schema_metadata(after.schema.metadata)
    return difference(before, after)


def read_table(path: Path) -> pa.Table:
    """Read a file as pyarrow does."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            return file.read()
    opened = pa.ipc.open_file if path.read_bytes()[:6] == b"ARROW1" else pa.ipc.open_stream
    with path.open("rb") as content, opened(content) as reader:
        return reader.read_all()


def _status(name: str) -> int:
    """Return a figure of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


if __name__ == "__main__":
    main(int(sys.argv[1]), fork=sys.argv[2] == "fork")
