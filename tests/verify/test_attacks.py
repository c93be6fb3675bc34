"""What somebody may do to an output, its rejects or its report, in every format."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import DataError, InputMissing
from scorer.formats.base import ScoredSlice, text_digest
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from tests.stubs import LABELS
from tests.verify.helpers import check, forge, many, report_path, score

FORMATS = ["csv", "ndjson", "parquet", "arrow"]
ROWS = 40
Change = Callable[[pl.DataFrame], pl.DataFrame]


def at(row: int, name: str, value: object) -> Change:
    """Put another value into one cell."""
    here = pl.int_range(pl.len()) == row
    return lambda frame: frame.with_columns(
        pl.when(here).then(pl.lit(value, frame.schema[name])).otherwise(name).alias(name)
    )


def in_order(*rows: int) -> Change:
    return lambda frame: frame[list(rows)]


SWAPPED = in_order(1, 0, *range(2, ROWS))
# Row 0 is positive, row 1 negative, row 2 neutral, row 3 blank, and so on.
ATTACKS: dict[str, Change] = {
    "a label": at(0, "label", "negative"),
    "a label of the set, for a blank row": at(3, "label", "neutral"),
    "a score": at(5, "score", 0.81),
    "a score out of range": at(5, "score", 1.2),
    "two rows change places": SWAPPED,
    "a row is gone": in_order(*range(ROWS - 1)),
    "a row is there twice": in_order(0, *range(ROWS)),
    "a cell of the input": at(7, "id", 70),
    "a text": at(9, "text", "bad--"),
    "a text becomes missing": at(9, "text", None),
    "columns in another order": lambda frame: frame.select("text", "id", "label", "score"),
    "appended columns in another order": lambda frame: frame.select("id", "text", "score", "label"),
    "one column more": lambda frame: frame.with_columns(more=1),
    "one column less": lambda frame: frame.drop("id"),
    "a column of another name": lambda frame: frame.rename({"id": "ID"}),
    "no rows": lambda frame: frame.clear(),
}
ANSWERS: dict[str, Change] = {
    "two answers change places": lambda frame: frame.with_columns(
        SWAPPED(frame)["label"], SWAPPED(frame)["score"]
    ),
    "two scores move against each other": lambda frame: at(4, "score", 0.9)(
        at(0, "score", 0.7)(frame)
    ),
}


def written(frame: pl.DataFrame, like: Path) -> bytes:
    """Return a frame in the format of a file, as another program writes it."""
    sink = io.BytesIO()
    if like.suffix in (".csv", ".ndjson"):
        write = frame.write_csv if like.suffix == ".csv" else frame.write_ndjson
        write(sink)
        return sink.getvalue()
    newest = pl.CompatLevel.newest() if like.suffix == ".arrow" else pl.CompatLevel.oldest()
    table = frame.to_arrow(compat_level=newest)  # as polars wrote the input
    if "label" in table.schema.names:  # our labels are string
        number = table.schema.get_field_index("label")
        table = table.set_column(number, "label", table["label"].cast(pa.string()))
    if like.suffix == ".parquet":
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
    return sink.getvalue()


def answered(frame: pl.DataFrame, like: Path) -> bytes:
    """Return an output with other answers, all else as a run writes it."""
    if like.suffix != ".parquet":
        return written(frame, like)
    source = open_source(like.with_name("in.parquet"))
    ids = frame["label"].replace_strict(LABELS, [0, 1, 2], default=-1).to_numpy().astype(np.int16)
    scores = np.repeat(frame["score"].to_numpy()[:, None], 3, axis=1)
    (window,) = source.windows(ROWS)
    part = ScoredSlice(ids, scores, 0, text_digest(window.texts))
    forged = like.with_name("forged")
    source.write_scored(forged, OutputColumns("label", "score", LABELS), [part])
    content = forged.read_bytes()
    forged.unlink()
    return content


def read(path: Path) -> pl.DataFrame:
    reads: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".csv": pl.read_csv, ".ndjson": pl.read_ndjson, ".parquet": pl.read_parquet,
        ".arrow": pl.read_ipc,
    }  # fmt: skip
    frame = reads[path.suffix](path)
    return frame.with_columns(pl.col("score").cast(pl.Float32))


@pytest.fixture(params=FORMATS)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return score(many(tmp_path / f"in.{request.param}", ROWS))


def test_each_attack_on_rows_is_found(output: Path) -> None:
    """By the hash; and by the rows alone, where size and hash in the report are made to fit."""
    good, report = output.read_bytes(), report_path(output).read_bytes()
    frame = read(output)
    for name, change in ATTACKS.items():
        content = written(change(frame), output)
        output.write_bytes(content)
        assert any("the output's sha256 is" in line for line in check(output).findings), name
        forge(output, content)
        assert check(output).findings, name
        report_path(output).write_bytes(report)
    output.write_bytes(good)
    assert check(output).findings == ()


def test_answers_that_fit_all_totals_are_found_by_scoring_again(output: Path) -> None:
    """With a forged hash nothing else can show it, which is why they are named as not checked."""
    frame = read(output)
    for name, change in ANSWERS.items():
        forge(output, answered(change(frame), output))
        verdict = check(output, rescore=ROWS)
        assert any("scored again" in line or "blank" in line for line in verdict.findings), name


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_single_bit_is_found(output: Path, place: int) -> None:
    content = bytearray(output.read_bytes())
    content[place * len(content) // 2 if place > 0 else place] ^= 1
    output.write_bytes(content)
    assert check(output).exit_code == 65


@pytest.mark.parametrize("tail", [b"\n", b" ", b"\0", b"9,more,neutral,0.8\n"])
def test_trailing_bytes_are_found(output: Path, tail: bytes) -> None:
    output.write_bytes(output.read_bytes() + tail)
    assert check(output).exit_code == 65


@pytest.mark.parametrize("name", ["in.csv", "in.ndjson"])
def test_other_line_endings_are_found(tmp_path: Path, name: str) -> None:
    output = score(many(tmp_path / name, ROWS))
    forge(output, output.read_bytes().replace(b"\n", b"\r\n"))
    assert any("line ending" in line for line in check(output).findings)


def test_the_report_of_another_output_is_found(tmp_path: Path) -> None:
    """Also where both outputs have the same bytes: the report names its own."""
    for name, texts in (("a", "x+"), ("b", "y+"), ("c", "x+")):
        (tmp_path / f"{name}.csv").write_text(f"text\n{texts}\n", encoding="utf-8")
    a, b, c = (score(tmp_path / f"{name}.csv") for name in "abc")
    shutil.copy(report_path(b), report_path(a))
    assert any("the output's sha256 is" in line for line in check(a).findings)
    shutil.copy(report_path(c), report_path(a))
    assert f"the report: it is that of {c}" in check(a).findings


REJECTED = b"id,text\n1,a+\nbroken\n2,b-\n3,c,d\n4,e\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda log: log.replace(b"broken", b"brOken"), "line 1 of "),
        (lambda log: log.replace(b'"line": 3', b'"line": 4'), "line 1 of "),
        (lambda log: b"".join(reversed(log.splitlines(keepends=True))), "line 1 of "),
        (lambda log: log[:-1], "line 2 of "),
        (lambda log: log + b"\n", "3 lines in "),
        (lambda log: log.splitlines(keepends=True)[0], "1 lines in "),
        (lambda _: b"", "0 lines in "),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "latin-1"])
def test_a_change_of_the_rejects_is_found(
    tmp_path: Path, change: Callable[[bytes], bytes], says: str, codec: str
) -> None:
    """Each line is held against the record of the input, whatever its encoding."""
    (path := tmp_path / "in.csv").write_bytes(REJECTED.decode().encode(codec))
    encoding = codec if codec == "latin-1" else None
    output = score(path, max_rejects=2, encoding=encoding)
    assert check(output).findings == ()
    rejects = output.parent / f".tweetscore/{output.name}.rejects.ndjson"
    assert change(rejects.read_bytes()) != rejects.read_bytes()
    rejects.write_bytes(change(rejects.read_bytes()))
    (line,) = check(output).findings
    assert line.startswith(says)


def test_rejects_that_nobody_counted_are_found(tmp_path: Path) -> None:
    """A file of rejects beside an output that has none is not the run's."""
    output = score(many(tmp_path / "in.csv", 4))
    (output.parent / f".tweetscore/{output.name}.rejects.ndjson").write_bytes(b'{"line": 2}\n')
    (line,) = check(output).findings
    assert line.startswith("1 lines in ")


