"""Files of web servers, for reading: the standard library's client, proxies and certificates."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from ssl import SSLCertVerificationError
from time import monotonic
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from scorer.errors import UsageError
from scorer.os_errors import writing
from scorer.remote.faults import CERTIFICATE, changed_meanwhile, fault, unreachable
from scorer.remote.urls import WEB, Object, Url

_BLOCK = 1 << 20  # bytes
_READ_TIMEOUT_S = 60
_SLOWEST = 600  # seconds for a block: a server that sends a byte a minute must end too
_GONE = {404, 410}
_AS_IT_IS = "%/:?#[]@!$&'()*+,;=~"  # of an address; people also write spaces and letters like ñ


class WebStore:
    """All web servers."""

    def head(self, url: Url) -> Object | None:
        """Look at a file; None if it is not there."""
        try:
            with _answer(url) as response:  # not HEAD: an address may be signed for GET alone
                return _object(url, response)
        except FileNotFoundError:
            return None

    def list(self, url: Url) -> Iterator[Object]:
        """Refuse: a web server has no directories."""
        raise UsageError(f"{url} names no file", "name each file: a web server lists none")

    def fetch(self, there: Object, path: Path) -> None:
        """Write a file's content to a new file."""
        url = there.url
        try:
            with _answer(url) as response, writing(path), path.open("xb") as file:
                now = _object(url, response)
                if now.tag != there.tag:
                    raise changed_meanwhile(url)
                while block := _block(url, response):
                    file.write(block)
                if now.size is not None and file.tell() != now.size:
                    why = f"the answer was cut off after {file.tell():,} of {now.size:,} bytes"
                    raise unreachable("reading", url, why)
        except FileNotFoundError as error:
            raise changed_meanwhile(url) from error


@contextmanager
def _answer(url: Url) -> Iterator[HTTPResponse]:
    user, _, host = url.host.rpartition("@")
    path = quote(url.key + (url.query and f"?{url.query}"), safe=_AS_IT_IS)
    with _asking(url):
        request = Request(f"{url.scheme}://{host}/{path}")  # noqa: S310 - http and https only
    request.add_header("Accept-Encoding", "identity")
    if user:
        secret = base64.b64encode(unquote(user).encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    with _asking(url):
        opened = build_opener(_Redirects).open(request, timeout=_READ_TIMEOUT_S)
    with cast("HTTPResponse", opened) as response:
        if response.status != HTTPStatus.OK:  # 204 and its like: what comes is not the file
            why = f"{response.status} {response.reason}"
            raise fault("reading", url, why, status=response.status)
        yield response


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another address on the web, and nowhere else."""

    def redirect_request(self, *answer: Any) -> Request | None:
        _, content, code, words, headers, address = answer
        if urlsplit(address).scheme not in WEB:
            raise HTTPError(address, code, words, headers, content)
        return super().redirect_request(*answer)


def _block(url: Url, response: HTTPResponse) -> bytes:
    block, end = bytearray(), monotonic() + _SLOWEST
    while len(block) < _BLOCK:
        with _asking(url):
            part = response.read1(_BLOCK - len(block))
        if not part:
            break
        block += part
        if monotonic() > end:
            raise unreachable("reading", url, "the answer comes too slowly")
    return bytes(block)


@contextmanager
def _asking(url: Url) -> Iterator[None]:
    """Turn what a server answers into an error of ours; FileNotFoundError where nothing is."""
    try:
        yield
    except HTTPError as error:
        error.close()
        if error.code in _GONE:
            raise FileNotFoundError from error
        # The words of a redirection hold an address, which may hold a signature.
        words = "it leads nowhere" if 300 <= error.code < 400 else error.reason
        why = f"{error.code} {words}"
        raise fault("reading", url, why, status=error.code) from error
    except URLError as error:
        if isinstance(error.reason, SSLCertVerificationError):
            why = f"the server's certificate is not trusted: {error.reason.verify_message}"
            raise fault("reading", url, why, code=CERTIFICATE) from error
        raise unreachable("reading", url, _words(error.reason)) from error
    except (InvalidURL, ValueError) as error:  # whose words may be all of the address
        raise UsageError(f"{url} is no address of a file", "check its host and port") from error
    except (HTTPException, OSError) as error:
        raise unreachable("reading", url, _words(error)) from error


def _words(reason: object) -> str:
    known = reason.strerror if isinstance(reason, OSError) else None
    return (known or str(reason) or type(reason).__name__).lower()


def _object(url: Url, response: HTTPResponse) -> Object:
    size, modified = response.headers["Content-Length"], response.headers["Last-Modified"]
    tag = response.headers["ETag"] or (modified and f"{modified} {size}") or ""
    return Object(url, int(size) if size else None, tag, _nanoseconds(modified))


def _nanoseconds(modified: str | None) -> int | None:
    """Return a time since 1970; None where a server says nothing that is one, say 0 or -1."""
    try:
        seconds = int(parsedate_to_datetime(modified or "").timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds * 1_000_000_000 if seconds > 0 else None
