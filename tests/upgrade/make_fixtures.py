"""Makes `fixtures/`: what a version leaves to the next one, made by that version's own command.

    .venv/bin/python -m tests.upgrade.make_fixtures BEFORE/.venv/bin/tweetscore [NAME...]

With names, only those directories are made, with the bundle that is there.
BEFORE is a checkout of the commit before an upgrade, with its environment. Its command is run in
`/tmp/tweetscore-fixtures`, as reports hold absolute paths; that directory must not exist, is moved
to `fixtures/` in the end, and no path of this machine is in it. All texts are made up here.

The fixtures are as old as the oldest version whose outputs are still to be up to date: they are
made anew only when a change to the keys, to the state's version or to the embedded model is meant.

A run is killed by an audit hook in a `sitecustomize.py` that its interpreter imports, before or
after the rename that `cases.MOMENTS` names: the state is what SIGKILL leaves at that step.
"""

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from tests.upgrade.cases import (
    FIXTURES,
    MADE_IN,
    METRICS,
    MOMENTS,
    OBJECTS,
    OBJECTS_COMMAND,
    OUTPUTS,
    TIMES,
    UNFINISHED,
    Case,
    Unfinished,
)

MODIFIED = 1_790_000_000_123_456_789  # ns; of every input

TEXTS = (
    "what a lovely evening",
    "my train is late again",
    "lunch at noon, then home",
    "",
    "so tired of this rain",
    'she said "never" and left',
    "the new song is great!!",
    "nothing to report today",
    "queue, queue, queue :(",
    "best coffee in town 😂",
    "old bike for sale",
    "what a lovely evening",
)

_KILL = """
import os, signal, sys

def kill(event, arguments, when=os.environ["KILL_WHEN"], name=os.environ["KILL_AT"], due=[]):
    here = _is_it(event, arguments, name)
    if due or (here and when == "before"):
        due.clear()  # `os.kill` is an event too
        os.kill(os.getpid(), signal.SIGKILL)
    elif here:
        due.append(event)  # the rename comes after this event, the kill with the next one

def _is_it(event, arguments, name):
    return event == "os.rename" and os.path.basename(os.fspath(arguments[1])) == name

sys.addaudithook(kill)
"""


NOTHING: Mapping[str, str] = {}


