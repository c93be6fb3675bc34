"""The places where objects are: each scheme of a URL has its module, loaded where it is needed."""

from typing import TYPE_CHECKING, cast

from scorer.errors import UsageError
from scorer.installation import needed
from scorer.remote.urls import HUB, STORES, Url

if TYPE_CHECKING:
    from scorer.remote.hub import HubStore
    from scorer.remote.objects import ObjectStore
    from scorer.remote.web import WebStore

    Store = ObjectStore | HubStore | WebStore


class Stores:
    """The places of one run: each is opened once."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Store] = {}

    def of(self, url: Url) -> "Store":
        """Return the place of an object; each library is loaded where it is needed."""
        place = url.scheme, url.host
        if place not in self._open:
            self._open[place] = _opened(Url(*place, ""))
        return self._open[place]

    def writable(self, url: Url) -> "ObjectStore":
        """Return the place of an output; UsageError if it can only be read."""
        check_writable(url)
        return cast("ObjectStore", self.of(url))


def check_writable(url: Url) -> None:
    """Raise UsageError if an output cannot be there."""
    if url.scheme not in STORES:
        raise UsageError(
            f"{url.scheme}:// is for reading",
            "name an output with -o: a file, or s3://, gs://, az:// or abfs://",
        )


def _opened(place: Url) -> "Store":
    with needed("remote", f"{place.scheme}:// needs"):
        if place.scheme in STORES:
            from scorer.remote.objects import ObjectStore

            return ObjectStore(place)
        if place.scheme == HUB:
            from scorer.remote.hub import HubStore

            return HubStore()
    from scorer.remote.web import WebStore

    return WebStore()
