"""A growing file: with --id-column answers of its old rows are reused, and the output is equal."""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from scorer.errors import DataError, GateFailed, exit_code
from scorer.monitor.run_report import contradictions
from scorer.options import RunOptions
from scorer.readback import earlier
from scorer.records import Answers, Counters, OnShare, Scores
from scorer.run import pipeline
from scorer.store.commit import FileIdentity
from tests.handles import handle_of
from tests.reports import complete, malformed, report_json
from tests.stubs import StubClassifier, answer

FORMATS = ["csv", "csv.gz", "tsv", "ndjson", "parquet", "arrow"]

Row = tuple[Any, str | None]

OLD: list[Row] = [(i, f"text {i % 7}, of {i}") for i in range(40)]
OLD[5] = (5, None)
OLD[6] = (None, "nobody's")
OLD[7] = (7, 'it\'s \U0001f600, \u00e9 "quoted"\nand on two lines')
NEW: list[Row] = [(i, f"new {i}") for i in range(40, 52)]


class Counting(StubClassifier):
    """A stub whose answers depend on the text, and which notes what it had to answer."""

    def __init__(self, edition: str = "1") -> None:
        super().__init__()
        self.bundle = replace(self.bundle, digest=edition * 64)
        self.edition = edition
        self.asked: list[str] = []

    def score(
        self,
        prepared: pl.Series,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Answer what is not known."""
        self.before_scoring()
        blank = (prepared == "").to_numpy()
        ids = np.full(len(prepared), -1, np.int16)
        probabilities = np.full((len(ids), 3), np.nan, np.float32)
        if known is not None:
            ids, probabilities = known.label_ids.copy(), known.probabilities.copy()
        for row in np.flatnonzero(~blank & (ids < 0)).tolist():
            self.asked.append(prepared[row])
            ids[row], best = answer(prepared[row], self.edition)
            probabilities[row] = (1 - best) / 2
            probabilities[row, ids[row]] = best
        scored = int((~blank).sum())
        counters = Counters(len(ids), scored, len(ids) - scored, 0, 0, 3 * scored)
        lengths = np.array([0, 0, 0, scored])
        return Scores(ids, probabilities, counters, lengths)


def write(path: Path, rows: Sequence[Row], kind: pa.DataType | None = None) -> Path:
    """Write rows as the name says."""
    ids, texts = [row[0] for row in rows], [row[1] for row in rows]
    table = pa.table({"id": pa.array(ids, kind), "text": pa.array(texts, pa.string())})
    frame = pl.DataFrame(table)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=17)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=13)
    elif path.suffix == ".ndjson":
        frame.write_ndjson(path)
    else:
        content = frame.write_csv(separator="\t" if path.suffix == ".tsv" else ",").encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def run(path: Path, stub: Any, **options: Any) -> dict[str, Any]:
    """Run one input with windows of 16 rows; return the report, raise the error."""
    options = {"chunk_rows": 16, "id_column": "id", **options}
    (outcome,) = pipeline.run(RunOptions.of((path,), **options), model=handle_of(stub))
    if outcome.error:
        raise outcome.error
    return report_json(outcome)


def output_of(path: Path) -> Path:
    name, *suffixes = path.name.split(".")
    return path.with_name(".".join([name, "scored", *suffixes]))


def check(path: Path, report: dict[str, Any], edition: str = "1", **options: Any) -> None:
    """Hold output and report against those of a full run."""
    whole = path.parent / "whole"
    whole.mkdir(exist_ok=True)
    copy = whole / path.name
    copy.write_bytes(path.read_bytes())
    expected = run(copy, Counting(edition), overwrite=True, **options, id_column=None)
    assert output_of(path).read_bytes() == output_of(copy).read_bytes()
    for name in ("counters", "labels", "drift"):
        assert report[name] == expected[name]
    assert expected["taken_over"] is None
    assert not malformed(json.loads(json.dumps(report)))
    assert list(contradictions(complete(report))) == []
    assert not list(path.parent.glob(".tweetscore/*.state"))


def grow(path: Path, before: Sequence[Row], after: Sequence[Row], **options: Any) -> Counting:
    """Score a file, change it, score it again; return who answered then."""
    run(write(path, before), Counting(), **options)
    stub = Counting()
    report = run(write(path, after), stub, **options)
    check(path, report, **options)
    scored = report["counters"]["scored"]
    assert report["taken_over"] == {"rows": scored - len(stub.asked), "why_none": None}
    return stub


@pytest.mark.parametrize("scores", ["label", "all"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_old_rows_are_not_scored_again(tmp_path: Path, suffix: str, scores: str) -> None:
    """Only new ids and the row without one are; the output is that of a full run."""
    stub = grow(tmp_path / f"in.{suffix}", OLD, [*OLD, *NEW], scores=scores)
    assert stub.asked == ["nobody's", *(text for _, text in NEW)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_may_be_edited_deleted_and_reordered(tmp_path: Path, suffix: str) -> None:
    """A row is known by its id and its text, wherever it stands."""
    after = [*NEW, *reversed(OLD[10:]), (3, "edited"), (4, OLD[3][1]), (2, None), (8, OLD[8][1])]
    stub = grow(tmp_path / f"in.{suffix}", OLD, after)
    assert stub.asked == [*(text for _, text in NEW), "edited", OLD[3][1]]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_id_may_be_there_twice(tmp_path: Path, suffix: str) -> None:
    """With any of its texts, on either side."""
    before: list[Row] = [(1, "one"), (1, "other"), (1, "one"), (2, "two")]
    after: list[Row] = [(1, "other"), (1, "one"), (2, "two"), (2, "two"), (1, "third")]
    assert grow(tmp_path / f"in.{suffix}", before, after).asked == ["third"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_ids_may_be_text(tmp_path: Path, suffix: str) -> None:
    """Such as the decimal ids of tweets that no number holds."""
    before: list[Row] = [("007", "a"), ('b "x", \u00e9', "b"), ("7", "c")]
    after: list[Row] = [*before, ("", "d"), ("07", "a")]
    assert grow(tmp_path / f"in.{suffix}", before, after).asked == ["d", "a"]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.dictionary(pa.int8(), pa.int64()), pa.large_string(),
             pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_ids_may_be_of_any_such_type(tmp_path: Path, suffix: str, kind: pa.DataType) -> None:
    """Whole numbers and text, in a dictionary or not; on the next night another one."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    ids = [1, 2, None, 3] if pa.types.is_integer(plain) else ["1", "2", None, "3"]
    rows: list[Row] = [(i, f"text {i}") for i in ids]
    path = tmp_path / f"in.{suffix}"
    assert grow(path, rows[:-1], rows).asked == ["text None", "text 3"]
    for _ in range(2):
        stub = Counting()
        check(path, run(write(path, rows, kind), stub))
        assert stub.asked == ["text None"]


def test_columns_that_pyarrow_cannot_read_are_no_matter(tmp_path: Path) -> None:
    """A run reads texts and ids, of the input and of an earlier output."""
    path = tmp_path / "in.parquet"
    for rows, asked in ((OLD, len(OLD) - 1), ([*OLD, *NEW], len(NEW) + 1)):
        frame = pl.DataFrame(rows, ["id", "text"], orient="row")
        frame.with_columns(huge=pl.lit(2**100, pl.Int128)).write_parquet(path)
        with pytest.raises(pa.ArrowException, match="more than 64 bits"):
            pq.read_schema(path)
        check(path, run(path, stub := Counting()))
        assert len(stub.asked) == asked


@pytest.mark.parametrize("suffix", FORMATS)
def test_with_a_limit_the_first_rows_are_looked_up(tmp_path: Path, suffix: str) -> None:
    """An output of the first rows serves the whole file, and the other way round."""
    path = write(tmp_path / f"in.{suffix}", OLD)
    run(path, Counting(), limit=20)
    check(path, run(path, stub := Counting()))
    assert stub.asked == ["nobody's", *(text for _, text in OLD[20:])]
    check(path, run(path, stub := Counting(), limit=30), limit=30)
    assert stub.asked == ["nobody's"]


def test_labels_may_be_named_otherwise(tmp_path: Path) -> None:
    """Old answers get the new names, and columns of other names."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting(), label_names=("x,y", "0", "\u00e9"), label_column="old")
    renamed: dict[str, Any] = {"label_names": ("N", "Z", "P"), "score_column": "p"}
    check(path, run(path, stub := Counting(), **renamed), **renamed)
    assert stub.asked == ["nobody's"]


def test_scores_of_all_classes_serve_those_of_one(tmp_path: Path) -> None:
    """But not the other way round: then the summary says why nothing was reused."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting(), scores="all")
    check(path, run(path, stub := Counting()))
    assert stub.asked == ["nobody's"]
    report = run(path, Counting(), scores="all")
    check(path, report, scores="all")
    assert report["taken_over"]["why_none"] == "the earlier output has no score for each class"


def test_rejects_are_no_rows_on_either_side(tmp_path: Path) -> None:
    """Records that cannot be read shift nothing."""
    path = tmp_path / "in.csv"
    path.write_text("id,text\n1,one\nbroken\n2,two\n")
    run(path, Counting(), max_rejects=9)
    path.write_text("id,text\nbroken\n1,one\n,,,\n2,two\n3,three\n")
    check(path, run(path, stub := Counting(), max_rejects=9), max_rejects=9)
    assert stub.asked == ["three"]


def test_lines_of_any_spelling_are_found(tmp_path: Path) -> None:
    """JSON with escapes, numbers beside strings, ids of other kinds or twice."""
    path = tmp_path / "in.ndjson"
    lines = [
        r'{"id": 1, "text": "one"}', r'{"id": "2", "text": "two"}', r' {"text":"3", "\u0069d":3} ',
        r'{"id": 4.5, "text": "four"}', r'{"id": 5, "id": 6, "text": "five"}', '{"text": "six"}',
        r'{"id": "\ud83d\ude00", "text": "\ud83d\ude00"}', r'{"id": [8], "text": "eight"}',
        r'{"id": "\ud83d", "text": "nine"}', r'{"id": 12345678901234567890, "text": "ten"}',
        r'{"id": true, "text": "eleven"}', r'{"id": null, "text": "twelve"}',
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    run(path, Counting())
    path.write_text("\n".join([*lines, '{"id": 13, "text": "new"}']) + "\n")
    check(path, run(path, stub := Counting()))
    assert stub.asked == ["four", "five", "six", "eight", "nine", "eleven", "twelve", "new"]


def test_lines_that_are_all_escaped_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python writes JSON; and a stretch of lines may hold nothing but rejects."""
    monkeypatch.setattr("scorer.formats.ndjson.lines.LINES_AT_ONCE", 1)
    path = tmp_path / "in.ndjson"
    line = json.dumps({"id": "\U0001f600", "text": "\U0001f600"})
    for content, asked in ((line, 1), (f"{line}\nbroken\n{line}\n", 0), ("{", 0), (line, 1)):
        path.write_text(content)
        check(path, run(path, stub := Counting(), max_rejects=9), max_rejects=9)
        assert len(stub.asked) == asked


def nothing_reused(path: Path, why: str, stub: Counting | None = None, **options: Any) -> None:
    """Run again, and see that all was scored, and why."""
    stub = stub or Counting()
    report = run(path, stub, **options)
    assert report["taken_over"] == {"rows": 0, "why_none": why}
    assert len(stub.asked) == report["counters"]["scored"]
    if not options:
        check(path, report, stub.edition)


def test_the_first_night_has_nothing_to_reuse(tmp_path: Path) -> None:
    """Nor has a run whose output another program wrote or changed."""
    path = write(tmp_path / "in.csv", OLD)
    nothing_reused(path, "there is no earlier output of ours")
    with output_of(path).open("a") as file:
        file.write("99,of mine,neutral,0.9\n")
    nothing_reused(path, "there is no earlier output of ours", overwrite=True)


def test_another_model_takes_nothing_over(tmp_path: Path) -> None:
    """Nor do another provider, precision, kind of CPU, or version of what computes."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    nothing_reused(path, "bundle changed since the earlier output", Counting("2"))
    other = Counting("2")
    other.runtime = structs.replace(other.runtime, instruction_set="avx9", precision="int8")
    write(path, [*OLD, *NEW])
    why = "runtime.precision, runtime.instruction_set changed since the earlier output"
    nothing_reused(path, why, other)
    edit_report(output_of(path), lambda report: report["libraries"].update(polars="0.1"))
    edit_report(output_of(path), lambda report: report["tool"].update(version="0.1"))
    write(path, OLD)
    other.asked.clear()
    why = "libraries.tweetscore, libraries.polars changed since the earlier output"
    nothing_reused(path, why, other)


def test_on_a_gpu_nothing_is_reused(tmp_path: Path) -> None:
    """There the bits of a score may depend on the batch."""
    path = write(tmp_path / "in.csv", OLD)
    stub = Counting()
    stub.runtime = structs.replace(stub.runtime, device="cuda")
    run(path, stub)
    stub.asked.clear()
    write(path, [*OLD, *NEW])
    nothing_reused(path, "on a GPU a score may depend on its batch", stub)


def test_who_asks_for_all_gets_all_scored(tmp_path: Path) -> None:
    """--no-incremental wins."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    why = "--no-incremental asks for all rows to be scored"
    nothing_reused(path, why, incremental=False)


def test_two_classes_of_one_name_cannot_be_distinguished(tmp_path: Path) -> None:
    """A label of such an output stands for either."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting(), label_names=("no", "no", "yes"))
    nothing_reused(path, "two classes have one name in the earlier output")


def test_an_earlier_output_without_the_ids_is_no_use(tmp_path: Path) -> None:
    """The column is new tonight."""
    path = tmp_path / "in.csv"
    path.write_text("text\none\n")
    run(path, Counting(), id_column=None)
    path.write_text("id,text\n1,one\n")
    output = output_of(path)
    nothing_reused(path, f"{output} has no column 'id', only: text, label, score")


def edit_report(output: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = output.parent / f".tweetscore/{output.name}.run.json"
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_a_report_that_is_not_ours_is_no_use(tmp_path: Path) -> None:
    """One of another version, or one that was edited."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    edit_report(output_of(path), lambda report: report.pop("runtime"))
    write(path, NEW)
    nothing_reused(path, "the earlier output's report is not as this version writes it")


def forge(output: Path, content: bytes) -> None:
    """Change the output, and what the report knows it by."""
    output.write_bytes(content)
    identity = FileIdentity.of(output).as_json()
    edit_report(output, lambda report: report["output"].update(identity))


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_rows_that_we_would_not_write_are_scored_again(tmp_path: Path, suffix: str) -> None:
    """A label or a score that is none is never reused."""
    path = write(tmp_path / f"in.{suffix}", [(i, f"{i}") for i in range(4)])
    run(path, Counting())
    output = output_of(path)
    lines = output.read_bytes().splitlines(keepends=True)
    first = len(lines) - 4
    for line, old in enumerate(answer(f"{i}") for i in range(2)):
        label = ("negative", "neutral", "positive")[old[0]].encode()
        new = (b"odd", label)[line]
        changed = lines[first + line].replace(label, new)
        lines[first + line] = changed.replace(b"0.", b"7.") if line else changed
    forge(output, b"".join(lines))
    write(path, [(i, f"{i}") for i in range(5)])
    check(path, run(path, stub := Counting()))
    assert stub.asked == ["0", "1", "4"]


def test_an_output_of_other_rows_than_reported_is_no_use(tmp_path: Path) -> None:
    """Whatever a row of it says."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    output = output_of(path)
    forge(output, output.read_bytes() + b"99,more,neutral,0.5\n")
    write(path, [*OLD, *NEW])
    nothing_reused(path, f"{output} is not what was written there")


def test_an_output_that_is_changed_meanwhile_is_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again when it has been read."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    output = output_of(path)
    real = earlier.Earlier._records

    def change(self: Any, *blocks: Any) -> Any:
        with output.open("a") as file:
            file.write(" ")
        return real(self, *blocks)

    monkeypatch.setattr(earlier.Earlier, "_records", change)
    write(path, [*OLD, *NEW])
    nothing_reused(path, f"{output} is not what was written there", overwrite=True)


def test_an_output_that_vanishes_meanwhile_is_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run needs none."""
    path = write(tmp_path / "in.csv", OLD)
    run(path, Counting())
    output = output_of(path)
    real = earlier.Earlier.read

    def remove(self: Any, directory: Path) -> Any:
        output.unlink()
        return real(self, directory)

    monkeypatch.setattr(earlier.Earlier, "read", remove)
    write(path, [*OLD, *NEW])
    nothing_reused(path, f"{output} does not exist")


def test_an_input_that_is_changed_meanwhile_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer gets to another text, even if size and time are restored."""
    path = write(tmp_path / "in.csv", [(1, "one"), (2, "two")])
    run(path, Counting())
    write(path, [(1, "one"), (2, "two"), (3, "three")])
    status, output = path.stat(), output_of(path).read_bytes()
    real = earlier.EarlierAnswers.look_up

    def change(self: Any, source: Any) -> None:
        real(self, source)
        path.write_text("id,text\n2,two\n1,one\n3,three\n")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    monkeypatch.setattr(earlier.EarlierAnswers, "look_up", change)
    with pytest.raises(DataError, match="changed while it was scored"):
        run(path, Counting())
    assert output_of(path).read_bytes() == output


MISSING = "has no column 'ID', only: id, text; did you mean --id-column id"
FLOATS = (
    "column 'id' of .* is double, neither text nor whole numbers; name another with --id-column"
)


@pytest.mark.parametrize(
    ("suffix", "column", "problem"),
    [
        *((suffix, "ID", MISSING) for suffix in FORMATS),
        ("parquet", "id", FLOATS),
        ("arrow", "id", FLOATS),
    ],
)
def test_a_column_that_cannot_name_rows_is_an_error(
    tmp_path: Path, suffix: str, column: str, problem: str
) -> None:
    """Before any work, with the likeliest name."""
    path = write(tmp_path / f"in.{suffix}", [(1.5, "a")])
    stub = Counting()
    with pytest.raises(DataError, match=problem) as raised:
        run(path, stub, id_column=column)
    assert exit_code(raised.value) == 65
    assert stub.loads == 0


def test_an_empty_file_has_no_ids(tmp_path: Path) -> None:
    """And that is no error, on neither night."""
    path = tmp_path / "in.ndjson"
    path.write_text("")
    run(path, Counting())
    check(path, run(write(path, NEW), stub := Counting()))
    assert len(stub.asked) == len(NEW)
    path.write_text("")
    check(path, run(path, Counting()))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_killed_run_is_taken_up(tmp_path: Path, suffix: str) -> None:
    """With the answers that it had reused; report and output are those of an undisturbed run."""
    path = tmp_path / f"in.{suffix}"
    run(write(path, OLD), Counting())
    write(path, [*OLD, *NEW])
    killed = Counting()
    killed.before_scoring = _fail_at(3)
    with pytest.raises(GateFailed):
        run(path, killed)
    report = run(path, stub := Counting(), resume="require")
    check(path, report)
    assert (killed.asked, stub.asked) == (["nobody's"], [text for _, text in NEW])
    assert report["resumed"]["rows"] == 32
    assert report["taken_over"]["rows"] == 38
    assert report["tweets_per_second"] == pytest.approx(
        (20 - 8) / report["seconds"]["total"], rel=0.2
    )


def _fail_at(window: int) -> Callable[[], None]:
    seen: list[int] = []

    def fail() -> None:
        seen.append(1)
        if len(seen) == window:
            raise GateFailed("killed")

    return fail


def test_a_killed_run_is_not_mixed_with_another_output(tmp_path: Path) -> None:
    """Answers that came from the output before are scored again when it is another one."""
    path = tmp_path / "in.csv"
    run(write(path, OLD), Counting())
    write(path, [*OLD, *NEW])
    killed = Counting()
    killed.before_scoring = _fail_at(3)
    with pytest.raises(GateFailed):
        run(path, killed)
    report = run(path, stub := Counting(), id_column=None)
    assert report["warnings"][0].endswith("earlier changed since")
    check(path, report)
    assert len(stub.asked) == report["counters"]["scored"]


def test_many_rows_are_found_in_bounded_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions, blocks of lookups and windows that end anywhere."""
    monkeypatch.setattr("scorer.readback.join._PARTITION", 100)
    monkeypatch.setattr("scorer.readback.join._FOUND_AT_ONCE", 7)
    monkeypatch.setattr("scorer.readback.join._LOOKED_UP", 11)
    monkeypatch.setattr("scorer.readback.earlier._ASKED_AT_ONCE", 50)
    before: list[Row] = [(i, f"t{i % 500}") for i in range(3000)]
    after = [*before[1000:], *before[:1000], *((i, "new") for i in range(3000, 3100))]
    assert grow(tmp_path / "in.csv", before, after, chunk_rows=70).asked == ["new"] * 100
