"""What is no UTF-8 has the name of what it looks like: a hint that leads on, or no hint at all."""

import gzip
from pathlib import Path

import pytest

from scorer.errors import DataError
from scorer.formats.open import open_source
from scorer.formats.text import likely_encoding as likely
from scorer.formats.text.likely_encoding import (
    Seen,
    conversion,
    is_taken,
    likely_encoding,
    seen_in,
    wide_encoding,
)

TEXTS = {
    "cp1252": [
        "mañana será otro día, ¿qué tal? camión", "año", "categoría",
        "l\u2019été à la plage, où êtes-vous ? garçon", "Größe über Straße schön",
        "não é possível, coração e maçã", "perché così è la città però",
        "räksmörgås är gott på ön", "rødgrød med fløde på øen", "cuesta 5 € hoy \u201csí\u201d",
    ],
    "cp1250": [
        "zażółć gęślą jaźń, dziękuję", "příliš žluťoučký kůň úpěl", "árvíztűrő tükörfúrógép",
    ],
    "iso8859-2": ["příliš žluťoučký kůň úpěl ďábelské"],
    "cp1251": ["Привет, как дела? Сегодня хорошая погода"],
    "koi8-r": ["Привет, как дела? Сегодня хорошая погода"],
    "cp866": ["Привет, как дела? Сегодня хорошая погода"],
    "cp1253": ["Καλημέρα, τι κάνεις σήμερα"],
    "cp1254": ["çok güzel bir gün, ağaç ışık şarkı İstanbul"],
    "cp1255": ["שלום עולם מה שלומך"],
    "cp1256": ["مرحبا بالعالم كيف حالك"],
    "cp1257": ["ąžuolas ėjo į šūkį žalią"],
    "cp874": ["สวัสดีชาวโลก"],
    "cp850": ["mañana será otro día, ¿qué tal?", "Größe über Straße schön"],
    "mac-roman": ["mañana será otro día, ¿qué tal?", "não é possível, coração e maçã"],
    "gb18030": ["今天天气很好，我们去公园玩吧"],
    "big5": ["今天天氣很好,我們去公園玩吧"],
    "cp932": ["今日はとてもいい天気ですね。東京へ行きます"],
    "euc_jp": ["今日はとてもいい天気ですね。東京へ行きます"],
    "cp949": ["오늘 날씨가 정말 좋네요 감사합니다"],
}  # fmt: skip
CASES = [(codec, text) for codec, texts in TEXTS.items() for text in texts]


@pytest.mark.parametrize(("codec", "text"), CASES)
def test_the_likeliest_encoding_gives_the_text(codec: str, text: str) -> None:
    """Of a sentence, or of a word, in the code page that its language is written with."""
    found = likely_encoding(text.encode(codec))
    assert found is not None
    assert text.encode(codec).decode(found) == text


def test_bytes_that_are_no_text_have_no_name() -> None:
    """Nothing is named where no candidate makes sense."""
    assert likely_encoding(bytes(range(0x80, 0x100))) is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["día", "привет", "今天天气很好"])
def test_zeros_show_wide_encodings(codec: str, text: str) -> None:
    """Without a byte-order mark: where they stand tells the order of bytes."""
    content = f"id,text\n1,{text}\n"
    assert wide_encoding(content.encode(codec)) == codec
    assert wide_encoding(content.encode()) is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_shows_a_wide_encoding(codec: str) -> None:
    """Also where no character has a zero in it."""
    assert wide_encoding("\ufeff今天".encode(codec)) == codec


