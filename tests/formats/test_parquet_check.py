"""How batches are sized and what is refused, on files whose every number is forged."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.formats.guards import parquet_memory as parquet_check
from scorer.formats.guards.parquet_memory import BATCH_BYTES, BATCH_ROWS, ReadingPlan, reading_plans
from scorer.formats.guards.parquet_pages import pages_of
from scorer.formats.guards.thrift import Compact
from scorer.formats.parquet.footer import read_footer
from tests.formats.files_helpers import write_scored
from tests.hostile.parquet_factory import (
    CODECS,
    DELTA_BYTE_ARRAY,
    DICTIONARY,
    FIXED,
    INT64,
    REPEATED,
    RLE_DICTIONARY,
    Column,
    Forged,
    Long,
    Page,
    Value,
    levels,
    plain,
    run_of,
    thrift,
    varint,
)

LONG = b"x" * 100_000
OVERHEAD = 8


def plan(path: Path, forged: Forged, name: str | None = None) -> ReadingPlan:
    forged.write(path)
    footer = read_footer(path)
    with pq.ParquetFile(path) as file:
        columns = [file.schema.column(i) for i in range(footer.leaves)]
    [found] = reading_plans(path, footer.groups(footer.columns), columns, name)
    return found


def refusal(path: Path, forged: Forged) -> str:
    with pytest.raises(DataError) as caught:
        plan(path, forged)
    return str(caught.value)


def coded(*values: bytes, rows: int = 9, codec: str | None = None, name: str = "text") -> Column:
    """Return a column with a dictionary, whose rows are all its first value."""
    dictionary = Page(plain(*values), len(values), kind=DICTIONARY)
    return Column(name, [dictionary, Page(run_of(0, rows), rows, RLE_DICTIONARY)], codec=codec)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.parquet"


@pytest.mark.parametrize("codec", CODECS)
def test_the_longest_value_of_a_dictionary_counts(path: Path, codec: str | None) -> None:
    """Not the size of the dictionary: many short values leave batches as they are."""
    short = [f"{i:07}".encode() for i in range(20_000)]
    assert plan(path, Forged([coded(*short, codec=codec)], 9)).batch == BATCH_ROWS
    batch = plan(path, Forged([coded(*short, LONG, codec=codec)], 9)).batch
    assert batch == BATCH_BYTES // (len(LONG) + OVERHEAD)


def test_a_dictionary_that_is_not_counted_has_one_long_value(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at very many values one by one would take too long."""
    monkeypatch.setattr(parquet_check, "_MOST_COUNTED", 99)
    values = [LONG[:1000]] * 100
    found = plan(path, Forged([coded(*values)], 9)).batch
    assert found == BATCH_BYTES // (len(plain(*values)) + OVERHEAD)


def test_a_dictionary_may_lie_about_its_lengths(path: Path) -> None:
    """A length past its end counts as its whole size; so does an end in the middle of one."""
    dictionary = plain(LONG)[:-7] + b"\xff" * 7
    for lie in (b"\xff\xff\xff\xff" + dictionary[4:], plain(LONG[:-2]) + b"\0\0"):
        pages = [Page(lie, 2, kind=DICTIONARY), Page(run_of(0, 9), 9, RLE_DICTIONARY)]
        found = plan(path, Forged([Column("text", pages)], 9)).batch
        assert found == pytest.approx(BATCH_BYTES / len(LONG), abs=1)


def test_a_value_may_begin_like_the_one_before(path: Path) -> None:
    """Each may then be as long as its page."""
    page = Page(LONG, 9, DELTA_BYTE_ARRAY)
    found = plan(path, Forged([Column("text", [page])], 9)).batch
    assert found == BATCH_BYTES // (len(LONG) + OVERHEAD)


def test_columns_add_up_and_one_can_be_read_alone(path: Path) -> None:
    """A run reads the texts only, whatever is beside them."""
    wide = Column("n", [Page(LONG * 9, 9)], physical=FIXED, length=len(LONG))
    forged = Forged([coded(b"good"), wide, coded(LONG, name="text.b")], 9)
    both = len(b"good") + 2 * len(LONG) + 4 * OVERHEAD
    assert plan(path, forged).batch == pytest.approx(BATCH_BYTES / both, abs=1)
    assert plan(path, Forged([coded(b"good"), wide], 9), "text").batch == BATCH_ROWS
    endless = Column("n", [Page(b"", 9, claimed=2**31 - 1)], physical=INT64)
    assert plan(path, Forged([coded(b"good"), endless], 9), "text").batch == BATCH_ROWS


