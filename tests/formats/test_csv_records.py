import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scorer.formats.csv import splitter as csv_records
from scorer.formats.csv.rows import texts_of
from scorer.formats.csv.splitter import Records, RecordSplitter
from scorer.formats.text.dialects import Dialect, Failure, Record, read_record
from tests.formats.csv_reference import Lost, Row, split


def vectorised(
    blocks: list[bytes], dialect: Dialect, cells: int, text_cell: int, cap: int, window: int
) -> list[Row | Lost]:
    splitter = RecordSplitter(dialect, cells=cells, text_cell=text_cell, cap=cap)
    splitter._window = window
    found: list[Row | Lost] = []
    for number, block in enumerate(blocks):
        for records in splitter.split(block, final=number == len(blocks) - 1):
            found += in_order(records)
    return found


def in_order(records: Records) -> list[Row | Lost]:
    spans = records.spans
    rows = [
        Row(
            records.data[start:end],
            records.data[end:stop],
            None if text is None else text.encode(),
        )
        for start, end, stop, text in zip(
            spans.starts, spans.ends, spans.stops, texts_of(records), strict=True
        )
    ]
    found: list[Row | Lost] = []
    at = 0
    for before, reject in records.rejects:
        found += rows[at:before]
        found.append(Lost(reject.line, reject.kind, reject.raw))
        at = before
    return found + rows[at:]


def cut(content: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(i, len(content)) for i in at), len(content)]
    return [content[a:b] for a, b in itertools.pairwise(bounds)]


PIECES = [b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b"bc", b"\xc3\xa9", b"\xf0\x9f\x98\x80"]
PIECES += [b'"x"', b',"', b'",', b'"\n', b'\n"', b"x,y\n", b'"p\nq",z\n', b"\xff", b"\xed\xb2\x81"]
soup = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(
    content=soup,
    cuts=st.lists(st.integers(0, 120), max_size=4),
    cells=st.integers(1, 3),
    text_cell=st.integers(0, 2),
    ending=st.sampled_from([10, 10, 10, 13]),
    cap=st.sampled_from([1, 3, 8, 20, 1 << 20]),
    window=st.sampled_from([1, 4, 16, 1 << 20]),
)
@example(b'x","\n' * 20, [], 2, 0, 10, 20, 4)
@example(b'a,"b\r\n"x\r\n', [4, 7], 2, 1, 10, 8, 1)
@example(b'"a\np","q\n""\nx,y\n', [], 2, 0, 10, 1 << 20, 1 << 20)  # alone, line 2 is open too
@example(b'"a\nb" c\n",x\n', [], 2, 0, 10, 1 << 20, 1 << 20)  # no quote of line 2 is data
def test_splitter_agrees_with_the_reference_on_any_bytes_and_block_cuts(
    content: bytes,
    cuts: list[int],
    cells: int,
    text_cell: int,
    ending: int,
    cap: int,
    window: int,
) -> None:
    """Rows, texts, line endings, rejects and their lines are those of a byte-by-byte reader."""
    text_cell = min(text_cell, cells - 1)
    expected = split(content, cells, text_cell, ord(","), ending, cap)
    dialect = Dialect(ord(","), ending)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "_SMALL_SCAN", 1)
        got = vectorised(cut(content, cuts), dialect, cells, text_cell, cap, window)
    assert got == expected


def damaged_csv(seed: int) -> bytes:
    rng = random.Random(seed)  # noqa: S311 - no secret
    cell = [
        "plain {} text",
        '"quoted {}"',
        '"two\nlines {}"',
        'a 5" disk {}',
        '"say ""{}"""',
        "",
        '""',
    ]
    lines = [
        f"{n}\t{rng.choice(cell).format(n)}\t{rng.choice(cell).format(n)}"
        + rng.choice(["\n", "\r\n"])
        for n in range(3000)
    ]
    for _ in range(20):
        lines[rng.randrange(len(lines))] = rng.choice(
            ['1\t"open\tx\n', '2\t"a"b\tc\n', "\n", "3\n"]
        )
    return "".join(lines).encode()


@pytest.mark.parametrize("seed", range(4))
def test_long_files_with_scattered_damage_agree_with_the_reference(seed: int) -> None:
    """Going back to vectorised reading after damage loses and doubles nothing."""
    content = damaged_csv(seed)
    blocks = cut(content, list(range(0, len(content), 20_011)))
    expected = split(content, 3, 1, 9, 10, 5000)
    assert vectorised(blocks, Dialect(9), 3, 1, 5000, 1 << 30) == expected
    assert sum(isinstance(each, Row) for each in expected) > 2900


def test_an_open_quote_costs_one_line() -> None:
    """The rows behind an open quote are all there, up to the file's end."""
    content = b'1,a\n2,"b\n' + b"3,c\n" * 1000
    found = vectorised([content], Dialect(ord(",")), 2, 1, 1 << 20, 1 << 30)
    assert [each for each in found if isinstance(each, Lost)] == [Lost(2, "open-quote", b'2,"b')]
    assert len(found) == 1002


@pytest.mark.parametrize(
    "line", [b'x","\n', b'"\n', b'"a\n', b'a"b\n', b'"a"b\n', b'",\n', b'""",""x\n', b"\n"]
)
def test_hostile_lines_are_read_a_bounded_number_of_times(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However quotes are arranged, the bytes examined one record at a time stay linear."""
    examined = 0

    def counting(
        data: bytes, start: int, dialect: Dialect, limit: int, *, at_end: bool
    ) -> Record | Failure:
        nonlocal examined
        result = read_record(data, start, dialect, limit, at_end=at_end)
        examined += (result.stop if isinstance(result, Record) else result.reach) - start
        return result

    monkeypatch.setattr(csv_records, "read_record", counting)
    content = line * (100_000 // len(line))
    vectorised([content[:50_000], content[50_000:]], Dialect(ord(",")), 2, 1, 25_000, 1 << 30)
    assert examined <= 4 * len(content)


@pytest.mark.parametrize(
    ("record", "ending"),
    [
        (b"1,plain\n", 10),
        (b'1,"quoted"\n', 10),
        (b'"1","say ""so"", she said"\n', 10),
        (b'"","two\nlines"\n', 10),
        (b'1,"quoted"\r\n', 10),
        (b'"two\r\nlines",""""\r\n', 10),
        (b'1,a 5" disk\n', 10),
        (b'a "b" c,d\r\n', 10),
        (b'1,"quoted"\r', 13),
        (b'1,a 5" disk\r', 13),
    ],
)
def test_sound_records_are_never_read_one_by_one(
    record: bytes, ending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strict reader, a hundred times slower, is for damage alone."""
    monkeypatch.delattr(csv_records, "read_record")
    content = record * 1000
    found = vectorised(
        cut(content, [1, 4000, 4001, 4002]), Dialect(ord(","), ending), 2, 1, 99, 2000
    )
    assert found == split(content, 2, 1, ord(","), ending, 99)