class Maker:
    """Calls the command of the version before in a directory of its own."""

    def __init__(self, command: Path, root: Path) -> None:
        self._command = command
        self._root = root
        self._hook = root / "hook"
        self._hook.mkdir()
        (self._hook / "sitecustomize.py").write_text(_KILL, encoding="ascii")

    def run(
        self,
        directory: Path,
        words: Sequence[str],
        code: int = 0,
        more: Mapping[str, str] = NOTHING,
    ) -> None:
        """Run the command; `code` is what it has to exit with."""
        self._run(directory, words, code, more)

    def kill(
        self,
        directory: Path,
        words: Sequence[str],
        output: str,
        moment: str,
        more: Mapping[str, str] = NOTHING,
    ) -> None:
        """Run the command and kill it at one of the moments."""
        when, name = MOMENTS[moment]
        hook = {"PYTHONPATH": str(self._hook), "KILL_WHEN": when}
        hook |= {"KILL_AT": name.format(output=output)}
        self._run(directory, words, -signal.SIGKILL, {**more, **hook})

    def _run(
        self, directory: Path, words: Sequence[str], code: int, more: Mapping[str, str]
    ) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TWEETSCORE_")}
        ended = subprocess.run(
            [self._command, *words],
            cwd=directory,
            env={**clean, "PYTHONDONTWRITEBYTECODE": "1", **more},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ended.returncode != code:
            sys.exit(f"{words} ended with {ended.returncode}, not with {code}:\n{ended.stderr}")

    def remove_hook(self) -> None:
        """Remove what is no fixture."""
        shutil.rmtree(self._hook)


def csv_of(rows: Sequence[int], *, rejects: bool = False) -> str:
    """Return rows as CSV; after the second one a record that is no row, where one is wanted."""
    lines = ["id,text"]
    for row in rows:
        quoted = TEXTS[row].replace('"', '""')
        lines.append(f'{row:03d},"{quoted}"')
        if rejects and row == 2:
            lines.append("oops,one,cell,too,many")
    return "\n".join(lines) + "\n"


def ndjson_of(rows: Sequence[int]) -> str:
    """Return rows as NDJSON, with a nested member beside the text."""
    lines = [
        json.dumps({"id": f"{row:03d}", "text": TEXTS[row] or None, "user": {"n": row}})
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def table_of(rows: Sequence[int]) -> pa.Table:
    """Return rows as a table."""
    texts = pa.array([TEXTS[row] or None for row in rows])
    return pa.table({"id": pa.array(rows, pa.int32()), "text": texts})


def write_input(path: Path, rows: Sequence[int], *, rejects: bool = False) -> None:
    """Write rows in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(table_of(rows), path)
    elif path.suffix == ".arrow":
        feather.write_feather(table_of(rows), str(path), compression="uncompressed")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(csv_of(rows).encode(), mtime=0))
    elif path.suffix == ".ndjson":
        path.write_text(ndjson_of(rows), encoding="utf-8")
    else:
        path.write_text(csv_of(rows, rejects=rejects), encoding="utf-8")
    os.utime(path, ns=(MODIFIED, MODIFIED))


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write an input of a dialect of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    os.utime(path, ns=(MODIFIED, MODIFIED))


ALL = range(len(TEXTS))
FEW = range(6)
LARGE = {"taken-up", *(each.complete for each in UNFINISHED)}  # cases that have all rows


def make_bundle(maker: Maker, root: Path) -> None:
    """Export a BERT of 8 dimensions with random weights, whose answers differ by text."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    labels = ("negative", "neutral", "positive")
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters if letter.isalnum())]
    checkpoint = root / "checkpoint"
    checkpoint.mkdir()
    words = checkpoint / "vocab.txt"
    words.write_text("".join(f"{token}\n" for token in vocabulary), encoding="ascii")
    tokenizer = BertTokenizerFast(str(words))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    torch.manual_seed(4)
    model = BertForSequenceClassification(config).eval()
    texts = [f"{a} {b}" for a in TEXTS for b in TEXTS]
    encoded = tokenizer(texts, truncation=True, max_length=24, padding=True, return_tensors="pt")
    # The export refuses a model that gives all texts one label; the logits are small, so that the
    # boxes of this world agree on them within `verify`'s millionth.
    with torch.no_grad():
        model.classifier.weight *= 0.3 / model(**encoded).logits.std(0)[:, None]
        model.classifier.bias -= model(**encoded).logits.mean(0)
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    maker.run(root, ["model", "export", "checkpoint", "-o", "bundle", "--name", "tiny"])
    shutil.rmtree(checkpoint)
    shorten_canary(root / "bundle")


def shorten_canary(bundle: Path) -> None:
    """Keep 16 of the 256 texts: all of them would be a quarter of the fixtures."""
    canary, metadata = bundle / "canary.json", bundle / "tweetscore.json"
    lists = json.loads(canary.read_bytes())
    canary.write_text(json.dumps({name: found[:16] for name, found in lists.items()}), "ascii")
    said = json.loads(metadata.read_bytes())
    said["files"][canary.name] = hashlib.sha256(canary.read_bytes()).hexdigest()
    metadata.write_text(json.dumps(said, indent=1), "ascii")


def make_inputs(root: Path, cases: Sequence[Case]) -> None:
    """Write what the complete runs read."""
    for case in cases:
        name = case.words.split()[0]
        if case.name == "directory":
            write_input(root / case.name / "in" / "mon.csv", FEW)
            write_input(root / case.name / "in" / "tue.ndjson", FEW)
        elif case.name == "partitions":
            for day in (1, 2):
                write_input(root / case.name / f"lake/day={day}/a.csv", FEW)
        elif case.name == "dialect":
            lines = [
                f'{row};"caf\xe9 {TEXTS[row]}"'.replace('"never"', r"\"never\"") for row in FEW
            ]
            write_text(root / case.name / name, "\n".join(lines), "latin-1")
        elif case.name == "no-quotes":
            lines = [f"{row}\t{TEXTS[row]}" for row in FEW]
            write_text(root / case.name / name, "\n".join(["id\ttext", *lines, '7\t"open']) + "\n")
        else:
            rows = ALL if case.name in LARGE else FEW
            write_input(root / case.name / name, rows, rejects=case.name == "rejects")


def make_outputs(maker: Maker, root: Path, cases: Sequence[Case]) -> None:
    """Score them, each as its case has it."""
    for case in cases:
        directory = root / case.name
        if case.name == "taken-up":
            maker.kill(directory, case.command, case.outputs[0], "first-window")
        maker.run(directory, case.command)
        if case.name == "directory":
            maker.run(directory, [*case.command, "--metrics-file", METRICS])
        if case.name == "grown-ids":
            write_input(directory / "in.csv", range(9))
            maker.run(directory, case.command)
        if case.name == "failed-since":
            maker.run(directory, [*case.command, "--model", "none"], 78)


