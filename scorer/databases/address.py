"""Where a database is: URLs as SQLAlchemy writes them, and how they are shown. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from scorer.errors import UsageError

Kind = Literal["duckdb", "sqlite", "postgresql"]

_EXAMPLES = "sqlite:///tweets.db, duckdb:////data/tweets.duckdb or postgresql://user@host/name"
_HIDDEN = "***"
_SECRET = {"password", "sslpassword"}  # parameters of libpq


@dataclass(frozen=True, slots=True)
class Address:
    """One database; never printed but as `shown`."""

    kind: Kind
    where: str  # a path, or what libpq takes
    shown: str  # without passwords
    secrets: tuple[str, ...] = ()  # the passwords, as they are written and as they are meant

    @property
    def path(self) -> Path:
        """Return the file of a database that is one."""
        return Path(self.where)

    def hide(self, words: str) -> str:
        """Return what a library says without the passwords."""
        for secret in self.secrets:
            words = words.replace(secret, _HIDDEN)
        return words


def parse_address(url: str) -> Address:
    """Return the database that a URL means.

    Raises:
        UsageError: it is no URL of a database that is known.
    """
    scheme, colon, rest = url.partition(":")
    match scheme.lower() if colon else "":
        case "duckdb" | "sqlite" as kind:
            if not rest.startswith("///") or len(rest) == len("///"):
                raise UsageError(
                    f"{url} names no file",
                    f"write {kind}:///relative/path or {kind}:////absolute/path",
                )
            return Address("duckdb" if kind == "duckdb" else "sqlite", rest[3:], url)
        case "postgresql" | "postgres":
            return _postgresql(url)
    # What is no address may be a password: it is not repeated.
    raise UsageError("DATABASE is no URL of a database", f"write it like {_EXAMPLES}")


def _postgresql(url: str) -> Address:
    try:
        parts = urlsplit(url)
        # The last @, as a password may hold one that somebody forgot to write as %40.
        login, at, host = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        parameters = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:  # its words may hold the password
        raise UsageError(
            "the URL of the PostgreSQL database is malformed", f"write it like {_EXAMPLES}"
        ) from None
    written = [password, *(value for name, value in parameters if name in _SECRET)]
    secrets = dict.fromkeys(form for s in written if s for form in (s, unquote(s), quote(s)))
    netloc = f"{user}:{_HIDDEN}{at}{host}" if colon else parts.netloc
    public = [(name, _HIDDEN if name in _SECRET else value) for name, value in parameters]
    query = urlencode(public, safe="/*", quote_via=quote)
    shown = urlunsplit((parts.scheme, netloc, parts.path, query, ""))
    if not parts.netloc:  # urlunsplit leaves the slashes of an empty host out
        shown = shown.replace(":", "://", 1) if "://" not in shown else shown
    return Address("postgresql", url, shown, tuple(secrets))
