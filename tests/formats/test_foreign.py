"""Content that is not what the name says, and names that say nothing: errors with a remedy."""

import bz2
import json
import lzma
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import orc

from scorer.errors import DataError, InputMissing, TweetscoreError, UsageError
from scorer.formats.foreign import check_content
from scorer.formats.open import open_source
from scorer.formats.registry import format_of
from scorer.options import CsvOptions, InputSpec
from scorer.store.inputs import find_inputs
from scorer.store.output_plan import plan_outputs
from tests.contents import ARRAY, FRAME, NDJSON, ROWS, gzipped, tarred, written, zipped

CSV = b"id,text\n1,I love it\n2,so sad\n3,meh\n"
PARQUET, IPC, AVRO = (written(w) for w in (FRAME.write_parquet, FRAME.write_ipc, FRAME.write_avro))
PLAIN_STRINGS = FRAME.to_arrow().cast(pa.schema([("id", pa.int64()), ("text", pa.string())]))
ORC = written(lambda buffer: orc.write_table(PLAIN_STRINGS, buffer))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(name: str, content: bytes, **options: Any) -> TweetscoreError:
    """Return the error that a file raises."""
    path = Path(name)
    path.write_bytes(content)
    try:
        plan_outputs(find_inputs([path]))
        open_source(path, InputSpec(**options))
    except TweetscoreError as error:
        return error
    pytest.fail(f"{name} is read")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("x.csv", gzipped(CSV), "x.csv is gzip, not CSV; rename it: mv x.csv x.csv.gz && "),
        ("x.csv", PARQUET, "x.csv is Parquet, not CSV; rename it: mv x.csv x.parquet && "),
        ("x.tsv", IPC, "x.tsv is Arrow IPC, not TSV; rename it: mv x.tsv x.arrow && "),
        ("x.csv", bz2.compress(CSV), "x.csv is bzip2, not CSV; try: bzip2 -dc < x.csv | "),
        ("x.csv", lzma.compress(CSV), "x.csv is xz, not CSV; try: xz -dc < x.csv | "),
        ("x.csv", zipped("a.csv", CSV), "x.csv is a zip archive, not CSV; try: "),
        (
            "x.csv",
            zipped("[Content_Types].xml", CSV),
            "x.csv is an Excel workbook, not CSV; save it",
        ),
        (
            "x.csv",
            zipped("word/document.xml", CSV),
            "x.csv is a word processor's document, not CSV; ",
        ),
        (
            "x.csv",
            b"PK\3\4\x14\0",
            "x.csv is a damaged zip archive, maybe an Excel workbook",
        ),
        ("x.csv", AVRO, "x.csv is Avro, not CSV; try: "),
        ("x.csv", ORC, "x.csv is ORC, not CSV; try: "),
        ("x.csv", NDJSON, "x.csv is NDJSON, not CSV; rename it: mv x.csv x.ndjson && "),
        ("x.csv", ARRAY, "x.csv is a JSON array, not CSV; try: "),
        ("x.csv", b"\n <!DOCTYPE HTML>\n<title>Log in", "x.csv is an HTML page, not CSV; fetch it"),
        ("x.csv", b"%PDF-1.7\n", "x.csv is a PDF document, not CSV; save it as CSV in UTF-8"),
        ("x.csv", b"version https://git-lfs.github.com/spec/v1\n", "x.csv is a Git LFS pointer"),
        ("x.csv", CSV.decode().encode("utf-32"), "x.csv is UTF-32, not CSV; try: iconv -f UTF-32"),
        ("x.ndjson", CSV, "x.ndjson is CSV, not NDJSON; rename it: mv x.ndjson x.csv && "),
        ("x.parquet", CSV, "x.parquet is CSV, not Parquet; rename it: mv x.parquet x.csv && "),
        ("x.parquet", IPC, "x.parquet is Arrow IPC, not Parquet; rename it: "),
        ("x.arrow", PARQUET, "x.arrow is Parquet, not Arrow IPC; rename it: "),
        ("x.parquet", gzipped(PARQUET), "x.parquet is gzip, not Parquet; try: gzip -dc < x."),
        ("x.csv.gz", CSV, "x.csv.gz is CSV, not gzip; rename it: mv x.csv.gz x.csv && "),
        ("x.csv.gz", b"\x28\xb5\x2f\xfd\x04\0", "x.csv.gz is Zstandard, not gzip; rename it: mv "),
        ("x.csv.gz", gzipped(gzipped(CSV)), "x.csv.gz is gzip inside, not CSV; try: "),
        ("x.csv.gz", gzipped(PARQUET), "x.csv.gz is Parquet inside, not CSV; try: gzip "),
    ],
)
def test_content_is_named_whatever_the_name_says(
    here: Path, name: str, content: bytes, line: str
) -> None:
    """Before a fault of its encoding, its delimiter or its header is reported."""
    error = error_of(name, content)
    assert isinstance(error, DataError)
    assert str(error).startswith(line)
    if name == "x.csv":
        assert str(error_of(name, content, csv=CsvOptions(encoding="latin-1"))).startswith(line)


