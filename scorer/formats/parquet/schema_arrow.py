"""The Arrow schema of a Parquet file, with fields appended and every other byte of it as it was.

`ARROW:schema` is a FlatBuffer, framed as a message of Arrow's stream and written in base64. pyarrow
could read it and write it anew, but that loses what it has no place for: the byte order, the ids of
dictionaries, features, a key that occurs twice, the wording of an extension type's parameters. So a
new root is put before the old FlatBuffer, whose tables stay where they are: offsets lead forwards
from the place that holds them, and moving all of them together changes none.
"""

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from scorer.formats.guards.arrow_messages import Table

_HEADER, _BODY, _MESSAGE_METADATA = 2, 3, 4  # fields of a message
_BYTE_ORDER, _FIELDS, _METADATA, _FEATURES = 0, 1, 2, 3  # of a schema
_NAME = 0  # of a field
_KEY, _VALUE = 0, 1  # of an entry of metadata
_SCHEMA = 1  # the kind of a message that holds one
_CONTINUATION = b"\xff\xff\xff\xff"  # before the length, since Arrow 0.15

# The new root: a message's table at byte 24, a schema's at 60, lists from 80 on. A table begins
# with the distance back to its list of fields, which says how far into the table each of them is.
_ROOT = struct.Struct("<I 7H6x iIqIhBx 6H iIIIhxx")
_MESSAGE_AT, _SCHEMA_AT = 24, 60

