"""A bucket on a real S3 server, and runs from and to it with a stub for the model."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.remote.remote_run import Remote
from scorer.remote.search import Place
from scorer.remote.urls import parse_url
from tests.handles import handle_of
from tests.remote.s3_server import Asked, environment, serving, tampers
from tests.stubs import StubClassifier

BUCKET = "lake"


@dataclass
class Bucket:
    """A bucket, and what its server was asked."""

    client: Any
    asked: Asked = field(default_factory=list)

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """Read an object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of objects."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    def pending(self) -> list[Any]:
        """Return the multipart uploads that were begun and neither completed nor aborted."""
        found: list[Any] = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return found

    def fetched(self) -> list[str]:
        """Return the objects whose content was asked for, without the listings."""
        return [path for method, path in self.asked if method == "GET" and "list-type" not in path]


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, Asked]]:
    with serving() as found:
        yield found


@pytest.fixture
def bucket(
    server: tuple[str, Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """Return an empty bucket, with the environment that leads to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(server[0]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    server[1].clear()
    yield Bucket(client, server[1])
    tampers.clear()
    for each in Bucket(client).pending():
        client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])
    for key in Bucket(client).names():
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


def place(text: str | Path) -> Place:
    return text if isinstance(text, Path) else parse_url(text) or Path(text)


def run(
    stub: StubClassifier, *inputs: str | Path, output: str | Path | None = None, **options: Any
) -> list[Outcome]:
    remote = Remote(tuple(map(place, inputs)), None if output is None else place(output))
    return list(remote.run(RunOptions.of((), **options), model=handle_of(stub)))


def finished(
    *inputs: str | Path, output: str | Path | None = None, prune: bool = False
) -> list[str]:
    """Return the outputs that are removed after a run."""
    remote = Remote(tuple(map(place, inputs)), None if output is None else place(output))
    options = RunOptions()
    return [str(each) for each in remote.finish(options, remote.discover(options), prune=prune)]


def pruned(*inputs: str | Path, output: str | Path) -> list[str]:
    return finished(*inputs, output=output, prune=True)


def scored(outcomes: list[Outcome]) -> list[str]:
    return [each.url for each in outcomes if not each.up_to_date and not each.error]