def test_an_output_in_another_directory_is_still_that_output(tmp_path: Path) -> None:
    """A copy of output and report is verified where it lies, as long as the input is there."""
    output = score(many(tmp_path / "in.csv", 4))
    (elsewhere := tmp_path / "copy").mkdir()
    for path in (output, report_path(output)):
        shutil.copy(path, elsewhere)
    assert check(elsewhere / output.name).findings == ()
    output.unlink()
    with pytest.raises(InputMissing):
        check(output)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", ". is a directory; name one of its outputs, such as a.scored.csv"),
        ("an output's folder", "is a directory; name one of its outputs, such as 'an output"),
        ("empty", "empty is a directory; name an output of tweetscore run"),
        ("/", "/ is a directory; name "),
        (
            "a.csv",
            (".tweetscore/a.csv.run.json does not exist; "
            "that is an input: its output is a.scored.csv"),
        ),
        (
            "b.csv",
            (".tweetscore/b.csv.run.json does not exist; "
            "name an output of tweetscore run, which has its"),
        ),
        (
            "b.txt",
            (".tweetscore/b.txt.run.json does not exist; "
            "name an output of tweetscore run, which has its"),
        ),
        (
            "c.csv",
            (".tweetscore/c.csv.run.json does not exist; "
            "its run failed, as .tweetscore/c.csv.run.failed.json tells"),
        ),
        ("nowhere/out.csv", "nowhere/out.csv does not exist; check the name"),
    ],
)  # fmt: skip
def test_what_is_no_output_leads_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    """A directory, an input, an output of a run that failed: one line, and what to name."""
    monkeypatch.chdir(tmp_path)
    for place in (Path(), Path("an output's folder")):
        place.mkdir(exist_ok=True)
        score(many(place / "a.csv", 4))
    Path("empty").mkdir()
    for path in (
        Path("b.csv"),
        Path("b.txt"),
        Path("c.csv"),
        Path(".tweetscore/c.csv.run.failed.json"),
    ):
        path.touch()
    with pytest.raises(InputMissing) as caught:
        check(Path(name))
    assert says in str(caught.value)


def test_a_member_of_the_report_that_is_there_twice(tmp_path: Path) -> None:
    """Other readers may take the first one, which nobody compared."""
    output = score(many(tmp_path / "in.csv", ROWS))
    report = report_path(output)
    report.write_text(report.read_text("utf-8").replace("{", '{"input": 3,', 1), "utf-8")
    with pytest.raises(DataError, match="is no JSON"):
        check(output)
