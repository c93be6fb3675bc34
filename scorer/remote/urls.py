"""URLs of objects: parsed, composed, shown without secrets; and what a store says of one (pure)."""

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from scorer.errors import UsageError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)/?(.*)", re.IGNORECASE | re.DOTALL)
_SAME = {"s3a": "s3", "gcs": "gs", "azure": "az"}  # other spellings
STORES = {"s3", "gs", "az", "abfs", "abfss"}  # can be listed and written
WEB = {"http", "https"}
HUB = "hf"
_SUPPORTED = "supported are s3://, gs://, az://, abfs://, https:// and hf://datasets/"
_LONGEST = 255  # bytes that a file system takes for one part of a path
# Bytes that a file's name grows by in a run: NAME.scored.csv; what lies in .tweetscore/ fits.
AROUND_INPUT, AROUND_OUTPUT = 7, 0
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


@dataclass(frozen=True, slots=True)
class Object:
    """What a store says of an object.

    Attributes:
        url: Where it is.
        size: Bytes; None where the store does not say.
        tag: Changes whenever the content does: an ETag or the like; empty where there is none.
        modified_ns: Time of the last change, since 1970; None where the store does not say.
        version: What some stores need besides the tag to replace it.
        sha256: The SHA-256 that a run of ours wrote beside the content; a listing does not say.
    """

    url: Url
    size: int | None
    tag: str
    modified_ns: int | None
    version: str | None = None
    sha256: str | None = None

    def is_same(self, other: "Object") -> bool:
        """Tell whether both describe one content; False where no tag says so."""
        return bool(self.tag) and (self.tag, self.size) == (other.tag, other.size)


def beside(output: Url, named: Callable[[Path], Path]) -> Url:
    """Return what belongs to an output that is an object, named as it is for a file."""
    return output.with_key(output.parent.key + named(Path(output.name)).as_posix())


def recorded_name(place: Path | Url) -> str:
    """Return an input as reports name it."""
    return os.path.abspath(place) if isinstance(place, Path) else str(place)


def why_unusable(url: Url, around: int = AROUND_INPUT) -> str:
    """Return what is wrong with an object's name; nothing if a client and a file can have it.

    A store takes any name. Its client takes no empty part, no dot and no control character, and a
    part that leads elsewhere must not be mirrored: the owner of a bucket does not choose where
    we write.

    Args:
        url: The object.
        around: Bytes that its name grows by as a file.
    """
    *above, name = url.key.split("/")
    if url.scheme in WEB:  # a server makes of the path what it likes
        above, name = [part for part in above if part], url.name
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in (*above, name)]
    if {"", ".", ".."}.isdisjoint((*above, name)):
        if any(map(_is_control, url.key + name)):
            return "a control character"
        if any("\ud800" <= character <= "\udfff" for character in url.key):
            return "bytes that are not UTF-8"
        if max(sizes) > _LONGEST or sizes[-1] > _LONGEST - around:
            return "a part that is too long for a file"
        return ""
    if not name:
        return "a slash at its end"
    return "an empty part" if "" in above else "a part that is . or .."


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


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
