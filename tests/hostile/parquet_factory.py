"""Parquet files that no writer makes: every number in them is the caller's to choose."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

BOOLEAN, INT32, INT64, BYTE_ARRAY, FIXED = 0, 1, 2, 6, 7  # physical types
PLAIN, RLE, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 3, 7, 8  # encodings
DATA, DICTIONARY = 0, 2  # page types
REQUIRED, REPEATED = 0, 2
CODECS = {None: 0, "snappy": 1, "gzip": 2, "brotli": 4, "zstd": 6, "lz4_raw": 7}

Value = int | bytes | Sequence["Value"] | Mapping[int, "Value"]


class Long(int):
    """An integer of 64 bits; plain ones are of 32."""


def varint(number: int) -> bytes:
    """Return the variable-length form of a number that is not negative."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> int:
    """Map 0, -1, 1, -2 ... to 0, 1, 2, 3 ..."""
    return (number << 1) ^ (number >> 63)


def _kind(value: Value) -> int:
    if isinstance(value, int):
        return 6 if isinstance(value, Long) else 5
    if isinstance(value, bytes):
        return 8
    return 12 if isinstance(value, Mapping) else 9


def thrift(value: Value) -> bytes:
    """Encode in the compact protocol; a mapping is a struct by field number."""
    if isinstance(value, int):
        return varint(zigzag(value) & (1 << 64) - 1)
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, Mapping):
        out, last = b"", 0
        for number, each in value.items():
            gap, kind = number - last, _kind(each)
            head = bytes([gap << 4 | kind]) if gap < 16 else bytes([kind]) + varint(zigzag(number))
            out += head + thrift(each)
            last = number
        return out + b"\0"
    kind = _kind(value[0]) if value else 12
    head = bytes([len(value) << 4 | kind]) if len(value) < 15 else bytes([0xF0 | kind])
    long = b"" if len(value) < 15 else varint(len(value))
    return head + long + b"".join(thrift(each) for each in value)


@dataclass
class Page:
    """One page; what its header claims may differ from what it holds."""

    data: bytes
    values: int
    encoding: int = PLAIN
    kind: int = DATA
    claimed: int | None = None  # uncompressed size

    def encode(self, codec: str | None) -> bytes:
        """Return the header and the compressed data."""
        packed = pa.compress(self.data, codec, asbytes=True) if codec else self.data
        header: dict[int, Value] = {
            1: self.kind,
            2: len(self.data) if self.claimed is None else self.claimed,
            3: len(packed),
        }
        if self.kind == DICTIONARY:
            header[7] = {1: self.values, 2: PLAIN}
        else:
            header[5] = {1: self.values, 2: self.encoding, 3: RLE, 4: RLE}
        return thrift(header) + packed


@dataclass
class Column:
    """One column chunk."""

    name: str
    pages: Sequence[Page]
    physical: int = BYTE_ARRAY
    codec: str | None = None
    repetition: int = REQUIRED
    length: int | None = None  # of a value of fixed length
    text: bool = True

    @property
    def values(self) -> int:
        """The number that the footer claims."""
        return sum(page.values for page in self.pages if page.kind == DATA)

    def schema(self) -> dict[int, Value]:
        """Return the schema element."""
        element: dict[int, Value] = {1: self.physical}
        if self.length is not None:
            element[2] = self.length
        element |= {3: self.repetition, 4: self.name.encode()}
        if self.text and self.physical == BYTE_ARRAY:
            element[6] = 0  # UTF8
        return element


@dataclass
class Forged:
    """A file of one row group; `rows` and `overrides` are claims of the footer."""

    columns: Sequence[Column]
    rows: int
    footer_length: int | None = None
    chunk: dict[int, Value] = field(default_factory=dict)  # over every chunk's metadata

    def encode(self) -> bytes:
        """Return the whole file."""
        body = b"PAR1"
        chunks: list[Value] = []
        for column in self.columns:
            start = len(body)
            offsets: dict[int, Value] = {}
            for page in column.pages:
                at = 11 if page.kind == DICTIONARY else 9
                offsets.setdefault(at, Long(len(body)))
                body += page.encode(column.codec)
            size = Long(len(body) - start)
            metadata: dict[int, Value] = {
                1: column.physical,
                2: sorted({page.encoding for page in column.pages} | {RLE}),
                3: [column.name.encode()],
                4: CODECS[column.codec],
                5: Long(column.values),
                6: Long(sum(len(page.data) for page in column.pages)),
                7: size,
                **dict(sorted(offsets.items())),
            }
            chunks.append({2: Long(start), 3: metadata | self.chunk})
        root: dict[int, Value] = {4: b"schema", 5: len(self.columns)}
        group: dict[int, Value] = {1: chunks, 2: Long(len(body)), 3: Long(self.rows)}
        footer = thrift(
            {
                1: 2,
                2: [root, *(column.schema() for column in self.columns)],
                3: Long(self.rows),
                4: [group],
            }
        )
        length = len(footer) if self.footer_length is None else self.footer_length
        return body + footer + length.to_bytes(4, "little") + b"PAR1"

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        path.write_bytes(self.encode())
        return path


def plain(*values: bytes) -> bytes:
    """Encode byte arrays one after the other, each with its length."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def run_of(value: int, times: int) -> bytes:
    """Encode dictionary indices of one bit: one run."""
    return bytes([1]) + varint(times << 1) + bytes([value])


def levels(*runs: tuple[int, int]) -> bytes:
    """Encode levels of one bit: (value, times) each."""
    packed = b"".join(varint(times << 1) + bytes([value]) for value, times in runs)
    return len(packed).to_bytes(4, "little") + packed


def deltas(*numbers: int) -> bytes:
    """Encode as DELTA_BINARY_PACKED: a number, and what each adds to the one before, in 32 bits."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    out = varint(128) + varint(4) + varint(len(numbers)) + varint(zigzag(numbers[0]))
    for at in range(0, len(steps), 128):
        block = steps[at : at + 128]
        least = min(block)
        packed = [step - least for step in block] + [0] * (128 - len(block))
        out += varint(zigzag(least) & (1 << 64) - 1) + bytes([32] * 4)
        out += b"".join(step.to_bytes(4, "little") for step in packed)
    return out
