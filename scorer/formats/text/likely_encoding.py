"""Which encoding bytes are likely in, and the hint that says so. Nothing is read by a guess."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scorer import hints
from scorer.errors import UsageError
from scorer.formats.text.cells import is_utf8
from scorer.formats.text.encodings import find_encoding, is_foreign_utf8

_WESTERN = (
    "áéíóúüñ¿¡ªº",  # Spanish
    "àâæçéèêëîïôœùûüÿ«»",  # French
    "áâãàçéêíóôõúüºª",  # Portuguese
    "äöüß",  # German
    "àèéìíòóùú",  # Italian
    "àçéèíïóòúü·",  # Catalan
    "æøåäöéð þáíóúý",  # the Nordic languages
    "ëïéèöüáó",  # Dutch
)
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýžľĺŕôä",  # Czech, Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîșțşţ",  # Romanian
    "čćđšž",  # Croatian, Slovenian
)
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "õäöüšž")
# The commonest letters first: what is left of the bar.
_CYRILLIC = ("оеаинтсрвлк|мдпуяыьгзбчйхжшюцщэфъёіїєґ",)
_GREEK = ("αοιετσνηυρπκ|μλωδγχθφβξζψςάέήίόύώ",)
_HEBREW = ("יולהאמתרבנש|דפקחעםטסגכזצןךףץ",)
_ARABIC = ("اليمونتربة|عدسفهكقحجشصطخءأذىغثزضظؤئإآ",)
_THAI = ("านรกอเงมยลวดทสตะ่้ั|ปบคหแจพชขใไิีึืุู์็ๆโศษณผฐธญถภฟซ",)
# In the order in which one is preferred to another that fits as well.
_ALPHABETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cp1252", _WESTERN),
    ("cp1250", _CENTRAL),
    ("cp1251", _CYRILLIC),
    ("cp1253", _GREEK),
    ("cp1254", ("çğıöşüâ",)),
    ("cp1257", _BALTIC),
    ("cp1255", _HEBREW),
    ("cp1256", _ARABIC),
    ("cp874", _THAI),
    ("iso8859-15", _WESTERN),
    ("iso8859-2", _CENTRAL),
    ("koi8-r", _CYRILLIC),
    ("cp850", _WESTERN),
    ("mac-roman", _WESTERN),
    ("cp852", _CENTRAL),
    ("cp866", _CYRILLIC),
)
# Quotation marks, dashes, signs of currencies; they are escaped because they look like others.
_MARKS = frozenset(
    "\u2018\u2019\u201c\u201d\u201e«»\u2013\u2014\u2026\u20ac\u00a3\u00b0·\u2022¿¡\u00a0"
)
_WITHIN = frozenset("\u2019\u201d»\u2026·\u00a0")  # an apostrophe, and what ends a word
_BEFORE_WORDS = frozenset("¿¡\u2018\u201c\u201e«")
_OTHER_SCRIPTS, _LATIN_AGAIN = "\u0370", "\u1e00"
_NEEDED = 0.75  # of what lies beyond ASCII has to make sense
_RARER = 0.8  # what a rarer letter of a language counts
_RARE = 0.4  # what a letter counts that other languages of the code page have
_ISOLATED = 0.5  # share of bytes beyond ASCII without another beside it, above which it is Latin
_SAMPLE = 1 << 16  # bytes of lines that are no UTF-8
_MIXED = 10  # lines that are no UTF-8 for each that is more than ASCII and UTF-8
_LOOKED_AT = 4096  # bytes in which zeros are counted
_HIGH_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")


@dataclass(slots=True)
class Lines:
    """Lines with bytes beyond ASCII, as they are met."""

    foreign: int = 0  # lines that are UTF-8
    bad: int = 0  # lines that are not
    sample: bytes = b""  # of the latter

    def add(self, block: bytes) -> None:
        """Add whole lines."""
        if block.isascii():
            return
        sound = is_utf8(block)
        for match in _HIGH_LINE.finditer(block):
            line = match[0]
            if sound or is_utf8(line):
                self.foreign += 1
                continue
            self.bad += 1
            if len(self.sample) < _SAMPLE:
                self.sample += line + b"\n"

    @property
    def are_mixed(self) -> bool:
        """Tell whether another encoding would spoil lines that are sound."""
        return self.foreign * _MIXED > self.bad


def wide_encoding(head: bytes) -> str | None:
    """Return the encoding of two or four bytes for each character that a beginning shows."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32-le" if head.startswith(codecs.BOM_UTF32_LE) else "utf-32-be"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    units = len(head[:_LOOKED_AT]) // 4
    zeros = [head[place : 4 * units : 4].count(0) / max(1, units) for place in range(4)]
    if min(zeros[2:]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if min(zeros[:2]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if max(even, odd) > 0.1 and max(even, odd) > 5 * min(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def likely_encoding(sample: bytes) -> str | None:
    """Return the likeliest encoding of lines that are no UTF-8, as Python calls it."""
    high = len(re.findall(rb"[\x80-\xff]", sample))
    isolated = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
    best, found = _NEEDED, None
    for codec, score in _scores(sample, alone=isolated > _ISOLATED * high):
        if score > best + 1e-9:
            best, found = score, codec
    return found


def _scores(sample: bytes, *, alone: bool) -> Iterator[tuple[str, float]]:
    for codec, alphabets in _ALPHABETS:
        text = _decoded(sample, codec)
        if text is not None:
            yield codec, max(_letters(text, alphabet) for alphabet in alphabets)
    for codec, is_usual in () if alone else _EAST_ASIAN:
        text = _decoded(sample, codec)
        signs = [c for c in text or "" if c > "\x7f"]
        if signs:
            yield codec, sum(map(is_usual, signs)) / len(signs)


def _decoded(sample: bytes, codec: str) -> str | None:
    try:
        return sample.decode(codec)
    except UnicodeDecodeError:
        pass
    text = sample.decode(codec, "replace")  # it may lack a few bytes, and a byte may be damaged
    return text if text.count("\ufffd") * 50 < len(text) else None


def _letters(text: str, alphabet: str) -> float:
    """Return how much of what is beyond ASCII is of a language, from -1 to 1."""
    common, _, rare = alphabet.partition("|")
    weights = dict.fromkeys(common, 1.0) | dict.fromkeys(rare, _RARER)
    total = count = 0.0
    before = " "
    for sign in text:
        if sign > "\x7f":
            count += 1
            total += _weight(sign, before, weights)
        before = sign
    return total / count if count else 0.0


def _weight(sign: str, before: str, weights: Mapping[str, float]) -> float:
    """Return what a sign says for a language, after the one before it."""
    if (sign.isupper() and before.islower()) or "\x80" <= sign < "\xa0":
        return -1.0  # no word is written so
    small = sign.lower()
    if sign.isalpha():
        foreign = _OTHER_SCRIPTS <= small < _LATIN_AGAIN
        if foreign and before.isascii() and before.isalpha():
            return -1.0
        return weights.get(small, _RARE)
    if before.isalpha() and sign not in _WITHIN:
        return -1.0 if sign in _BEFORE_WORDS else weights.get(sign, 0.6 * (sign in _MARKS))
    return 1.0 if sign in _MARKS else weights.get(sign, 0.0)


def _is_japanese(sign: str) -> float:
    if "\u3041" <= sign <= "\u30fc":
        return 1.5  # kana are every other sign there, and nowhere else
    return 0.8 * ("\u4e00" <= sign <= "\u9fff" or "\u3000" <= sign <= "\u303f")


def _is_hangul(sign: str) -> float:
    return _within(sign, "euc_kr", 0xB0, 0xC8) or "\u3000" <= sign <= "\u303f"


def _is_usual_han(sign: str) -> float:
    """Tell whether it is among the 3,755 commonest Chinese characters, or a mark beside them."""
    return _within(sign, "gb2312", 0xB0, 0xD7) or _within(sign, "gb2312", 0xA1, 0xA3)


def _is_traditional(sign: str) -> float:
    return _within(sign, "big5", 0xA1, 0xC6)


def _within(sign: str, codec: str, first: int, last: int) -> bool:
    try:
        return first <= sign.encode(codec)[0] <= last
    except UnicodeEncodeError:
        return False


_EAST_ASIAN: tuple[tuple[str, Callable[[str], float]], ...] = (
    ("cp949", _is_hangul),
    ("cp932", _is_japanese),
    ("euc_jp", _is_japanese),
    ("gb18030", _is_usual_han),
    ("big5", _is_traditional),
)

_HINT_FROM = 64 << 20  # bytes of a file, unpacked
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
        if size >= _HINT_FROM:
            return
    yield rest