def test_the_first_lines_are_enough_to_tell_an_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: neither the whole file is looked at, nor all that was found."""
    monkeypatch.setattr(likely, "_HINT_FROM", 6)
    bad = b"1,d\xeda\n"
    assert seen_in([b"1,\n", b"2,\n", bad]) is None
    assert seen_in([b"1,\n", bad, b"never met"]) == Seen("cp1252", mixed=False)
    monkeypatch.setattr(likely, "_SAMPLE", 9)
    lines = likely.Lines()
    lines.add(bad * 5)
    assert (lines.bad, lines.sample) == (5, bad * 2)


def test_a_few_bad_lines_are_no_other_encoding() -> None:
    """Reading sound lines otherwise would spoil them."""
    sound, bad = "1,día\n".encode(), b"2,d\xeda\n"
    assert seen_in([sound * 9, bad]) == Seen(None, mixed=True)
    assert seen_in([b"ascii\n", bad * 9]) == Seen("cp1252", mixed=False)
    assert seen_in([sound * 9]) is None
    assert seen_in([sound], [bad]) == Seen(None, mixed=True)


def test_a_line_may_lie_in_two_blocks() -> None:
    """And a character too."""
    content = "1,día\n2,más\n".encode()
    assert all(seen_in([content[:cut], content[cut:]]) is None for cut in range(len(content)))


def test_what_encoding_does_not_take_is_converted() -> None:
    """By a command that can be pasted, and the one after it."""
    assert not is_taken("gb18030")
    assert conversion(Path("a b.csv"), "gb18030") == (
        "iconv -f GB18030 -t UTF-8 'a b.csv' > 'a b.utf-8.csv' && tweetscore run 'a b.utf-8.csv'"
    )
    assert conversion(Path("x/in.csv.gz"), "cp932") == (
        "zcat x/in.csv.gz | iconv -f CP932 -t UTF-8 > x/in.utf-8.csv "
        "&& tweetscore run x/in.utf-8.csv"
    )


HEADS = [
    (
        "fecha;texto;categoría\n1;sí;x\n".encode("cp1252"),
        (
            "IN has no column 'text', only: fecha;texto;categoría; with --delimiter ';' it has: "
            "fecha, texto, categoría; it is not utf-8 but looks like cp1252; "
            "did you mean --encoding cp1252 --delimiter ';' --text-column texto?"
        ),
    ),
    (  # the header alone is ASCII
        b"fecha;texto\n" + b"1;ascii\n" * 99_999 + "2;mañana\n".encode("cp1252"),
        (
            "IN has no column 'text', only: fecha;texto; with --delimiter ';' it has: fecha, "
            "texto; it is not utf-8 but looks like cp1252; "
            "did you mean --encoding cp1252 --delimiter ';' --text-column texto?"
        ),
    ),
    (
        "categoría;text\nx;sí\n".encode("cp1252"),
        "IN is not utf-8, it looks like cp1252; did you mean --encoding cp1252?",
    ),
    (
        "día,hora\n1,2\n".encode("cp1252"),
        (
            "IN has no column 'text', only: día, hora; it is not utf-8 but looks like cp1252; "
            "give --encoding cp1252; name one with --text-column"
        ),
    ),
    (
        "id;texto\n1;sí\n".encode("utf-16-be"),
        (
            "IN has no column 'text', only: id;texto; with --delimiter ';' it has: id, texto; "
            "it is not utf-8 but looks like utf-16-be; "
            "did you mean --encoding utf-16-be --delimiter ';' --text-column texto?"
        ),
    ),
    (
        "编号,text\n1,今天天气很好\n".encode("gb18030"),
        (
            "IN is not utf-8, it looks like gb18030; convert it: iconv -f GB18030 -t UTF-8 IN > "
            "IN.utf-8 && tweetscore run IN.utf-8"
        ),
    ),
]


@pytest.mark.parametrize(("content", "line"), HEADS, ids=range(len(HEADS)))
@pytest.mark.parametrize("packed", [False, True])
def test_all_that_a_file_needs_is_in_one_hint(
    tmp_path: Path, content: bytes, line: str, *, packed: bool
) -> None:
    """Encoding, delimiter and column: not one after the other."""
    path = tmp_path / ("in.csv.gz" if packed else "in.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as caught:
        open_source(path)
    got = str(caught.value).replace(str(tmp_path / "in.utf-8.csv"), "IN.utf-8")
    got = got.replace(f"zcat {path} | iconv -f GB18030 -t UTF-8", "iconv -f GB18030 -t UTF-8 IN")
    assert got.replace(str(path), "IN") == line
