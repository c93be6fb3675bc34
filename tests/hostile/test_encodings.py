"""Sixty ways in which a file's bytes and its encoding meet: right text, or a named error."""

import encodings
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scorer.errors import DataError, TweetscoreError, UsageError
from scorer.formats.open import open_source
from scorer.formats.text.encodings import find_encoding
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, answers, scored


@dataclass(frozen=True)
class Case:
    """A file, the encoding that it is said to have, and what becomes of it."""

    name: str
    content: bytes
    named: str | None = None
    texts: Sequence[str | None] = ()
    rejects: Sequence[int] = ()  # lines of records lost to the encoding
    error: tuple[type[TweetscoreError], str] | None = None


WORDS = ("caf\xe9", "na\xefve")
BODY = "id,text\n1,caf\xe9\n2,na\xefve\n"
CRLF, CR = BODY.replace("\n", "\r\n"), BODY.replace("\n", "\r")
MIXED = "id,text\r\n1,caf\xe9\n2,na\xefve\r\n"
EMOJI = "id,text\n1,\U0001f602\n2,\u4e2d\n"
RUSSIAN = "id,text\n1,\u043f\u0440\u0438\u0432\u0435\u0442\n2,\u043c\u0438\u0440\n"
GREEK = "id,text\n1,\u03ba\u03b1\u03bb\u03ae\n"
ARABIC = "id,text\n1,\u0633\u0644\u0627\u0645\n"
BOM8, BOM_LE, BOM_BE = b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"
RU = ("\u043f\u0440\u0438\u0432\u0435\u0442", "\u043c\u0438\u0440")

NOT_UTF8 = (DataError, "the header of .* is not utf-8")
NO_COLUMN = (DataError, "has no column 'text'")
LOOKS_LE = (DataError, "looks like utf-16-le; did you mean --encoding utf-16-le")
LOOKS_BE = (DataError, "looks like utf-16-be; did you mean --encoding utf-16-be")
LOOKS_WIDER = (DataError, "looks like utf-32-.e; convert it: iconv -f UTF-32 -t UTF-8")
LOOKS_WESTERN = (DataError, "looks like cp1252; did you mean --encoding cp1252")
UTF32 = (DataError, "is UTF-32, not CSV; try: iconv -f UTF-32 -t UTF-8 < ")
UNSUPPORTED = (UsageError, "the encoding .* is not supported")
CUT = (DataError, "ends in the middle of a character")
IS_UTF8 = (DataError, "is UTF-8, not .*; leave --encoding out")


def lines(*records: bytes) -> bytes:
    return b"id,text\n" + b"".join(b"%d,%s\n" % (i, r) for i, r in enumerate(records, 1))


def half(text: str, codec: str) -> bytes:
    return f"text\n{text}\nok\n".encode(codec, "surrogatepass")