def test_the_rows_of_lists_are_their_values(path: Path) -> None:
    """A thousand numbers in each row: a thousandth of the rows."""
    values = 10_000
    content = levels((0, 1), (1, values - 1)) + levels((1, values)) + bytes(8 * values)
    lists = Column("n", [Page(content, values)], physical=INT64, repetition=REPEATED)
    found = plan(path, Forged([coded(b"good", rows=1), lists], 1)).batch
    assert found == pytest.approx(BATCH_BYTES / (16 * values), abs=1)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("_MOST_PAGE", "a page of column 'text' in row group 1"),
        ("_MOST_PAGES", "the pages of row group 1"),
        ("_MOST_ROW", "a row of row group 1"),
    ],
    ids=lambda value: value.split()[0],
)
def test_what_is_held_at_once_has_a_limit(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    """The message says what is too large, and what to do."""
    forged = Forged([Column("text", [Page(plain(LONG), 1)])], 1)
    assert plan(path, forged).rows == 1
    monkeypatch.setattr(parquet_check, limit, 99_999)
    message = refusal(path, forged)
    assert words in message
    assert message.endswith("; write it again in smaller row groups")


def test_lists_far_larger_than_the_file_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row may be all of them, and a row cannot be read in pieces."""
    values = 10**6
    content = levels((0, 1), (1, values - 1)) + levels((1, values)) + run_of(0, values)
    pages = [Page(plain(b"x"), 1, kind=DICTIONARY), Page(content, values, RLE_DICTIONARY)]
    forged = Forged([coded(b"x", rows=1), Column("n", pages, repetition=REPEATED)], 1)
    assert plan(path, forged).batch == 5
    monkeypatch.setattr(parquet_check, "_MOST_NESTED", values)
    assert "lists that cannot be read in pieces" in refusal(path, forged)


def test_numbers_that_contradict_each_other_are_refused(path: Path) -> None:
    """Values for rows that are not there, and a dictionary too small for its values."""
    assert "has 9 values for 8 rows" in refusal(path, Forged([coded(b"x")], 8))
    pages = [Page(plain(b"x"), 9, kind=DICTIONARY), Page(run_of(0, 9), 9, RLE_DICTIONARY)]
    assert "is too short" in refusal(path, Forged([Column("text", pages)], 9))


def test_a_row_group_that_ends_early_is_refused(path: Path, tmp_path: Path) -> None:
    """Lists do not say in advance how many rows they are; a preview reads them."""
    lists = Column("n", [Page(levels((0, 1), (1, 2)) + levels((1, 3)) + bytes(24), 3)], INT64)
    lists.repetition = REPEATED
    Forged([coded(b"x", rows=2), lists], 2).write(path)
    with pytest.raises(DataError, match=r"Parquet file|before its 2 rows"):
        write_scored(path, tmp_path / "out.parquet", limit=2)


def test_other_kinds_of_pages_are_passed_over(path: Path) -> None:
    """As readers do: an index page holds no values."""
    skipped = Page(b"skip", 0, kind=1)
    forged = Forged([Column("text", [skipped, Page(plain(b"x"), 1)])], 1)
    forged.write(path)
    with path.open("rb") as file:
        index, page = pages_of(file.fileno(), 4, 1)
    assert (index.data, index.dictionary, page.data, page.values) == (False, False, True, 1)
    assert plan(path, forged) == ReadingPlan(1, BATCH_ROWS)


@pytest.mark.parametrize(
    "content",
    [
        thrift({1: 0, 2: 5, 3: 5}),  # no details
        thrift({1: 0, 2: 5, 3: 5, 5: 7}),  # which are a number
        thrift({1: 0, 2: 5, 3: 5, 5: {1: -1, 2: 0}}),
        thrift({1: 0, 2: 5, 3: 5, 5: {1: 1, 2: 0}}),  # no data
        thrift({1: {}, 2: 5}),
        b"\x15",  # no end
        b"\x15" + b"\x80" * 20_000,  # a number without one
        b"\x1b\0\0",  # a map
        b"\x1c" * 99 + b"\0" * 99,  # too deep
        thrift({1: b"x" * 10}).replace(b"\x0a", varint(2**40)),
    ],
    ids=range(10),
)
def test_what_is_no_page_header_is_an_error(path: Path, content: bytes) -> None:
    """Of one kind, whatever the bytes are."""
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(ValueError, match=r"header|field|number"):
        list(pages_of(file.fileno(), 0, 1))


def test_a_page_header_may_be_large(path: Path) -> None:
    """Statistics hold whole values, and come before what counts."""
    statistics: dict[int, Value] = {1: 0, 2: 1, 3: 1, 5: {1: 1, 2: 0, 5: {1: b"x" * 100_000}}}
    path.write_bytes(thrift(statistics) + b"x")
    with path.open("rb") as file:
        [page] = pages_of(file.fileno(), 0, 1)
    assert page.at == len(thrift(statistics))


def test_thrift_of_every_kind_is_read() -> None:
    """Fields far apart, negative numbers, truth, doubles, and lists long and short."""
    assert Compact(thrift({1: -3, 15: Long(-(2**62)), 16: {1: 2}})).struct() == {
        1: -3,
        15: -(2**62),
        16: {1: 2},
    }
    rest = b"\x11\x12\x13\x07\x17" + bytes(8)  # true, false, a byte, a double
    assert Compact(rest + b"\0").struct() == {1: True, 2: False, 3: None, 4: None}
    assert Compact(thrift({3: list(range(40)), 4: [1]})).struct() == {3: list(range(40)), 4: [1]}
    assert Compact(b"\x19\x22\1\2\0").struct() == {1: [None, None]}  # truths in a list
    assert Compact(b"\x05\x50\x02\0").struct() == {40: 1}  # a field's number of its own
