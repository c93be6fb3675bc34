"""Contents of files in every format, made in memory: the same bytes whenever they are made."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial

import polars as pl

ROWS = [{"id": 1, "text": "I love it"}, {"id": 2, "text": "so sad"}]
FRAME = pl.DataFrame(ROWS)
NDJSON = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
ARRAY = json.dumps(ROWS).encode()
gzipped = partial(gzip.compress, mtime=0)


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    """Return what is written into a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    """Return a zip archive of one file."""

    def write(buffer: io.BytesIO) -> None:
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(zipfile.ZipInfo(name), content)

    return written(write)


def tarred(name: str, content: bytes) -> bytes:
    """Return a gzipped tar archive of one file."""

    def write(buffer: io.BytesIO) -> None:
        with tarfile.open(fileobj=buffer, mode="w") as file:
            (entry := tarfile.TarInfo(name)).size = len(content)
            file.addfile(entry, io.BytesIO(content))

    return gzipped(written(write))
