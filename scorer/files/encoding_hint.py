"""The remedy for a file that is not UTF-8: the option, or a command that converts it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scorer import hints
from scorer.errors import UsageError
from scorer.files.likely_encoding import Lines, likely_encoding
from scorer.files.transcode import find_encoding, is_foreign_utf8

_LOOKED_AT = 64 << 20  # bytes of a file, unpacked
_UNPACKERS = {".gz": "zcat", ".zst": "zstdcat"}
_ICONV = {
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "cp932": "CP932",
    "euc_jp": "EUC-JP",
    "cp949": "CP949",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The encoding that the bytes of a file seem to have."""

    codec: str | None  # the likeliest encoding, as Python calls it; None where nothing is likely
    mixed: bool  # most of it is UTF-8 all the same


def seen_in(blocks: Iterable[bytes], lost: Iterable[bytes] = ()) -> Seen | None:
    """Examine the lines that are no UTF-8; None where there are none.

    Args:
        blocks: What the file begins with, unpacked.
        lost: Records that are no UTF-8, perhaps from behind that.
    """
    lines = Lines()
    first = b""
    for block in _whole_lines(blocks):
        first = first or block
        lines.add(block)
    if not lines.bad:
        for raw in lost:
            lines.add(raw)
    if not lines.bad:
        return None
    mixed = lines.are_mixed or is_foreign_utf8(first)
    return Seen(None if mixed else likely_encoding(lines.sample), mixed)


def is_taken(codec: str) -> bool:
    """Tell whether `--encoding` takes it."""
    try:
        find_encoding(codec, b"")
    except UsageError:
        return False
    return True


def conversion(path: Path, codec: str) -> str:
    """Return the command that makes a UTF-8 file of it, and the one that scores that."""
    end = path.suffix.lower()
    unpack = _UNPACKERS.get(end)
    name = path.name[: -len(end)] if unpack else path.name
    target = path.with_name(f"{Path(name).stem}.utf-8{Path(name).suffix}")
    source, made = hints.path_word(path), hints.path_word(target)
    convert = f"iconv -f {_ICONV.get(codec, codec.upper())} -t UTF-8"
    start = f"{unpack} {source} | {convert}" if unpack else f"{convert} {source}"
    return f"{start} > {made} && tweetscore run {made}"


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks cut after a line's end, up to the limit."""
    rest = b""
    size = 0
    for block in blocks:
        data = rest + block
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        yield data[:cut]
        rest = data[cut:]
        size += len(block)
        if size >= _LOOKED_AT:
            return
    yield rest