def make_unfinished(maker: Maker, root: Path) -> None:
    """Kill runs."""
    for each in UNFINISHED:
        directory, source = root / each.name, root / each.name / f"in.{each.kind}"
        rejects = each.kind == "csv"
        if each.last_night:
            write_input(source, FEW, rejects=rejects)
            maker.run(directory, each.command)
        write_input(source, ALL, rejects=rejects)
        maker.kill(directory, each.command, each.output, each.moment)
        check_state(directory, each)


def make_objects(maker: Maker, root: Path, name: str) -> None:
    """Score what is in a bucket, and keep the bucket and the work directory."""
    import boto3

    from tests.remote.s3_server import environment, serving

    directory = root / name
    write_input(directory / "a.csv", ALL, rejects=True)
    with serving() as (address, _), pytest.MonkeyPatch.context() as patch:
        found = environment(address)
        for key, value in found.items():
            patch.setenv(key, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        client.upload_file(str(directory / "a.csv"), "lake", "in/a.csv")
        (directory / "a.csv").unlink()
        found["XDG_CACHE_HOME"] = str(directory / "cache")
        if moment := OBJECTS[name]:
            maker.kill(directory, OBJECTS_COMMAND, "a.scored.csv", moment, found)
        else:
            maker.run(directory, OBJECTS_COMMAND, more=found)
        for each in client.list_objects_v2(Bucket="lake")["Contents"]:
            path = directory / "bucket" / each["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("lake", each["Key"], str(path))


def check_state(directory: Path, each: Unfinished) -> None:
    """Make sure that the run was killed where it should be."""
    state = directory / each.state
    journal = state.joinpath("journal").read_bytes().splitlines()
    intent = (state / "report.json").exists()
    if len(journal) != each.windows or intent != (each.moment in {"intent", "published"}):
        sys.exit(f"{directory} was killed elsewhere: {sorted(p.name for p in state.iterdir())}")


def write_times(root: Path) -> None:
    """Keep when each input and output was modified, in nanoseconds: git does not."""
    times = {
        str(path.relative_to(root)): path.stat().st_mtime_ns
        for path in sorted(root.rglob("[!.]*"))
        if path.is_file() and path.suffix != ".json" and path.parent != root / "bundle"
        if not path.parent.name.startswith(".") and path.parent.parent.suffix != ".tweetscore"
    }
    (root / TIMES).write_text(json.dumps(times, indent=0) + "\n", encoding="ascii")


def make_some(command: Path, names: Sequence[str]) -> None:
    """Make a few directories anew, and leave the others as they are."""
    root = Path(MADE_IN)
    root.mkdir()
    try:
        maker = Maker(command, root)
        shutil.copytree(FIXTURES / "bundle", root / "bundle")
        cases = [case for case in OUTPUTS if case.name in names]
        make_inputs(root, cases)
        make_outputs(maker, root, cases)
        for name in OBJECTS:
            if name in names:
                make_objects(maker, root, name)
        maker.remove_hook()
        write_times(root)
        old, new = (json.loads((each / TIMES).read_bytes()) for each in (FIXTURES, root))
        kept = {path: time for path, time in old.items() if path.split("/")[0] not in names}
        times = {path: (kept | new)[path] for path in sorted(kept | new, key=Path)}
        text = json.dumps(times, indent=0)
        (FIXTURES / TIMES).write_text(f"{text}\n", encoding="ascii")
        for name in names:
            shutil.rmtree(FIXTURES / name, ignore_errors=True)
            shutil.copytree(root / name, FIXTURES / name, symlinks=True)
    finally:
        shutil.rmtree(root)


def main(command: Path) -> None:
    """Make everything anew."""
    root = Path(MADE_IN)
    root.mkdir()
    try:
        maker = Maker(command, root)
        make_bundle(maker, root)
        make_inputs(root, OUTPUTS)
        make_outputs(maker, root, OUTPUTS)
        make_unfinished(maker, root)
        for name in OBJECTS:
            make_objects(maker, root, name)
        maker.remove_hook()
        write_times(root)
        (root / ".gitignore").write_text("# Outputs, reports and states are what these are.\n!*\n")
        shutil.rmtree(FIXTURES, ignore_errors=True)
        shutil.copytree(root, FIXTURES, symlinks=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    if sys.argv[2:]:
        make_some(Path(sys.argv[1]).absolute(), sys.argv[2:])
    else:
        main(Path(sys.argv[1]).absolute())
