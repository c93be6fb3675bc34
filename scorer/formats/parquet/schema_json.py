"""Schemas of other programs in JSON: entries are put in, every other byte stays as it was.

A document is not decoded and written anew, because that changes numbers, escapes and the order of
members. It is checked, the end of its list of columns is looked for, and the new text goes there.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta, Raw, Struct

from scorer.formats.added_columns import LISTS

_LARGEST = 4 << 20  # bytes: forty thousand columns of Spark's

# What a document is made of once it is known to be JSON: strings, of which those before a colon are
# names of members, and brackets.
_TOKEN = re.compile(rb'("(?:[^"\\]++|\\.)*+")[ \t\r\n]*(:?)|([\[{])|[\]}]')


class _Named(Struct):
    name: str


class _SparkRow(Struct):
    type: Literal["struct"]
    fields: list[_Named]


class _AvroRecord(Struct):
    type: Literal["record"]
    fields: list[_Named]


class _PandasColumn(Struct):
    name: str | None
    field_name: str | None = None


class _PandasLevel(Struct):
    pandas_type: Literal["unicode", "string", "mixed", "mixed-integer"]


class _PandasFrame(Struct):
    columns: list[_PandasColumn]
    # pandas turns the names of all columns into values of this index. Where it is not one of texts,
    # names such as `label` make to_pandas fail; without the key, they all stay texts.
    column_indexes: Annotated[list[_PandasLevel], Meta(max_length=1)] = []


class _Info(Struct):
    features: dict[str, Raw]


class _HuggingFace(Struct):
    info: _Info


@dataclass(frozen=True, slots=True)
class _Words:
    """What other programs call a type."""

    spark: Any
    avro: Any
    pandas: str
    numpy: str
    huggingface: Any


def _value(kind: str) -> Any:
    return {"dtype": kind, "_type": "Value"}


_TYPES = {
    pa.string(): _Words("string", "string", "unicode", "object", _value("string")),
    pa.float32(): _Words("float", "float", "float32", "float32", _value("float32")),
    LISTS: _Words(
        {"type": "array", "elementType": "string", "containsNull": True},
        {"type": "array", "items": ["null", "string"]},
        "list[unicode]",
        "object",
        {"feature": _value("string"), "_type": "Sequence"},  # datasets 4 reads it as its List
    ),
}
_AVRO_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _spark(name: str, words: _Words) -> Any:
    return {"name": name, "type": words.spark, "nullable": True, "metadata": {}}


def _avro(name: str, words: _Words) -> Any:
    if not _AVRO_NAME.fullmatch(name):
        raise ValueError(f"Avro has no name {name!r}")
    return {"name": name, "type": ["null", words.avro], "default": None}


def _pandas(name: str, words: _Words) -> Any:
    kinds = {"pandas_type": words.pandas, "numpy_type": words.numpy}
    return {"name": name, "field_name": name, **kinds, "metadata": None}


def _huggingface(_: str, words: _Words) -> Any:
    return words.huggingface


@dataclass(frozen=True, slots=True)
class Format:
    """One program's way to write a schema."""

    document: type[Struct]
    path: tuple[str, ...]  # names of members, down to the list or object of columns
    names: Callable[[Any], Iterable[str | None]]
    entry: Callable[[str, _Words], Any]
    keyed: bool = False  # the columns are members of an object


def _names_of(document: Any) -> Iterator[str]:
    return (column.name for column in document.fields)


SPARK = Format(_SparkRow, ("fields",), _names_of, _spark)
AVRO = Format(_AvroRecord, ("fields",), _names_of, _avro)
PANDAS = Format(
    _PandasFrame,
    ("columns",),
    lambda document: (column.field_name or column.name for column in document.columns),
    _pandas,
)
HUGGING_FACE = Format(
    _HuggingFace,
    ("info", "features"),
    lambda document: document.info.features,
    _huggingface,
    keyed=True,
)


def with_columns(kind: Format, text: bytes, added: pa.Schema) -> bytes | None:
    """Return a document with columns appended to its own.

    None where it is none of its kind, or names a column of theirs already.
    """
    if len(text) > _LARGEST:
        return None
    try:
        text.decode()  # msgspec looks only into the strings that are asked for
        old = _names(kind, text)
        end, empty = _end_of(text, kind.path)
        new = b", ".join(_entry(kind, column) for column in added)
        written = b"".join([text[:end], b"" if empty else b", ", new, text[end:]])
        names = _names(kind, written)
    except (KeyError, ValueError, RecursionError):  # msgspec's are ValueErrors
        return None
    distinct = set(added.names).isdisjoint(old)
    return written if distinct and names == [*old, *added.names] else None


def _names(kind: Format, text: bytes) -> list[str | None]:
    return list(kind.names(msgspec.json.decode(text, type=kind.document)))


def _entry(kind: Format, column: pa.Field) -> bytes:
    entry = msgspec.json.encode(kind.entry(column.name, _TYPES[column.type]))
    return msgspec.json.encode(column.name) + b": " + entry if kind.keyed else entry


def _end_of(text: bytes, path: tuple[str, ...]) -> tuple[int, bool]:
    """Return behind which byte the last column of a document ends, and whether it has none.

    Raises:
        ValueError: There is no such list or object, or more than one.
    """
    depth = level = 0  # brackets that are open, and members of the path that the place is in
    start = 0
    found = []
    for token in _TOKEN.finditer(text):
        name, colon, opening = token.groups()
        if name is not None:
            on_path = colon and depth == level + 1 and level < len(path)
            if on_path and msgspec.json.decode(name) == path[level]:
                level += 1
        elif opening:
            depth += 1
            if depth == level + 1 == len(path) + 1:
                start = token.end()
        else:
            depth -= 1
            if depth == level:
                if level == len(path):
                    found.append((start, token.start()))
                level -= 1
    ((start, end),) = found
    columns = text[start:end].rstrip(b" \t\r\n")
    return start + len(columns), not columns
