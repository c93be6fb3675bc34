"""Inputs from the Hugging Face Hub: its own file system, against a stub of the Hub's API."""

import hashlib
import json
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import HfFileSystem
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from scorer.errors import InputMissing, StorageError
from scorer.remote import hub
from tests.remote.conftest import run

CSV = b"id,text\n1,good+\n"
API = "/api/datasets/me/set"


class StubHub(BaseHTTPRequestHandler):
    """One data set of a few files; `asked` are the contents that were sent."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        """Answer as the Hub does, as far as reading goes."""
        path = self.path.partition("?")[0]
        if path in {API, f"{API}/revision/main"}:
            self.answer({"id": "me/set", "sha": "0" * 40, "siblings": []})
        elif path.startswith(f"{API}/tree/main"):
            below = path.removeprefix(f"{API}/tree/main").strip("/")
            self.answer([self.entry(name) for name in self.files if name.startswith(f"{below}/")])
        elif path.startswith("/datasets/me/set/resolve/main/"):
            self.send_content(path.removeprefix("/datasets/me/set/resolve/main/"))
        else:
            self.answer({}, 404, "RepoNotFound")

    def do_POST(self) -> None:
        """Answer about the paths that are asked for."""
        wanted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer([self.entry(name) for name in self.files if name.replace("/", "%2F") in wanted])

    def entry(self, name: str) -> dict[str, Any]:
        """Describe a file."""
        content = self.files[name]
        # As git names a content.
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
        commit = {"id": "0" * 40, "title": "more", "date": "2026-11-24T00:00:00.000Z"}
        size = len(content)
        return {"type": "file", "path": name, "size": size, "oid": oid, "lastCommit": commit}

    def send_content(self, name: str) -> None:
        """Send the range that is asked for."""
        self.asked.append(name)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        content = self.files[name][int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, content: Any, code: int = 200, error: str = "") -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stub_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StubHub]]:
    class Handler(StubHub):
        files = {"a/x.csv": CSV, "a/b/y.csv": CSV, "a/README.md": b"#"}  # noqa: RUF012 - a fresh one
        asked = []  # noqa: RUF012 - likewise

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(
            hub, "HfFileSystem", partial(HfFileSystem, endpoint=address, token=False)
        )
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Handler
        server.shutdown()
        thread.join()


def test_the_files_of_a_data_set_are_scored_once(
    stub: Any, stub_hub: type[StubHub], tmp_path: Path
) -> None:
    """A directory is listed; what has another content is fetched the next time, nothing else."""
    where = {"output": tmp_path / "out"}
    outcomes = run(stub, "hf://datasets/me/set/a/", **where)
    assert [each.error for each in outcomes] == [None, None]
    assert (tmp_path / "out/b/y.scored.csv").read_text().endswith("1,good+,positive,0.8\n")
    stub_hub.asked.clear()
    assert all(each.up_to_date for each in run(stub, "hf://datasets/me/set/a/", **where))
    assert stub_hub.asked == []
    stub_hub.files["a/x.csv"] = CSV + b"2,bad-\n"
    fates = [each.up_to_date for each in run(stub, "hf://datasets/me/set/a/*.csv", **where)]
    assert fates == [False]
    assert (tmp_path / "out/x.scored.csv").read_text().endswith("2,bad-,negative,0.8\n")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (code, InputMissing if code in {401, 403, 451, 501} else StorageError)
        for code in (401, 403, 429, 451, 500, 501, 503)
    ],
)
def test_a_status_is_of_its_kind(
    stub: Any,
    stub_hub: type[StubHub],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: type[Exception],
) -> None:
    """Only a failure that may pass is an error of the network."""

    def refuse(self: StubHub) -> None:
        self.answer({}, status)

    monkeypatch.setattr(stub_hub, "do_GET", refuse)
    monkeypatch.setattr(stub_hub, "do_POST", refuse)
    with pytest.raises(kind) as caught:
        run(stub, "hf://datasets/me/set/a/x.csv", output=tmp_path / "x.csv")
    assert ("run again when the network is well" in str(caught.value)) is (kind is StorageError)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (OfflineModeIsEnabled("no"), " cannot be read, as HF_HUB_OFFLINE is set; unset HF_HUB_"),
        (HFValidationError("no"), " names no data set; write hf://datasets/USER/NAME[@REVISION]"),
    ],
)
def test_a_hub_that_is_not_asked_is_not_the_networks_fault(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, words: str
) -> None:
    """A setting, and a name that none of its data sets can have."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise cause

    monkeypatch.setattr(HfFileSystem, "info", refuse)
    with pytest.raises(InputMissing) as caught:
        run(stub, "hf://datasets/me/set/a/x.csv", output=tmp_path / "x.csv")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ((CSV[:5], len(CSV)), "failed: the answer was cut off; run again"),
        ((CSV[:5], 5), "failed: what came is not what the Hub names; run again"),
        ((CSV.replace(b"good", b"evil"), len(CSV)), "failed: what came is not what the Hub names;"),
    ],
)
def test_what_is_not_the_content_that_was_named_is_no_input(
    stub: Any,
    stub_hub: type[StubHub],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: tuple[bytes, int],
    words: str,
) -> None:
    """Cut off, pieced together or another: the Hub names a content by its hash."""

    def send(self: StubHub, _: str) -> None:
        self.send_response(206)
        self.send_header("Content-Length", str(sent[1]))
        self.end_headers()
        self.wfile.write(sent[0])

    monkeypatch.setattr(stub_hub, "send_content", send)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between one try and the next
    (outcome,) = run(stub, "hf://datasets/me/set/a/x.csv", output=tmp_path / "x.csv")
    assert isinstance(outcome.error, StorageError)
    assert words in str(outcome.error)
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("name", ["me/set/none.csv", "you/set/x.csv"])
def test_what_is_not_there_is_an_input_that_is_missing(
    stub: Any, stub_hub: type[StubHub], tmp_path: Path, name: str
) -> None:
    """A file and a repository alike."""
    with pytest.raises(InputMissing) as caught:
        run(stub, f"hf://datasets/{name}", output=tmp_path / "x.csv")
    assert str(caught.value).startswith(f"hf://datasets/{name} ")