Rewrite = Callable[[bytes, bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key of a schema's metadata."""

    key: bytes
    value: bytes
    at: int | None  # where the old message has it; None where it has changed


def with_fields(
    value: bytes, columns: Sequence[str], added: pa.Schema, rewrite: Rewrite
) -> bytes | None:
    """Return a schema in base64 with fields appended.

    Args:
        value: A message that holds a schema, in base64.
        columns: Names of the file's columns. Readers match its fields by their position alone.
        added: The fields.
        rewrite: Says for each key and value of the schema's own metadata what the value shall be,
            or None where the key is to be left out.

    Returns:
        None where the value is no such schema, or has another number of fields.
    """
    try:
        framed = base64.b64decode(value, validate=True)
        head, message, rest = _unframed(framed)
        schema = _schema_in(message)
        old = _read(framed)
        names = _names(schema)
        if len(names) != len(columns):
            return None
        entries = _metadata(schema, rewrite)
        changed = {entry.key: entry.value for entry in entries if entry.at is None}
        _, other, _ = _unframed(bytes(added.with_metadata(changed).serialize()))
        whole = _joined(message, other, [entry.at for entry in entries])
        new = b"".join([head, struct.pack("<i", len(whole)), whole, rest])
        read = _read(new)
        if old is None or read is None:
            same = old is read and _names(_schema_in(whole)) == [*names, *added.names]
        else:
            same = _is_extended(old, read, added, entries)
    except (ValueError, OSError, struct.error, pa.ArrowException):
        return None
    return base64.b64encode(new) if same else None


def _read(framed: bytes) -> pa.Schema | None:
    """Return what pyarrow reads; None where it lacks a type, as of polars's Int128.

    Raises:
        ArrowException: The bytes are no schema.
    """
    try:
        return pa.ipc.read_schema(pa.BufferReader(framed))
    except pa.ArrowNotImplementedError:  # only once the offsets have been found in order
        return None


def _names(schema: Table) -> list[str]:
    return [field.text(_NAME).decode() for field in schema.tables(_FIELDS)]


def _is_extended(
    old: pa.Schema, new: pa.Schema, added: pa.Schema, entries: Sequence[_Entry]
) -> bool:
    """Compare what pyarrow makes of both: the bytes of others are not to be trusted."""
    metadata = {entry.key: entry.value for entry in reversed(entries)}  # the first of each key
    fields = pa.schema(list(new))  # of the byte order of this machine
    same: bool = fields.equals(pa.schema([*old, *added]), check_metadata=True)
    return same and metadata == (new.metadata or {})


def _unframed(framed: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the length of a message, the message, and what follows it."""
    head = _CONTINUATION if framed.startswith(_CONTINUATION) else b""
    start = len(head) + 4
    (length,) = struct.unpack_from("<i", framed, len(head))
    if not 0 < length <= len(framed) - start:
        raise ValueError("the message has no end")
    return head, framed[start : start + length], framed[start + length :]


def _schema_in(message: bytes) -> Table:
    root = Table.root(message)
    schema = root.table(_HEADER)
    if schema is None or root.number(1, "<B") != _SCHEMA:
        raise ValueError("the message holds no schema")
    return schema


def _metadata(schema: Table, rewrite: Rewrite) -> list[_Entry]:
    """Return a schema's metadata as it shall be, where keys that change occur once."""
    entries: list[_Entry] = []
    changed = set()
    for table in schema.tables(_METADATA):
        key, value = table.text(_KEY), table.text(_VALUE)
        new = rewrite(key, value)
        if new == value:
            entries.append(_Entry(key, value, table.at))
        elif new is not None and key not in changed:
            entries.append(_Entry(key, new, None))
            changed.add(key)
    return entries


def _joined(old: bytes, new: bytes, entries: Sequence[int | None]) -> bytes:
    """Return the FlatBuffer of a schema with the fields, and the changed metadata, of another.

    Args:
        old: A message with a schema.
        new: Another one.
        entries: Where in `old` each entry of the metadata is; None stands for the next of `new`.
    """
    root, first, second = Table.root(old), _schema_in(old), _schema_in(new)
    fields = [field.at for field in first.tables(_FIELDS)]
    added = [field.at for field in second.tables(_FIELDS)]
    changed = iter(second.tables(_METADATA))
    metadata_at = _ROOT.size + 4 + 4 * (len(fields) + len(added))
    lists_end = metadata_at + (4 + 4 * len(entries) if entries else 0)
    old_at = _aligned(lists_end)
    new_at = _aligned(old_at + len(old))
    places = [old_at + at for at in fields] + [new_at + at for at in added]
    head = _new_root(root, first, old_at, metadata_at if entries else 0)
    lists = _vector(_ROOT.size, places)
    if entries:
        known = [new_at + next(changed).at if at is None else old_at + at for at in entries]
        lists += _vector(metadata_at, known)
    whole = (head + lists).ljust(old_at, b"\0") + old
    whole = whole.ljust(new_at, b"\0") + new
    return whole.ljust(_aligned(len(whole)), b"\0")


def _new_root(root: Table, schema: Table, old_at: int, metadata_at: int) -> bytes:
    """Return message and schema, of which all but the lists of fields and metadata are the old."""
    message_metadata, features = root.target(_MESSAGE_METADATA), schema.target(_FEATURES)
    return _ROOT.pack(
        _MESSAGE_AT,
        # The message's list: its own size, the table's, and where the table has each field.
        *(14, 24, 20, 22, 4, 8, 16 if message_metadata else 0),
        _MESSAGE_AT - 4,
        _SCHEMA_AT - (_MESSAGE_AT + 4),
        root.number(_BODY, "<q"),
        old_at + message_metadata - (_MESSAGE_AT + 16) if message_metadata else 0,
        root.number(0, "<h"),
        _SCHEMA,
        # The schema's.
        *(12, 20, 16, 4, 8 if metadata_at else 0, 12 if features else 0),
        12,
        _ROOT.size - (_SCHEMA_AT + 4),
        metadata_at - (_SCHEMA_AT + 8) if metadata_at else 0,
        old_at + features - (_SCHEMA_AT + 12) if features else 0,
        schema.number(_BYTE_ORDER, "<h"),
    )


def _vector(at: int, places: Sequence[int]) -> bytes:
    """Return a vector that lies at a byte and leads to these places."""
    first = at + 4
    offsets = (place - (first + 4 * number) for number, place in enumerate(places))
    return struct.pack(f"<I{len(places)}I", len(places), *offsets)


def _aligned(at: int) -> int:
    return (at + 7) & ~7
