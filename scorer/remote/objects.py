"""S3, Google Cloud Storage and Azure: the only user of obstore."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from scorer.errors import InputMissing, OutputRefused, StorageError, TweetscoreError
from scorer.os_errors import reading, writing
from scorer.prefetch import interruptible
from scorer.remote.faults import (
    CERTIFICATE,
    NO_STORE,
    Doing,
    changed_meanwhile,
    fault,
)
from scorer.remote.urls import Object, Url

if TYPE_CHECKING:
    from scorer.remote.s3 import Aws

_RANGE = 16 << 20  # bytes fetched by one request
_PART = 16 << 20  # bytes sent by one request; more where a file would have too many parts
_PARTS = 9_000  # S3 admits 10,000
_SENDERS = 4  # parts on their way at once
_ONE_REQUEST = 32 << 20  # bytes; obstore has no conditions for what is sent in parts
_RETRIES = 6
_READ_TIMEOUT_S = 60
_SHA256 = "tweetscore-sha256"
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MACHINE = re.compile(r"token request: .* http://(169\.254\.169\.254|metadata\.google)")
_REFUSED = re.compile(r'invalid path: [^"]*Path ("[^"]*")')
_STATUS = re.compile(r"(?<=status code: )(\d{3}) [A-Za-z ]+\w")
_DENIED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
# What obstore's message means without a status: the reason, and the arguments of `fault`.
_SIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    "redirect without LOCATION": ("the bucket is in another region", {"status": 301}),
    "InvalidCertificate": ("the server's certificate is not trusted", {"code": CERTIFICATE}),
    "builder error": ("the server's address is none of https", {"code": NO_STORE}),
    "invalid list response": ("what answers is no store", {"code": NO_STORE}),
    "non-partial response": ("the store sends no part of an object", {"code": NO_STORE}),
    "kind: Connect": ("no connection", {}),
    "kind: Timeout": ("no answer in time", {}),
    "kind: Interrupted": ("the answer was cut off", {}),
}


class ObjectStore:
    """One bucket."""

    def __init__(self, bucket: Url) -> None:
        self._options: dict[str, Any] = {
            # A night may have a bad minute; a server that is gone should not hold it up for ever.
            "retry_config": {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=90)},
            "client_options": {
                "connect_timeout": timedelta(seconds=10),
                "read_timeout": timedelta(seconds=_READ_TIMEOUT_S),
                "timeout": timedelta(minutes=10),
            },
        }
        self._aws = _aws(bucket) if bucket.scheme == "s3" else None
        if self._aws:
            self._options |= self._aws.options
            self._options["client_options"]["allow_http"] = self._aws.is_plain
        try:
            self._store = from_url(bucket.address, **self._options)
        except (exceptions.BaseError, ValueError) as error:
            why = _tail(str(error).partition("\n\n")[0]).rpartition("error: ")[2].lower()
            raise InputMissing(
                f"{bucket} cannot be opened: {why}",
                "check the name, the credentials and what they permit",
            ) from error

    def head(self, url: Url) -> Object | None:
        """Look at an object; None if it is not there."""
        try:
            with self._asking(url):
                found = interruptible(
                    lambda: obstore.get(self._store, url.key, options={"head": True})
                )
        except FileNotFoundError:
            return None
        return _object(url, found.meta, found.attributes.get(_SHA256))

    def list(self, url: Url) -> Iterator[Object]:
        """Yield all objects below a directory."""
        if self._aws:
            yield from self._aws.list(url)
            return
        with self._asking(url):
            pages = interruptible(lambda: obstore.list(self._store, prefix=url.key or None))
            while page := interruptible(lambda: next(pages, None)):
                for meta in page:
                    yield _object(url.with_key(meta["path"]), meta)

    def fetch(self, there: Object, path: Path) -> None:
        """Write an object's content to a new file, a range at a time, all of one version."""
        url, size = there.url, there.size or 0
        with writing(path), path.open("xb") as file:
            for start in range(0, size, _RANGE):
                file.write(self._range(there, start, min(size, start + _RANGE)))
            if file.tell() != size:
                raise changed_meanwhile(url)

    def _range(self, there: Object, start: int, end: int) -> memoryview:
        options: Any = {"range": (start, end)} | ({"if_match": there.tag} if there.tag else {})
        try:
            with self._asking(there.url):
                content, tag = interruptible(lambda: self._content(there.url, options))
        except (FileNotFoundError, exceptions.PreconditionError) as error:
            raise changed_meanwhile(there.url) from error
        if tag != there.tag:  # of a store that knows no conditions
            raise changed_meanwhile(there.url)
        return content

    def check(self, url: Url) -> None:
        """Raise OutputRefused if the bucket of an output is missing or closed to us."""
        with self._sending(url):
            # Where nothing lies: an answer is all that is wanted.
            pages = obstore.list(self._store, prefix=f"{url.key}/.tweetscore")
            interruptible(lambda: next(pages, None))

    def read(self, url: Url) -> tuple[bytes, str] | None:
        """Return a small object and its tag."""
        try:
            with self._asking(url):
                content, tag = interruptible(lambda: self._content(url, {}))
                return bytes(content), tag
        except FileNotFoundError:
            return None

    def _content(self, url: Url, options: Any) -> tuple[memoryview, str]:
        found = obstore.get(self._store, url.key, options=options)
        return memoryview(found.bytes()), str(found.meta["e_tag"] or "")

    def upload(self, path: Path, url: Url, sha256: str, replaces: Object | None) -> None:
        """Let a file's content become an object, all of it or nothing.

        A small file goes in one request, which the store refuses if meanwhile something else
        is there. Parts of a larger one are taken back when the upload fails or is interrupted.

        Args:
            path: The file.
            url: The object.
            sha256: What `Object.sha256` will be.
            replaces: What may be there: another content stays and is an OutputRefused.
        """
        with self._sending(url):
            try:
                if path.stat().st_size <= _ONE_REQUEST:
                    how = {"attributes": {_SHA256: sha256}, "mode": _mode(replaces)}
                    interruptible(partial(self._put, url, path.read_bytes(), **how))
                else:
                    self._put_parts(url, path, sha256)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
                # An answer that was lost is asked for again, and then our own content is there.
                there = self.head(url)
                if there is None or there.sha256 != sha256:
                    raise OutputRefused(
                        f"somebody else wrote {url} while this run did", "run again"
                    ) from error

    def _put_parts(self, url: Url, path: Path, sha256: str) -> None:
        stop = Event()
        part = max(_PART, path.stat().st_size // _PARTS)
        send = partial(
            self._put, url, _blocks(path, part, stop), attributes={_SHA256: sha256},
            use_multipart=True, chunk_size=part, max_concurrency=_SENDERS,
        )  # fmt: skip
        interruptible(send, cancel=stop.set)

    def _put(self, url: Url, content: Any, **how: Any) -> str:
        return str(obstore.put(self._store, url.key, content, **how)["e_tag"] or "")

    def write(self, content: bytes, url: Url) -> str:
        """Write a small object, whatever is there, and return its tag."""
        with self._sending(url):
            how = {"attributes": {"Content-Type": "application/json"}}
            return interruptible(partial(self._put, url, content, **how))

    def delete(self, url: Url) -> None:
        """Remove an object, if it is there."""
        with self._sending(url):
            interruptible(lambda: obstore.delete(self._store, url.key))

    def lake_options(self) -> dict[str, str]:
        """Return how `deltalake` reaches the bucket: Google's and Azure's by the environment."""
        return self._aws.lake_options() if self._aws else {}

    @contextmanager
    def _asking(self, url: Url) -> Iterator[None]:
        """Turn what a store answers to a reader into an error of ours; not there stays as it is."""
        try:
            yield
        except (FileNotFoundError, exceptions.PreconditionError, TweetscoreError):
            raise
        except (exceptions.BaseError, ValueError) as error:
            raise _fault("reading", url, error) from error

    @contextmanager
    def _sending(self, url: Url) -> Iterator[None]:
        """Turn what a store answers to a writer into an error of ours."""
        try:
            yield
        except TweetscoreError:
            raise
        except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise _fault("writing", url, error) from error


def _fault(doing: Doing, url: Url, error: Exception) -> TweetscoreError:
    """Return what an error of obstore means; it tells most of it in words only."""
    if match := _REFUSED.search(str(error)):
        return InputMissing(
            f"{url} cannot be listed: its client refuses the name {match[1]} below it",
            "copy that object to another name and remove it, or name the others one by one",
        )
    text, _, details = str(error).partition("\n\nDebug source")
    if _MACHINE.search(text):  # the last place that is asked for credentials
        return fault(doing, url, "no credentials were found", status=401)
    if match := _STATUS.search(text):
        code = found[1] if (found := _CODE.search(text)) else ""
        return fault(doing, url, code or match[0], status=int(match[1]), code=code)
    for sign, (why, facts) in _SIGNS.items():
        if sign in text or sign in details:
            return fault(doing, url, why, **facts)
    why = _tail(text) or "no answer"
    return fault(doing, url, why, status=401 if isinstance(error, _DENIED) else None)


def _tail(text: str) -> str:
    """Return the end of what a store says, its reason, without an address in it."""
    text = text.rpartition(" - ")[2].rpartition("provider: ")[2]
    return re.sub(r"https?://\S+", "the store", text).strip().rstrip(".")


def _object(url: Url, meta: Any, sha256: str | None = None) -> Object:
    modified = int(meta["last_modified"].timestamp() * 1e6) * 1000
    return Object(url, meta["size"], meta["e_tag"] or "", modified, meta["version"], sha256)


def _mode(replaces: Object | None) -> Any:
    """Return what the store is to hold the object against that is there."""
    if replaces is None:
        return "create"
    seen = {"e_tag": replaces.tag, "version": replaces.version}
    return {name: value for name, value in seen.items() if value} or "overwrite"


def _blocks(path: Path, size: int, stop: Event) -> Iterator[bytes]:
    """Yield a file's content until `stop` is set: then the upload fails and is taken back."""
    with reading(path), path.open("rb") as file:
        while block := file.read(size):
            if stop.is_set():
                raise StorageError("the upload was stopped", "run again")
            yield block


def _aws(bucket: Url) -> "Aws":
    from scorer.remote.s3 import Aws  # Google's and Azure's stores need none of it

    return Aws(bucket)
