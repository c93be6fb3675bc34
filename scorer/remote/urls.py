"""URLs of objects: taken apart, put together, and shown without what is secret (pure)."""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from scorer.errors import UsageError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)/?(.*)", re.IGNORECASE | re.DOTALL)
_SAME = {"s3a": "s3", "gcs": "gs", "azure": "az"}  # other spellings
STORES = {"s3", "gs", "az", "abfs", "abfss"}  # can be listed and written
WEB = {"http", "https"}
HUB = "hf"
_SUPPORTED = "supported are s3://, gs://, az://, abfs://, https:// and hf://datasets/"
_HUB_ROOT = re.compile(r"([^/]+/[^/]+)/?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Url:
    """One object, or a prefix of many.

    Attributes:
        scheme: One of the names above.
        host: The bucket, container, server or repository, with user and password if it had any.
        key: The path below it, as written; it ends with a slash where a directory is meant.
        query: Of a web address: what follows the question mark.
    """

    scheme: str
    host: str
    key: str
    query: str = ""

    def __str__(self) -> str:
        """Return the URL as people may read it: no password, no signature."""
        user, at, host = self.host.rpartition("@")
        secret = at and self.scheme != HUB and (":" in user or self.scheme in WEB)
        host = f"***@{host}" if secret else self.host
        return f"{self.scheme}://{host}/{self.key}" + ("?***" if self.query else "")

    @property
    def address(self) -> str:
        """All of it, secrets too: for the library that opens it."""
        return f"{self.scheme}://{self.host}/{self.key}" + (self.query and f"?{self.query}")

    @property
    def name(self) -> str:
        """The last part of the path, as a file would be named."""
        name = self.key.rpartition("/")[2]
        return unquote(name).replace("/", "_") if self.scheme in WEB else name

    @property
    def is_directory(self) -> bool:
        """Whether it is written as one."""
        return not self.key or self.key.endswith("/")

    @property
    def parent(self) -> "Url":
        """The directory that the object lies in."""
        above, slash, _ = self.key.rpartition("/")
        return replace(self, key=above + slash, query="")

    def with_key(self, key: str) -> "Url":
        """Return another object of the same bucket."""
        return replace(self, key=key)

    def with_name(self, name: str) -> "Url":
        """Return the object of another name in the same directory."""
        return self.with_key(self.parent.key + name)


def parse_url(text: str) -> Url | None:
    """Return what a URL says; None for a path.

    Raises:
        UsageError: It is of a kind that we cannot open, or it names no bucket.
    """
    if not (match := _URL.fullmatch(text)):
        return None
    scheme, host, key = match[1].lower(), match[2], match[3]
    scheme = _SAME.get(scheme, scheme)
    if scheme not in STORES | WEB | {HUB}:
        raise UsageError(f"{scheme}:// is not supported", _SUPPORTED)
    if not host:
        raise UsageError(f"{scheme}:// names no place", f"write {scheme}://PLACE/PATH")
    if scheme in WEB:
        key, _, query = key.partition("?")
        return Url(scheme, host, key.partition("#")[0], query.partition("#")[0])
    if scheme == HUB:
        return _hub_url(host, key)
    return Url(scheme, host, key)


def _hub_url(kind: str, rest: str) -> Url:
    repository = _HUB_ROOT.fullmatch(rest)
    if kind != "datasets" or repository is None:
        raise UsageError(
            "hf:// is for files of data sets", "write hf://datasets/USER/NAME[@REVISION]/PATH"
        )
    return Url(HUB, f"{kind}/{repository[1]}", repository[2])