RIGHT = [
    Case("utf-8", BODY.encode(), None, WORDS),
    Case("utf-8 named", BODY.encode(), "utf-8", WORDS),
    Case("utf-8 in capitals", BODY.encode(), "UTF8", WORDS),
    Case("utf-8 crlf", CRLF.encode(), None, WORDS),
    Case("utf-8 cr", CR.encode(), None, WORDS),
    Case("utf-8 mixed", MIXED.encode(), None, WORDS),
    Case("utf-8 bom", BOM8 + BODY.encode(), None, WORDS),
    Case("utf-8 bom crlf", BOM8 + CRLF.encode(), None, WORDS),
    Case("utf-8 bom cr", BOM8 + CR.encode(), None, WORDS),
    Case("utf-8 bom named utf-8-sig", BOM8 + BODY.encode(), "utf-8-sig", WORDS),
    Case("utf-8 no bom named utf-8-sig", BODY.encode(), "utf-8-sig", WORDS),
    Case("utf-8 emoji", EMOJI.encode(), None, ("\U0001f602", "\u4e2d")),
    Case("utf-8 bom inside a cell", lines(b"a\xef\xbb\xbfb"), None, ("a\ufeffb",)),
    Case("ascii", lines(b"plain"), None, ("plain",)),
    Case("ascii named ascii", lines(b"plain"), "ascii", ("plain",)),
    Case("utf-7 is ascii", b"id,text\n1,caf+AOk-\n", None, ("caf+AOk-",)),
    Case("nul bytes", lines(b"a\0b"), None, ("a\0b",)),
    Case("utf-16 le bom", BOM_LE + BODY.encode("utf-16-le"), None, WORDS),
    Case("utf-16 be bom", BOM_BE + BODY.encode("utf-16-be"), None, WORDS),
    Case("utf-16 le bom crlf", BOM_LE + CRLF.encode("utf-16-le"), None, WORDS),
    Case("utf-16 be bom cr", BOM_BE + CR.encode("utf-16-be"), None, WORDS),
    Case("utf-16 le bom mixed", BOM_LE + MIXED.encode("utf-16-le"), None, WORDS),
    Case("utf-16 le named", BODY.encode("utf-16-le"), "utf-16-le", WORDS),
    Case("utf-16 be named", BODY.encode("utf-16-be"), "utf-16-be", WORDS),
    Case("utf-16 le that is utf-8 too", half("\ua9c3", "utf-16-le"), "utf-16-le", ("\ua9c3", "ok")),
    Case("utf-16 be that is utf-8 too", half("\uc3a9", "utf-16-be"), "utf-16-be", ("\uc3a9", "ok")),
    Case("utf-16 bom named utf-16", BOM_BE + BODY.encode("utf-16-be"), "utf-16", WORDS),
    Case("utf-16 pairs", BOM_LE + EMOJI.encode("utf-16-le"), None, ("\U0001f602", "\u4e2d")),
    Case("utf-16 line feed within a unit", BOM_LE + "text\n\u0a0d\n".encode("utf-16-le"), None,
         ("\u0a0d",)),
    Case("latin-1", BODY.encode("latin-1"), "latin-1", WORDS),
    Case("latin-1 crlf", CRLF.encode("latin-1"), "ISO-8859-1", WORDS),
    Case("latin-1 cr", CR.encode("latin-1"), "latin-1", WORDS),
    Case("latin-1 ends in its only accent", b"text\ncaf\xe9", "latin-1", ("caf\xe9",)),
    Case("cp1252 euro", lines(b"\x80"), "cp1252", ("\u20ac",)),
    Case("koi8-r", RUSSIAN.encode("koi8-r"), "koi8-r", RU),
    Case("cp1251", RUSSIAN.encode("cp1251"), "cp1251", RU),
    Case("cp866", RUSSIAN.encode("cp866"), "cp866", RU),
    Case("iso-8859-7", GREEK.encode("iso-8859-7"), "greek", ("\u03ba\u03b1\u03bb\u03ae",)),
    Case("cp1256", ARABIC.encode("cp1256"), "cp1256", ("\u0633\u0644\u0627\u0645",)),
    Case("mac-roman", BODY.encode("mac-roman"), "mac-roman", WORDS),
    Case("ebcdic named", BODY.encode("cp500"), "cp500", WORDS),
    # Two encodings of one byte are indistinguishable: the text is what the name says.
    Case("koi8-r said to be cp1251", RUSSIAN.encode("koi8-r"), "cp1251",
         [word.encode("koi8-r").decode("cp1251") for word in RU]),
]  # fmt: skip

