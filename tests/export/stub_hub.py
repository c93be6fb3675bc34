"""A stand-in for the Hugging Face Hub: repositories of files, on loopback, by the Hub's API.

It answers what `huggingface_hub` asks to fetch a model: what a revision's commit and files are, and
the files, with the headers that name a content. What was asked stays in `asked`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import unquote

COMMIT = "c0ffee00" * 5
LATER = "decade00" * 5


@dataclass
class Repository:
    """A model of the stub: the files of each commit, and what its branches and tags stand for."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    gated: bool = False
    moved_to: str = ""  # a name of before: all questions are sent on

    def commit(self, revision: str) -> str | None:
        """Return the commit that a revision stands for."""
        found = self.refs.get(revision, revision)
        return found if found in self.commits else None


class StubHub:
    """A server on a free port, for as long as the block lasts."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self.repositories = dict(repositories)
        self.asked: list[str] = []  # METHOD path, in order
        hub = self

        class Handler(_Handler):
            """Answers for this stub."""

            stub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: nobody answers at the port any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    stub: StubHub

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer about a repository, or send a file of it."""
        path = unquote(self.path.partition("?")[0]).strip("/")
        self.stub.asked.append(f"{self.command} {path}")
        about = path.startswith("api/models/")
        words = path.removeprefix("api/models/").split("/")
        for length in (2, 1):  # OWNER/NAME, or a name without an owner
            name, rest = "/".join(words[:length]), words[length:]
            if (repository := self.stub.repositories.get(name)) is not None:
                break
        else:
            self._refuse(401, "RepoNotFound")
            return
        if repository.moved_to:
            self._send(307, b"", {"Location": self.path.replace(name, repository.moved_to, 1)})
            return
        revision = rest[1] if len(rest) > 1 else "main"
        commit = repository.commit(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound")
        elif about:
            files = [{"rfilename": file} for file in repository.commits[commit]]
            answer = {"id": name, "sha": commit, "siblings": files, "gated": repository.gated}
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        elif repository.gated:
            self._refuse(403, "GatedRepo")
        else:
            self._file(commit, repository.commits[commit].get("/".join(rest[2:])))

    def _file(self, commit: str, content: bytes | None) -> None:
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        etag = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    def _refuse(self, code: int, error: str) -> None:
        self._send(code, b"", {"X-Error-Code": error, "X-Error-Message": error})

    def _send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