def test_a_rename_replaces_nothing(here: Path) -> None:
    """Where the other name is taken, the command does without."""
    for name in ("x.csv.gz", "x.parquet"):
        Path(name).touch()
    gz, parquet = error_of("x.csv", gzipped(CSV)), error_of("x.csv", PARQUET)
    assert gz.remedy == "try: gzip -dc < x.csv | tweetscore run - -o x.scored.csv"
    assert parquet.remedy == "try: tweetscore run x.csv --format parquet"


@pytest.mark.parametrize("header", ["ORCID", "PAR1", "BZh", "DUCK", "[id]", "FEA1"])
def test_a_header_may_begin_like_another_format(here: Path, header: str) -> None:
    """What follows is text."""
    (path := here / "x.csv").write_text(f"{header},text\n1,a\n")
    assert open_source(path).columns == (header, "text")


@pytest.mark.parametrize(
    "line",
    ['{"text": 1', "garbage, more of it", "[1]", '{"a"', '{\n"text": "a"}', '{"a":\n2}'],
)
def test_a_broken_line_is_no_other_format(here: Path, line: str) -> None:
    """It is a record that is no row, as long as there are objects beside it."""
    (path := here / "x.ndjson").write_bytes(f"{line}\n".encode() + NDJSON)
    [window] = open_source(path).windows(10)
    assert (len(window.texts), len(window.rejects)) == (2, 1 + line.count("\n"))


@pytest.mark.parametrize("name", ["x.json", "x.JSON", "x.json.gz"])
def test_json_with_an_object_a_line_is_ndjson(here: Path, name: str) -> None:
    """Its output has the same extension."""
    path = Path(name)
    path.write_bytes(gzipped(NDJSON) if name.endswith("gz") else NDJSON)
    [(_, output)] = plan_outputs(find_inputs([here]))
    assert output.name == f"x.scored{name.removeprefix('x')}"
    assert open_source(path).format == "ndjson"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ARRAY, "a JSON array, not NDJSON"),
        (json.dumps(ROWS, indent=1).encode(), "a JSON array, not NDJSON"),
        (b"\xef\xbb\xbf \n" + ARRAY, "a JSON array, not NDJSON"),
        (json.dumps(ROWS[0], indent=4).encode(), "JSON over several lines, not an object a line"),
        (json.dumps(ROWS[0], indent=4).encode() * 2, "JSON objects over several lines each, not"),
        (json.dumps({"data": ROWS}).encode(), "one JSON object with its rows under 'data'"),
        (b'{"text": ["a", "b"], "id": [1, 2]}', "one JSON object with a column under each key"),
        (b'["I love it", "so sad"]', "a JSON array of texts, not NDJSON"),
    ],
)
def test_other_json_is_named_with_a_command(here: Path, content: bytes, words: str) -> None:
    """One that needs nothing but the Python that runs this."""
    error = error_of("x.json", content)
    assert error.problem.startswith(f"x.json is {words}")
    assert error.step is not None
    assert (error.step.joint, error.step.output) == ("|", "x.scored.ndjson")
    assert " < x.json" in error.step.command


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("x.txt", CSV, "x.txt has no known extension and looks like CSV; try: tweetscore run "),
        ("x.txt", b"Text\r\nhello, you\r\n", "x.txt has no known extension and looks like CSV"),
        ("x.txt", CSV.decode().encode("utf-16"), "x.txt is UTF-16; try: iconv -f UTF-16 -t UTF-8 "),
        ("x.dat", gzipped(CSV), "x.dat is gzip; rename it: mv x.dat x.dat.gz && tweetscore "),
        ("x.txt", b"\xc2\xa0\n", "x.txt has no known extension and looks like plain text; try: "),
        ("x.bz2", b"BZh91", "x.bz2 is bzip2; try: bzip2 -dc < x.bz2 | tweetscore run - -o x.sco"),
        ("x", CSV.replace(b",", b"\t"), "x has no known extension and looks like TSV; try: "),
        ("x", NDJSON, "x is NDJSON; try: tweetscore run x --format ndjson"),
        ("x", PARQUET, "x is Parquet; try: tweetscore run x --format parquet"),
        ("x.gz", gzipped(CSV), "x.gz has no known extension and looks like CSV, compressed"),
        ("x.log", b"hello, you\nworld\n", "x.log has no known extension and looks like plain text"),
        ("x y.csv.bz2", b"BZh91", "x y.csv.bz2 is bzip2; try: bzip2 -dc < 'x y.csv.bz2' | tweet"),
        ("x.ndjson.xz", b"", "x.ndjson.xz is xz; try: xz -dc < x.ndjson.xz | tweetscore run - -o"),
        ("x.xlsx", b"?", "x.xlsx is an Excel workbook; save it as CSV UTF-8 where it was made"),
        ("x.xlsx", CSV, "x.xlsx has no known extension and looks like CSV; try: "),
        ("x.xls", b"<html><table>", "x.xls is an Excel workbook; save it as CSV UTF-8"),
        ("x.zip", zipped("a.csv", CSV), "x.zip is a zip archive; try: "),
        ("x.tar.gz", b"", "x.tar.gz has no known extension; supported are "),
        ("x.7z", b"7z\xbc\xaf\x27\x1c", "x.7z is a 7-Zip archive; try: 7z x x.7z -ox && "),
        ("x.pkl", b"\x80\4\x95", "x.pkl is a Python pickle; save the frame with to_parquet"),
        ("x.rds", gzipped(b"RDX3"), "x.rds is an R data set; save it as CSV in UTF-8"),
        ("x.bin", b"\0\1\2", "x.bin has no known extension; supported are .csv"),
    ],
)  # fmt: skip
def test_a_name_that_says_nothing_is_told_by_its_content(
    here: Path, name: str, content: bytes, line: str
) -> None:
    """Exit code 2, as nothing was asked for that can be done."""
    error = error_of(name, content)
    assert isinstance(error, UsageError)
    assert str(error).startswith(line)


