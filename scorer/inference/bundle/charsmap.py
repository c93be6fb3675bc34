"""Checks SentencePiece's table of replacements, which a tokenizer's Precompiled reads.

The table is a length, a trie of so many bytes, and the replacements, each with a NUL behind it. The
trie is a double array of 32-bit units (darts-clone): from a state, a byte leads to the unit at
`state ^ byte`, if that unit has the byte as its label, and to the state `place ^ offset`; a
unit with a leaf has its value there, the place of a replacement. The library believes each of these
numbers: one that lies outside makes it panic, and the length makes it allocate.
"""

import base64
from binascii import Error

import numpy as np
from numpy.typing import NDArray

_MAX_BYTES = 1 << 20  # SentencePiece's own nmt_nfkc_cf has 0.25 MiB
_MAX_REPLACEMENT = 64  # bytes; U+FDFA, the longest of Unicode's, becomes 33
_MAX_KEY = 64  # bytes of what is replaced; tokenizers looks up five, SentencePiece's own code more
_BLOCK = 256  # from a state, any byte may be looked up: its whole block must be there


class UnfitCharsmapError(ValueError):
    """Says why a table is not read."""


def longest_replacement(encoded: str) -> int:
    """Check a table in base64, and return the characters that one character may become.

    Raises:
        UnfitCharsmapError: The library would panic on it, or a text would grow without measure.
    """
    if len(encoded) > _MAX_BYTES * 4 // 3:
        raise UnfitCharsmapError(f"it has more than {_MAX_BYTES} bytes")
    try:
        table = base64.b64decode(encoded, validate=True)
    except (Error, ValueError) as error:
        raise UnfitCharsmapError("it is not base64") from error
    return check_table(table)


def check_table(table: bytes) -> int:
    """Check a table as SentencePiece's own files have it; see `longest_replacement`."""
    size = int.from_bytes(table[:4], "little")
    if len(table) < 4 or size > len(table) - 4 or size == 0 or size % (4 * _BLOCK):
        raise UnfitCharsmapError("its trie is not as long as it says")
    units = np.frombuffer(table, "<u4", size // 4, offset=4).astype(np.int64)
    return _longest(_values(units), table[4 + size :])


def _values(units: NDArray[np.int64]) -> set[int]:
    """Return the values that a text can reach; each state that it reaches is in the trie."""
    places = np.arange(len(units))
    labels = units & (1 << 31 | 0xFF)
    # Bytes from 1 to 255 are looked up; a value has the highest bit, so its label is none of them.
    is_byte = (labels > 0) & (labels < _BLOCK)
    came_from = np.where(is_byte, places ^ labels, 0)
    leads_to = places ^ _offsets(units)
    has_leaf = (units >> 8) & 1 == 1
    reached = np.zeros(len(units), bool)
    reached[_inside(_offsets(units[:1]), len(units))] = True
    for _ in range(_MAX_KEY):
        taken = is_byte & reached[came_from]
        states = _inside(leads_to[taken], len(units))
        if reached[states].all():
            return set((units[states[has_leaf[taken]]] & ((1 << 31) - 1)).tolist())
        reached[states] = True
    raise UnfitCharsmapError(f"it replaces texts of more than {_MAX_KEY} bytes")


def _offsets(units: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets: NDArray[np.int64] = (units >> 10) << ((units & 1 << 9) >> 6)
    return offsets


def _inside(states: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the states; their blocks must lie in the trie, which consists of whole ones."""
    if (states >= length).any():
        raise UnfitCharsmapError("its trie leads outside")
    return states


def _longest(values: set[int], replacements: bytes) -> int:
    """Return the characters of the longest replacement; each value must be the place of one."""
    try:
        replacements.decode()
    except UnicodeDecodeError as error:
        raise UnfitCharsmapError("its replacements are not UTF-8") from error
    if max(values, default=-1) >= len(replacements):
        raise UnfitCharsmapError("a replacement lies outside")
    longest = 1
    for value in values:
        entry = replacements[value : value + _MAX_REPLACEMENT + 1].split(b"\0", 1)[0]
        if len(entry) > _MAX_REPLACEMENT or (entry[:1] and entry[0] & 0xC0 == 0x80):
            raise UnfitCharsmapError(
                f"a replacement has more than {_MAX_REPLACEMENT} bytes, or is half a letter"
            )
        longest = max(longest, len(entry.decode()))
    return longest
