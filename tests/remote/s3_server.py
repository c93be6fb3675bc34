"""A real S3 server on loopback: moto's, with every request that it gets written down."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.backends import get_backend
from moto.server import ThreadedMotoServer

Asked = list[tuple[str, str]]  # method, path with query
# Called with each request and what starts an answer; the server answers where they return None.
Tamper = Callable[[Any, Any], Iterable[bytes] | None]
tampers: list[Tamper] = []


@contextmanager
def serving() -> Iterator[tuple[str, Asked]]:
    """Yield the server's address, and what it has been asked so far."""
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    asked: Asked = []
    assert moto._server
    served = moto._server.app

    def app(environ: Any, start: Any) -> Any:
        query = environ["QUERY_STRING"]
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"] + (query and f"?{query}")))
        for tamper in tampers:
            if (answer := tamper(environ, start)) is not None:
                return answer
        return served(environ, start)

    moto._server.app = app
    try:
        yield f"http://{host}:{port}", asked
    finally:
        get_backend("s3").reset()  # all servers of a process share what they hold
        moto.stop()


def environment(address: str) -> dict[str, str]:
    """Return what leads a client there."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