def test_a_tar_archive_is_unpacked_into_a_directory_of_its_own(here: Path) -> None:
    """Whatever is there already."""
    content = tarred("a.csv", b"")
    line = "mkdir x && tar -xf x.tgz -C x && tweetscore run x"
    assert error_of("x.tgz", content).remedy == f"try: {line}"
    Path("x").mkdir()
    assert "mkdir x-unpacked && " in error_of("x.tar.gz", content).remedy


def test_a_database_has_a_command_of_its_own(here: Path) -> None:
    """With the name of its first table."""
    database = sqlite3.connect("x.db")
    database.execute('CREATE TABLE "my tweets" (id, text)')
    database.close()
    line = "try: tweetscore table sqlite:///x.db --table 'my tweets' --into scored"
    assert error_of("x.db", Path("x.db").read_bytes()).remedy == line


@pytest.mark.parametrize(
    ("name", "content", "address"),
    [
        ("x.duckdb", b"", "duckdb:///x.duckdb"),
        ("x.db", b"SQLite format 3\0 and no more", "sqlite:///x.db"),
    ],
)
def test_a_database_that_is_not_read_here_has_a_name_in_the_place_of_its_tables(
    here: Path, name: str, content: bytes, address: str
) -> None:
    """Whoever has it knows the table's name."""
    line = f"try: tweetscore table {address} --table tweets --into scored"
    assert error_of(name, content).remedy == line


def test_no_sheet_takes_the_place_of_a_file(here: Path) -> None:
    """LibreOffice would write over it."""
    Path("x.csv").touch()
    remedy = error_of("x.xlsx", zipped("[Content_Types].xml", CSV)).remedy
    assert remedy == "save it as CSV UTF-8 where it was made, and name that file"


