"""The directory in which a test runs the command: tonight's input and last night's output."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.places import names

WINDOW = 200  # rows; a workspace's input has five windows


@dataclass(frozen=True, slots=True)
class Workspace:
    """A directory with tonight's input and last night's output in it."""

    kind: str  # csv, ndjson, arrow or parquet
    directory: Path

    @property
    def input(self) -> Path:
        """Return tonight's input."""
        return self.directory / f"in.{self.kind}"

    @property
    def output(self) -> Path:
        """Return the output."""
        return self.directory / f"out.{self.kind}"

    @property
    def state(self) -> Path:
        """Return the state directory of an unfinished run."""
        return self.directory / f".tweetscore/out.{self.kind}.state"

    @property
    def command(self) -> list[str]:
        """Return the arguments of the run."""
        rejects = ["--max-rejects", "20"] if self.kind in {"csv", "ndjson"} else []
        words = ["run", self.input.name, "-o", self.output.name]
        return [*words, "--chunk-rows", str(WINDOW), *rejects]

    def products(self) -> "Products":
        """Read the output, the rejects and the figures of the report."""
        report = json.loads(
            self.directory.joinpath(f".tweetscore/{self.output.name}.run.json").read_bytes()
        )
        rejects = self.directory / f".tweetscore/{self.output.name}.rejects.ndjson"
        figures = {name: report[name] for name in ("counters", "labels", "model", "error")}
        figures["sha256"] = report["output"]["sha256"]
        return Products(
            self.output.read_bytes(), rejects.read_bytes() if rejects.exists() else None, figures
        )

    def names(self) -> set[str]:
        """Return the names of all files and directories in it."""
        return names(self.directory)

    def copy(self, directory: Path) -> "Workspace":
        """Return the same workspace, times of files and all, in a new directory."""
        shutil.copytree(self.directory, directory, symlinks=True)
        return Workspace(self.kind, directory)

    def output_state(self) -> tuple[str, int, int]:
        """Return what changes when anything about the output changes."""
        status = self.output.stat()
        digest = hashlib.sha256(self.output.read_bytes()).hexdigest()
        return digest, status.st_mtime_ns, status.st_ino


@dataclass(frozen=True, slots=True)
class Products:
    """What must be the same, however often a run was interrupted."""

    output: bytes = field(repr=False)
    rejects: bytes | None = field(repr=False)
    figures: dict[str, Any]


def write_csv(path: Path, rows: range) -> None:
    """Write tweets with blanks and records that are no rows among them."""
    lines = ["id,text"]
    for row in rows:
        lines.append(
            f'{row:06d},"tweet {row}, {"la " * (row % 40)}"' if row % 17 else f"{row:06d},"
        )
        if row % 150 == 75:
            lines.append(f"{row},one,cell,too,many")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_ndjson(path: Path, rows: range) -> None:
    """Write the same tweets, and lines that are no rows among them."""
    lines = []
    for row in rows:
        text = f"tweet {row}, {'la ' * (row % 40)}" if row % 17 else None
        lines.append(json.dumps({"id": f"{row:06d}", "text": text}))
        if row % 150 == 75:
            lines.append("{")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(rows: range) -> pa.Table:
    """Return the same tweets, all of them rows."""
    texts = [f"tweet {row}, {'la ' * (row % 40)}" if row % 17 else None for row in rows]
    return pa.table({"id": [f"{row:06d}" for row in rows], "text": texts})


def write_parquet(path: Path, rows: range) -> None:
    """Write them in several row groups."""
    pq.write_table(table(rows), path, row_group_size=300)


def write_arrow(path: Path, rows: range) -> None:
    """Write them in several record batches."""
    content = table(rows)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with path.open("wb") as file, pa.ipc.new_file(file, content.schema, options=options) as writer:
        writer.write_table(content, max_chunksize=300)


def write_input(workspace: Workspace, rows: range) -> None:
    """Write tonight's tweets."""
    write = {
        "arrow": write_arrow,
        "csv": write_csv,
        "ndjson": write_ndjson,
        "parquet": write_parquet,
    }
    write[workspace.kind](workspace.input, rows)
