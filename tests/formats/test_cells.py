"""What the text formats share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.formats.text import cells

ODD = [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80"]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.text(max_size=20), st.binary(max_size=6) | st.sampled_from(ODD), st.booleans())
def test_much_and_little_are_judged_alike(text: str, odd: bytes, broken: bool) -> None:
    """As Python judges: no surrogates, nothing too long or cut off, wherever it stands."""
    data = text.encode("utf-8", "replace") + (odd if broken else b"") + "\u20ac".encode()
    much = b"a" * cells._MANY + data
    assert cells.is_utf8(data) == cells.is_utf8(much) == is_utf8(data)
    assert cells.is_utf8(memoryview(much)[3:]) == is_utf8(data)


@pytest.mark.parametrize("data", [b"", b"a" * cells._MANY])
def test_plain_bytes_are_utf8(data: bytes) -> None:
    """None of them, and any number."""
    assert cells.is_utf8(data)