LOST = [
    Case("latin-1 undeclared", b"id,text\n1,caf\xe9\n2,ok\n", None, ("ok",), (2,)),
    Case("cp1252 undeclared", lines(b"\x80", b"ok"), None, ("ok",), (2,)),
    Case("koi8-r undeclared", RUSSIAN.encode("koi8-r"), None, (), (2, 3)),
    Case("cp1252 lacks 0x81", lines(b"a\x81b", b"ok"), "cp1252", ("ok",), (2,)),
    Case("ascii lacks the upper half", b"text\n\xe9\nok\n", "ascii", ("ok",), (2,)),
    Case("overlong slash", lines(b"\xc0\xaf", b"ok"), None, ("ok",), (2,)),
    Case("overlong nul", lines(b"\xc0\x80", b"ok"), None, ("ok",), (2,)),
    Case("overlong line feed", lines(b"\xe0\x80\x8a", b"ok"), None, ("ok",), (2,)),
    Case("surrogate in utf-8", lines(b"\xed\xa0\x80", b"ok"), None, ("ok",), (2,)),
    Case("pair of surrogates in utf-8", lines(b"\xed\xa0\xbd\xed\xb8\x82"), None, (), (2,)),
    Case("beyond unicode", lines(b"\xf4\x90\x80\x80", b"ok"), None, ("ok",), (2,)),
    Case("five bytes", lines(b"\xf8\x88\x80\x80\x80", b"ok"), None, ("ok",), (2,)),
    Case("stray continuation", lines(b"\x80", b"ok"), "utf-8", ("ok",), (2,)),
    Case("cut by the line's end", lines(b"caf\xc3", b"ok"), None, ("ok",), (2,)),
    Case("cut by the cell's end", b"text,id\n\xf0\x9f\x98,1\nok,2\n", None, ("ok",), (2,)),
    Case("cut by the file's end", b"text\nok\ncaf\xc3", None, ("ok",), (3,)),
    Case("lone high surrogate", BOM_LE + half("a\ud800b", "utf-16-le"), None, ("ok",), (2,)),
    Case("lone low surrogate", BOM_BE + half("\udc00", "utf-16-be"), None, ("ok",), (2,)),
    Case("utf-16 cut within a pair", BOM_LE + "text\nok\nb\U0001f602".encode("utf-16-le")[:-2],
         None, ("ok",), (3,)),
]  # fmt: skip

REFUSED = [
    Case("utf-16 cut within a unit", BOM_LE + BODY.encode("utf-16-le")[:-1], error=CUT),
    Case("utf-16 le without a word", BODY.encode("utf-16-le"), error=LOOKS_LE),
    Case("utf-16 le of ascii", "id,text\n1,a\n".encode("utf-16-le"), error=LOOKS_LE),
    Case("utf-16 be of ascii", "id,text\n1,a\n".encode("utf-16-be"), error=LOOKS_BE),
    Case("utf-16 be said to be le", BODY.encode("utf-16-be"), "utf-16-le", error=LOOKS_BE),
    Case("utf-16 be bom said to be le", BOM_BE + BODY.encode("utf-16-be"), "utf-16-le",
         error=LOOKS_BE),
    Case("utf-16 said to be latin-1", BOM_LE + BODY.encode("utf-16-le"), "latin-1",
         error=LOOKS_LE),
    Case("utf-16 said to be utf-8", BOM_LE + BODY.encode("utf-16-le"), "utf-8", error=LOOKS_LE),
    Case("utf-8 said to be utf-16", b"id,text\n1,ab\n2,cd\n", "utf-16", error=NO_COLUMN),
    Case("odd utf-8 said to be utf-16", b"id,text\n1,ab\n2,c\n", "utf-16", error=CUT),
    Case("utf-32 le bom", b"\xff\xfe\0\0" + BODY.encode("utf-32-le"), error=UTF32),
    Case("utf-32 be bom", b"\0\0\xfe\xff" + BODY.encode("utf-32-be"), error=UTF32),
    Case("utf-32 of ascii", "id,text\n1,a\n".encode("utf-32-le"), error=LOOKS_WIDER),
    Case("utf-8 said to be latin-1", BODY.encode(), "latin-1", error=IS_UTF8),
    Case("utf-8 said to be cp1252", EMOJI.encode(), "cp1252", error=IS_UTF8),
    Case("utf-8 said to be koi8-r", RUSSIAN.encode(), "koi8-r", error=IS_UTF8),
    Case("utf-8 bom said to be latin-1", BOM8 + b"id,text\n1,a\n", "latin-1", error=IS_UTF8),
    Case("ebcdic undeclared", BODY.encode("cp500"), error=NOT_UTF8),
    Case("ebcdic said to be latin-1", b"".join(BODY.encode("cp500").split(b"\n")), "latin-1",
         error=NO_COLUMN),
    Case("latin-1 header undeclared", "\xe9,text\n1,a\n".encode("latin-1"), error=LOOKS_WESTERN),
    Case("utf-7 named", b"id,text\n1,a\n", "utf-7", error=UNSUPPORTED),
    Case("utf-32 named", BODY.encode("utf-32"), "utf-32", error=UTF32),
    Case("shift-jis named", b"id,text\n1,a\n", "shift_jis", error=UNSUPPORTED),
    Case("gb18030 named", b"id,text\n1,a\n", "gb18030", error=UNSUPPORTED),
    Case("iso-2022-jp named", b"id,text\n1,a\n", "iso2022_jp", error=UNSUPPORTED),
    # EBCDIC that leaves bytes below 0x80 undefined: they could not come back as they were.
    Case("cp424 named", b"id,text\n1,a\n", "cp424", error=UNSUPPORTED),
    Case("no such encoding", b"id,text\n1,a\n", "klingon", error=UNSUPPORTED),
    Case("a name with a nul", b"id,text\n1,a\n", "utf\0-8", error=UNSUPPORTED),
    Case("a codec for bytes", b"id,text\n1,a\n", "bz2", error=UNSUPPORTED),
    Case("only a mark", BOM8, error=(DataError, "is empty")),
    Case("only a mark of utf-16", BOM_LE, error=(DataError, "is empty")),
]  # fmt: skip


