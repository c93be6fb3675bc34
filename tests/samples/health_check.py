"""A stub of a health check's server, on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class HealthCheck:
    """The pings that a stub server received, as (path, message)."""

    url: str
    pings: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def health_check() -> Iterator[HealthCheck]:
    """Listen on a free port of loopback, and answer every ping with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = self.rfile.read(int(self.headers["Content-Length"])).decode()
            check.pings.append((self.path, message))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        check = HealthCheck(f"http://127.0.0.1:{server.server_port}/the-uuid")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield check
        finally:
            server.shutdown()
            thread.join()
