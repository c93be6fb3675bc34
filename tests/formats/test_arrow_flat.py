"""Tables of FlatBuffers, written by hand."""

import struct

import pytest

from scorer.formats.guards.arrow_messages import Table

# The root's place, names of fields (bytes, bytes of the table, place of the only field), padding;
# then the table: how far its names lie before it, and how far the list lies behind the field.
HEAD = struct.pack("<IHHHxxi", 12, 6, 8, 4, 8)
LIST = struct.pack("<I", 4) + struct.pack("<Iqq", 2, 7, 8)


def test_a_list_is_read() -> None:
    """As many numbers as it says."""
    table = Table.root(HEAD + LIST)
    assert list(table.structs(0, "<q")) == [(7,), (8,)]


def test_what_is_left_out_has_a_default() -> None:
    """A field behind the last one, or one whose place is 0."""
    table = Table.root(HEAD.replace(struct.pack("<HHH", 6, 8, 4), struct.pack("<HHH", 6, 8, 0)))
    assert (table.number(0, "<q"), table.number(5, "<q", 3)) == (0, 3)
    assert (table.table(0), list(table.structs(0, "<q"))) == (None, [])


def test_a_list_that_is_too_long_is_refused() -> None:
    """Before anything of it is read."""
    with pytest.raises(ValueError, match="a list is longer than what holds it"):
        Table.root(HEAD + LIST[:-1]).structs(0, "<q")


def test_names_before_the_beginning_are_refused() -> None:
    """An offset may lead backwards, not out."""
    with pytest.raises(ValueError, match="an offset leads out of the message"):
        Table.root(struct.pack("<IHHHxxi", 12, 6, 8, 4, 13))


@pytest.mark.parametrize("size", [0, 3, 5, 14])
def test_what_ends_too_early_is_refused(size: int) -> None:
    """A cut message."""
    with pytest.raises(struct.error):
        Table.root(HEAD[:size])
