"""Encodings: content is decoded to UTF-8 for reading, and written as the file's own bytes.

A byte that is not the encoding becomes a sequence that is not UTF-8 either (a surrogate), so that
there is one check for all encodings, and comes back as the byte that it was.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import DataError, UsageError

_BOMS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, and the byte-order mark that the file begins with."""

    codec: str
    bom: bytes = b""

    @property
    def errors(self) -> str:
        """Return how undecodable input survives the way there and back."""
        return "surrogatepass" if self.codec.startswith("utf-16") else "surrogateescape"

    def to_utf8(self, path: Path, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the content, from which the byte-order mark was taken, as UTF-8."""
        if self.codec == "utf-8":
            yield from blocks
            return
        decoder = codecs.getincrementaldecoder(self.codec)(self.errors)
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "surrogatepass")
        try:
            # Half a surrogate pair is a character that cannot be read, not one that is not there.
            last = decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} ends in the middle of a character", "fetch it again"
            ) from error
        if last:
            yield last.encode("utf-8", "surrogatepass")

    def from_utf8(self, content: bytes) -> bytes:
        """Return the file's own bytes for what `to_utf8` made of them."""
        if self.codec == "utf-8":
            return content
        return content.decode("utf-8", "surrogatepass").encode(self.codec, self.errors)

    def can_hold(self, text: str) -> bool:
        """Tell whether a text of ours can be written."""
        try:
            text.encode(self.codec)
        except UnicodeEncodeError:
            return False
        return True


def find_encoding(name: str | None, head: bytes) -> Encoding:
    """Return the encoding that was asked for, or that a byte-order mark names, or UTF-8.

    Raises:
        UsageError: an unknown encoding, or one that is neither UTF-8, UTF-16 nor one byte per
            character: its bytes would not be sure to come back unchanged.
    """
    codec = "utf-8" if name is None else _supported(name)
    if name is None and head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    if codec == "utf-16":
        codec = "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    bom = _BOMS.get(codec, b"")
    return Encoding(codec, bom if bom and head.startswith(bom) else b"")


def is_foreign_utf8(head: bytes) -> bool:
    """Tell whether a file's beginning is UTF-8 with characters that ASCII lacks.

    In another encoding such text would be scored as garbage without a word. That a text in
    another encoding happens to be valid UTF-8 is as good as impossible.
    """
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(head).isascii()
    except UnicodeDecodeError:
        return False


def _supported(name: str) -> str:
    try:
        codec = codecs.lookup(name).name.replace("_", "-")
        if codec in {"utf-8", "utf-8-sig"}:
            return "utf-8"
        if codec in {"utf-16", "utf-16-le", "utf-16-be"} or _is_one_byte(codec):
            return codec
    except (LookupError, UnicodeError, TypeError, AttributeError, ValueError):
        pass  # unknown, or a codec that is not about text
    raise UsageError(
        f"the encoding {name!r} is not supported",
        "use utf-8, utf-16 or one like latin-1 or cp1252, or convert the file to UTF-8",
    )


def _is_one_byte(codec: str) -> bool:
    """Tell whether every byte is a character that becomes that byte again.

    From 0x80 on it may also be undefined.
    """
    b"a".decode(codec)  # a LookupError where the codec is not about text
    for number in range(256):
        byte = bytes([number])
        try:
            text = codecs.getincrementaldecoder(codec)().decode(byte)
        except UnicodeDecodeError:
            if number < 0x80:  # surrogates carry the upper half only
                return False
            continue
        if len(text) != 1 or text.encode(codec) != byte:
            return False
    return True