def test_every_encoding_that_is_admitted_gives_every_byte_back(tmp_path: Path) -> None:
    """Of all that Python knows, what might lose a byte is refused, and the rest loses none."""
    admitted = []
    for module in pkgutil.iter_modules(encodings.__path__):
        try:
            encoding = find_encoding(module.name, b"")
        except UsageError:
            continue
        admitted.append(encoding.codec)
        for byte in range(256):
            unit = bytes([byte] * (1 + ("utf-16" in encoding.codec)))
            content = "a".encode(encoding.codec) + unit
            there = b"".join(encoding.to_utf8(tmp_path, [content]))
            assert encoding.from_utf8(there) == content
    assert len(admitted) > 60


def test_there_are_enough_cases() -> None:
    """Each case has a name of its own."""
    names = [case.name for case in (*RIGHT, *LOST, *REFUSED)]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("case", [*RIGHT, *LOST], ids=lambda case: case.name)
def test_text_is_right_and_bytes_come_back(case: Case, tmp_path: Path) -> None:
    """What can be read is read rightly, what cannot is a reject with its line, bytes stay bytes."""
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_bytes(case.content)
    source = open_source(path, InputSpec(csv=CsvOptions(encoding=case.named)))
    windows = list(source.windows(2))
    source.write_scored(out, SCHEMA, answers(windows))
    assert [text for window in windows for text in window.texts] == list(case.texts)
    rejects = [reject for window in windows for reject in window.rejects]
    assert [(r.line, r.kind) for r in rejects] == [(line, "encoding") for line in case.rejects]
    assert all(reject.raw in case.content for reject in rejects)
    assert without_cells(out.read_bytes(), source.encoding, case.texts) == without(
        case.content, [reject.raw for reject in rejects], source.encoding
    )


def without_cells(output: bytes, codec: str, texts: Sequence[str | None]) -> bytes:
    """Take what was appended out of an output, record by record."""
    for cells in (",label,score", *scored(texts)):
        added = cells.encode(codec)
        assert added in output
        output = output.replace(added, b"", 1)
    return output


def without(content: bytes, lost: list[bytes], codec: str) -> bytes:
    """Take rejects and their line endings out of an input."""
    for raw in lost:
        start = content.index(raw)
        rest = content[start + len(raw) :].removeprefix("\n".encode(codec))
        content = content[:start] + rest
    return content


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_is_not_the_encoding_has_a_name(case: Case, tmp_path: Path) -> None:
    """A file whose encoding is not the one named is refused in words, before it is scored."""
    assert case.error
    kind, words = case.error
    (path := tmp_path / "in.csv").write_bytes(case.content)
    with pytest.raises(kind, match=words) as caught:
        list(open_source(path, InputSpec(csv=CsvOptions(encoding=case.named))).windows(10))
    assert str(caught.value).isprintable()
