"""Tables of a lake among objects: which of theirs are inputs, as `local_tables` says of files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import PurePosixPath

from scorer.errors import DataError, InputMissing, TweetscoreError
from scorer.lake.tables import DELTA_LOG, HUDI, ICEBERG_METADATA, Kind, not_read, table_kind
from scorer.prefetch import interruptible
from scorer.remote.faults import unusable
from scorer.remote.stores import Stores
from scorer.remote.urls import STORES, Object, Url, why_unusable
from scorer.store.directories import above_partitions
from scorer.store.patterns import Patterns


@dataclass(frozen=True, slots=True)
class LiveObjects:
    """What the latest version of a Delta table has below a directory.

    Attributes:
        place: The directory: that of the table, or one in it.
        version: That of the table.
        whole: Whether all of the table was asked for.
        live: The URLs of its files below the place, there or not.
        wanted: The objects of those that were asked for.
        unreadable: Those of them that cannot be read, and why.
    """

    place: Url
    version: int
    whole: bool
    live: frozenset[str]
    wanted: tuple[Object, ...]
    unreadable: tuple[tuple[Url, TweetscoreError], ...]


def roots_in(base: Url, listed: Iterable[str]) -> dict[str, Kind]:
    """Return the tables below a directory, by the keys of their own directories.

    Args:
        base: The directory.
        listed: The keys of all that lies below it.
    """
    roots: dict[str, Kind] = {}
    for key in listed:
        parts = key.removeprefix(base.key).split("/")
        for depth, (part, inside) in enumerate(pairwise(parts)):
            if kind := table_kind([part], {part: [inside]}.__getitem__):
                roots.setdefault(base.key + "".join(f"{each}/" for each in parts[:depth]), kind)
                break
    return roots


def table_around(base: Url, stores: Stores) -> tuple[Url, Kind] | None:
    """Return the table of which a directory is a partition, or the data, and what it is."""
    parts = base.key.rstrip("/").split("/")
    top = above_partitions(parts)
    names = (DELTA_LOG, HUDI) if len(top) < len(parts) else ()
    if top and top[-1] == "data":
        top, names = top[:-1], (*names, ICEBERG_METADATA)
    root = base.with_key("".join(f"{part}/" for part in top))
    for name in names:
        below = root.with_key(f"{root.key}{name}/")
        listed = (each.url.key for each in stores.of(below).list(below))
        kinds = roots_in(root, listed if name == ICEBERG_METADATA else _first(listed))
        if root.key in kinds:
            return root, kinds[root.key]
    return None


def _first(keys: Iterator[str]) -> list[str]:
    key = next(keys, None)
    return [] if key is None else [key]


def is_below(key: str, roots: Iterable[str]) -> bool:
    """Tell whether an object lies in a table's directory."""
    return key.startswith(tuple(roots))


def live_objects(
    base: Url,
    table: tuple[Url, Kind],
    patterns: Patterns,
    listed: Mapping[str, Object],
    stores: Stores,
) -> LiveObjects | None:
    """Return the live files of a Delta table that patterns mean; None where they mean none of it.

    Args:
        base: The directory in which the patterns are asked for.
        table: The directory of the table, in the base or around it, and what it is.
        patterns: What is asked for.
        listed: All objects below the base, by their keys.
        stores: Where they are.

    Raises:
        DataError: It is another table, or none whose files hold its rows.
        TweetscoreError: What else `scorer.lake.delta.latest` raises.
    """
    root, kind = table
    place = root if root.key.startswith(base.key) else base
    above = PurePosixPath(place.key.removeprefix(base.key)).parts
    inside = reduce(Patterns.inside, above, patterns)
    if not inside.each:
        return None
    if kind != "delta":
        raise not_read(str(root), kind)
    version, urls = _live(root, place, stores)
    wanted: list[Object] = []
    unreadable: list[tuple[Url, TweetscoreError]] = []
    for url in urls:
        if inside.mean_file(PurePosixPath(url.key.removeprefix(place.key))):
            there = listed.get(url.key)
            if why := why_unusable(url):
                unreadable.append((url, unusable(url, why)))
            elif there is None:
                unreadable.append((url, _missing(url, root, version)))
            else:
                wanted.append(there)
    return LiveObjects(
        place,
        version,
        place == root and inside.mean_all,
        frozenset(map(str, urls)),
        tuple(wanted),
        tuple(unreadable),
    )


def _live(root: Url, place: Url, stores: Stores) -> tuple[int, list[Url]]:
    from scorer.lake.delta import latest

    if root.scheme not in STORES:
        problem = f"{root} is a Delta table, whose log can be read from stores and disks only"
        raise DataError(problem, "download the table, and score it there")
    options = stores.writable(root).lake_options()
    snapshot = interruptible(lambda: latest(str(root), root.address.rstrip("/"), options))
    urls = (root.with_key(f"{root.key}{path}") for path in snapshot.files)
    return snapshot.version, [url for url in urls if url.key.startswith(place.key)]


def _missing(url: Url, root: Url, version: int) -> InputMissing:
    return InputMissing(
        f"{url} is gone, but version {version} of the Delta table {root} has it",
        "restore it, or take it out of the log (in Spark: FSCK REPAIR TABLE)",
    )