@pytest.mark.parametrize("content", [b"\n \n", b"\xef\xbb\xbf"])
def test_blank_lines_are_no_other_format(here: Path, content: bytes) -> None:
    """Nor is a byte-order mark alone: such a file has no rows."""
    (path := here / "x.ndjson").write_bytes(content)
    assert [len(window.texts) for window in open_source(path).windows(10)] in ([], [0])


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("x.csv.gz", CSV, "is CSV, not gzip; put gzip -c before it, as the output's name says: |"),
        ("x.csv.zst", NDJSON, "is NDJSON, not Zstandard; put zstd -c before it, as the output's"),
        ("x.csv", NDJSON, "is NDJSON, not CSV; add --format ndjson"),
        ("x.ndjson.gz", gzipped(CSV), "is CSV inside, not NDJSON; add --format csv"),
        ("x.csv", gzipped(CSV), "put gzip -dc before it: | gzip -dc | tweetscore run -"),
        ("x.csv", AVRO, " | tweetscore run - --format parquet"),
        ("x.csv", b"%PDF-1.7\n", "is a PDF document, not CSV; save it as CSV in UTF-8, or as"),
    ],
)  # fmt: skip
def test_content_of_standard_input_is_told_what_goes_before_it(
    here: Path, name: str, content: bytes, line: str
) -> None:
    """There is no file to rename, and the output's name may ask for compression."""
    Path(name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        check_content(Path(name), format_of(Path(name)), "text", stream=True)
    assert str(caught.value).startswith("standard input is ")
    assert line in str(caught.value)


def test_a_file_that_is_not_there_is_missing(here: Path) -> None:
    """Its extension does not matter."""
    with pytest.raises(InputMissing, match=r"x\.txt does not exist; check the name"):
        plan_outputs(find_inputs([Path("x.txt")]))


def test_a_file_of_no_format_keeps_no_other_from_its_turn(here: Path) -> None:
    """Whether it is there or not; its error is reported beside theirs."""
    Path("a.csv").write_bytes(CSV)
    Path("b").write_bytes(CSV)
    inputs = find_inputs([Path("a.csv"), Path("b"), Path("c.txt")])
    assert inputs.files == (Path("a.csv"),)
    assert [(str(path), error.exit_code) for path, error in inputs.unreadable] == [
        ("b", 2), ("c.txt", 66),
    ]  # fmt: skip


def test_a_directory_of_other_files_says_what_they_are(here: Path) -> None:
    """With what helps for the most frequent kind."""
    (here / "in").mkdir()
    for name in ("a.xlsx", "b.xlsx", "c.pdf"):
        (here / "in" / name).write_bytes(b"?")
    with pytest.raises(InputMissing) as caught:
        find_inputs([Path("in")])
    assert str(caught.value).startswith(
        "no file to score in in (1 .pdf, 2 .xlsx): in/a.xlsx is an Excel workbook; save it as CSV"
    )
    for name in ("d", "e", "f"):
        (here / "in" / name).write_bytes(CSV)
    with pytest.raises(InputMissing, match="looks like CSV; try: tweetscore run in --format csv"):
        find_inputs([Path("in")])


def test_a_directory_of_files_that_cannot_be_read_has_a_remedy_too(
    here: Path,
) -> None:
    """What they are is not known then."""
    Path("in").mkdir()
    Path("in/a.txt").symlink_to("nowhere")
    with pytest.raises(InputMissing) as caught:
        find_inputs([Path("in")])
    assert str(caught.value).startswith(
        "no file to score in in (1 .txt); check the names; supported are .csv, "
    )


def test_a_format_that_is_asked_for_is_that_of_all_files(here: Path) -> None:
    """Of a directory those that no extension gives another one; of a pattern those it names."""
    Path("in").mkdir()
    for name in ("a", "b.txt", "c.csv", "d.tsv", "e.parquet", "f.xlsx", "g.dat.gz", ".hidden"):
        Path("in", name).touch()

    def found(argument: str) -> list[str]:
        inputs = find_inputs([Path(argument)], "csv")
        return [output.name for _, output in plan_outputs(inputs, kind="csv")]

    assert found("in") == ["a.scored", "b.scored.txt", "c.scored.csv", "g.scored.dat.gz"]
    assert found("in/*.tsv") == ["d.scored.tsv"]
    assert find_inputs([Path("in")], "csv").passed_over == (("hidden", 1), ("of another format", 3))
    Path("in/a.scored").touch()
    assert "a.scored.scored" not in found("in")


def test_the_output_of_a_format_that_is_asked_for(here: Path) -> None:
    """Any name that does not say another one."""
    Path("x.csv").write_bytes(PARQUET)
    inputs = find_inputs([Path("x.csv")])
    for name in ("out", "out.dat", "out.csv", "out.parquet"):
        assert plan_outputs(inputs, Path(name), "parquet") == [(Path("x.csv"), Path(name))]
    for name in ("out.ndjson", "out.gz"):
        with pytest.raises(UsageError, match=r"give it the extension \.csv"):
            plan_outputs(inputs, Path(name), "parquet")
    assert open_source(Path("x.csv"), InputSpec(format="parquet")).columns == ("id", "text")
