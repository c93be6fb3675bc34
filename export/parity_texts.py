"""The texts that a bundle was compared on: they are kept in it, so that it can be checked again."""

from collections.abc import Iterable, Sequence

from scorer.errors import is_unicode
from scorer.inference.bundle import Bundle, untrusted

PARITY_NAME = "parity.json"
#: Texts of the user's that are measured and kept; PyTorch answers each one by itself.
MOST_TEXTS = 10_000
_MOST_CHARACTERS = 2_000_000  # of all of them: the file stays far below the bundle's bound for JSON


def sampled(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct texts: all, or as many at even distances as are measured and kept."""
    distinct = tuple(dict.fromkeys(texts))
    wanted = min(len(distinct), MOST_TEXTS)
    while wanted > 1:
        kept = distinct[:: -(-len(distinct) // wanted)]
        if sum(map(len, kept)) <= _MOST_CHARACTERS:
            return kept
        wanted //= 2
    return distinct[:wanted]


def record_of(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the content of ``parity.json``."""
    return {"texts": [*dict.fromkeys(texts)]}


def kept_in(bundle: Bundle) -> tuple[str, ...] | None:
    """Return the texts that a bundle keeps; None where it was made before bundles did.

    Raises:
        InvalidBundle: The file holds something else.
    """
    if PARITY_NAME not in bundle.metadata.files:
        return None
    path = bundle.directory / PARITY_NAME
    texts = untrusted.parse_json(path, bundle.read(PARITY_NAME)).get("texts")
    if not isinstance(texts, list) or not all(map(is_unicode, texts)):
        raise untrusted.invalid(path, "needs texts: a list of texts")
    return tuple(texts)
