import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.verify.helpers import check, edit_report, forge, score

Change = Callable[[pa.Table], pa.Table]


def column(name: str, *values: object, kind: pa.DataType | None = None) -> Change:
    """Put other values, or another type, into a column."""

    def change(table: pa.Table) -> pa.Table:
        number = table.schema.get_field_index(name)
        field = table.schema.field(number)
        field = field.with_type(kind or field.type)
        content = pa.array(values, field.type) if values else table.column(number).cast(field.type)
        return table.set_column(number, field, content)

    return change


def rows(*wanted: int) -> Change:
    return lambda table: table.take(list(wanted))


def metadata(**words: str) -> Change:
    return lambda table: table.replace_schema_metadata(words)


def field_metadata(table: pa.Table) -> pa.Table:
    field = table.schema.field(0).with_metadata({"unit": "none"})
    return table.set_column(0, field, table.column(0))


NAN = float("nan")
DIFFERS = "is not what the input holds"
TAMPERED: list[tuple[Change, str]] = [
    (column("id", 1, None, 4, 2**62, 5), f"row 3: column 'id' {DIFFERS}"),
    (column("id", 1, 2, 3, 2**62, 5), f"row 2: column 'id' {DIFFERS}"),
    (column("number", NAN, 0.0, None, 0.0, 1.5), f"row 4: column 'number' {DIFFERS}"),
    (column("number", 0.0, 0.0, None, -0.0, 1.5), f"row 1: column 'number' {DIFFERS}"),
    (column("list", [1, NAN], None, None, [None], [2]), f"row 3: column 'list' {DIFFERS}"),
    (column("list", [1], None, [NAN], [None], [2]), f"row 1: column 'list' {DIFFERS}"),
    (column("list", [1, 1], None, [], [None], [2]), f"row 1: column 'list' {DIFFERS}"),
    (column("pair", *[{"a": 1, "b": "x"}, None, {"a": 0, "b": "y"}, None, None]),
     f"row 3: column 'pair' {DIFFERS}"),
    (column("map", [("k", 1.5)], None, [], [("k", 0.0)], []), f"row 4: column 'map' {DIFFERS}"),
    (column("fixed", *[[1.0, NAN]] * 4, [1.0, 2.0]), f"row 5: column 'fixed' {DIFFERS}"),
    (column("word", kind=pa.string()), "column 'word' is string, the input's is dictionary<"),
    (column("id", kind=pa.uint64()), "column 'id' is uint64, the input's is int64"),
    (metadata(owner="them"), "the schema's metadata is not the input's"),
    (metadata(), "the schema's metadata is not the input's"),
    (field_metadata, "column 'id' has other metadata than the input's"),
    (rows(0, 2, 1, 3, 4), f"row 2: column 'id' {DIFFERS}"),
    (rows(0, 1, 3, 4), "4 rows in the output, the report says 5"),
    (rows(0, 1, 2, 2, 3, 4), "6 rows in the output, the report says 5"),
    (column("score", 0.8, None, 1.5, None, 0.8), "row 3: a score is not from 0 to 1"),
    (column("score", 0.8, None, NAN, None, 0.8), "row 3: a score is not from 0 to 1"),
    (column("score", 0.8, 0.8, 0.8, None, 0.8), "row 2: label and scores are not blank together"),
    (column("label", "positive", None, "so-so", None, "neutral"), "row 3: the label is none of"),
    (column("score", kind=pa.float64()), "are not label, score"),
    (lambda table: table.drop_columns(["score"]), "are not label, score"),
    (lambda table: table.drop_columns(["map"]), "the columns are not the input's and the appended"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "line"), TAMPERED, ids=[line for _, line in TAMPERED])
def test_a_change_in_the_output_is_found_and_named(table: Path, change: Change, line: str) -> None:
    """Values, types and metadata show it, even where size and hash were made to fit."""
    output = score(table)
    sink = pa.BufferOutputStream()
    pq.write_table(change(pq.read_table(output)), sink)
    forge(output, sink.getvalue().to_pybytes())
    verdict = check(output)
    assert any(line in each for each in verdict.findings), verdict.findings
    assert verdict.exit_code == 65


def test_an_output_written_anew_is_found_by_its_hash_alone(table: Path) -> None:
    """The same rows from another writer are other bytes: these tell, the rows do not."""
    output = score(table)
    pq.write_table(pq.read_table(output), output, compression="zstd")
    size, sha256, byte = check(output).findings
    assert size.startswith("the output's size is ")
    assert sha256.startswith("the output's sha256 is ")
    assert re.fullmatch(r"byte \d+ of the output is not the input's", byte)
    assert check(output).exit_code == 65


def test_a_footer_that_says_something_else_is_found(table: Path) -> None:
    """It is what a run would have made of the input's, even where each row reads the same."""
    output = score(table)
    content = bytearray(output.read_bytes())
    at = content.rindex(b"parquet-cpp-arrow")
    content[at : at + 3] = b"PAR"
    forge(output, bytes(content))
    assert check(output).findings == (
        "the output's footer is not the input's with the appended columns",
    )


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("copied_bytes", 5, "bytes of the input precede its footer, the report says 5"),
        ("schema_keys", {"extended": [], "dropped": []}, "the report's schema_keys are not those"),
    ],
)
def test_what_the_report_says_of_the_copy_is_checked(
    table: Path, field: str, value: object, words: str
) -> None:
    """How many bytes were copied, and what became of keys that hold a schema."""
    output = score(table)
    edit_report(output, lambda report: report["output"].update({field: value}))
    assert any(words in line for line in check(output).findings)


def test_labels_that_are_no_text_are_found(table: Path) -> None:
    """Bytes that are no UTF-8 under the name of a string: readers of Parquet take it on trust."""
    output = score(table)
    good = pq.read_table(output)
    labels = pa.array([b"\xff"] * 5).view(pa.string())
    pq.write_table(good.set_column(good.num_columns - 2, "label", labels), output)
    assert any("a label in rows 1 to 5" in line for line in check(output).findings)


@pytest.mark.parametrize("keep", [0, 3, 100, -5])
def test_a_truncated_file_is_found(table: Path, keep: int) -> None:
    """A Parquet file that ends too early is a finding, not a crash."""
    output = score(table)
    output.write_bytes(output.read_bytes()[:keep])
    verdict = check(output)
    assert any("is not a readable Parquet file" in line for line in verdict.findings)
    assert verdict.exit_code == 65


def test_a_changed_input_is_said(table: Path) -> None:
    """An input written again with another row cannot be compared."""
    output = score(table)
    pq.write_table(pq.read_table(table).slice(0, 4), table)
    (line,) = check(output).findings
    assert "has changed since it was scored" in line
