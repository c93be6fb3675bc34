"""Inputs and outputs in S3, on a real server: round trips, incremental runs, ownership, errors."""

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.errors import DataError, InputMissing, OutputRefused, StorageError, UsageError
from scorer.options import RunOptions
from scorer.remote import objects
from scorer.remote.remote_run import Remote
from scorer.remote.urls import Url
from tests.remote.conftest import Bucket, pruned, run, scored
from tests.reports import malformed, report_json

REPORT = "out/.tweetscore/a.scored.csv.run.json"
CSV = b"id,text\n007,good+\n2,bad-\n"
SCORED = b"id,text,label,score\n007,good+,positive,0.8\n2,bad-,negative,0.8\n"


def test_csv_comes_back_with_two_cells(stub: Any, bucket: Bucket) -> None:
    """Its own bytes, in the directory that was named, with a report that names the objects."""
    bucket.put("in/a.csv", CSV)
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert outcome.error is None
    assert outcome.url == "s3://lake/out/a.scored.csv"
    assert bucket.get("out/a.scored.csv") == SCORED
    assert bucket.names("out/") == [REPORT, "out/a.scored.csv"]
    report = json.loads(bucket.get(REPORT))
    assert report == report_json(outcome)
    assert (report["input"]["path"], report["output"]["path"]) == (
        "s3://lake/in/a.csv", "s3://lake/out/a.scored.csv",
    )  # fmt: skip
    assert malformed(report) == ""


def test_ndjson_lies_beside_its_input_by_default(stub: Any, bucket: Bucket) -> None:
    """As a file's output does."""
    bucket.put("in/a.ndjson", b'{"text": "good+"}\n')
    run(stub, "s3://lake/in/a.ndjson")
    answer = json.loads(bucket.get("in/a.scored.ndjson"))
    assert answer == {"text": "good+", "label": "positive", "score": 0.8}


def test_parquet_keeps_its_columns(stub: Any, bucket: Bucket) -> None:
    """In value, type and order."""
    frame = pl.DataFrame({"n": [1, 2], "text": ["good+", "bad-"], "when": ["x", None]})
    frame.write_parquet(file := io.BytesIO())
    bucket.put("in/a.parquet", file.getvalue())
    run(stub, "s3://lake/in/a.parquet", output="s3://lake/scored.parquet")
    got = pl.read_parquet(bucket.get("scored.parquet"))
    assert got.drop("label", "score").equals(frame)
    assert got["label"].to_list() == ["positive", "negative"]


def test_the_second_night_only_lists(stub: Any, bucket: Bucket) -> None:
    """Of twenty objects none is fetched, nor is a report; one that changed is scored alone."""
    for number in range(20):
        bucket.put(f"in/day={number % 3}/{number}.csv", CSV)
    assert len(scored(run(stub, "s3://lake/in", output="s3://lake/out/"))) == 20
    bucket.asked.clear()
    assert scored(run(stub, "s3://lake/in", output="s3://lake/out/")) == []
    assert bucket.fetched() == []
    assert {method for method, _ in bucket.asked} <= {"GET", "HEAD"}
    assert len(bucket.asked) <= 5
    bucket.put("in/day=1/7.csv", b"text\nnew\n")
    bucket.asked.clear()
    again = scored(run(stub, "s3://lake/in", output="s3://lake/out/"))
    assert again == ["s3://lake/out/day=1/7.scored.csv"]
    assert bucket.fetched() == ["/lake/in/day=1/7.csv"]


def test_another_box_fetches_the_reports_alone(
    stub: Any, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was delivered is known from the bucket, not from the work directory."""
    bucket.put("in/a.csv", CSV)
    bucket.put("in/b.csv", CSV)
    run(stub, "s3://lake/in/", output="s3://lake/out/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    bucket.asked.clear()
    assert scored(run(stub, "s3://lake/in/", output="s3://lake/out/")) == []
    reports = [f"/lake/out/.tweetscore/{name}.scored.csv.run.json" for name in "ab"]
    assert bucket.fetched() == reports


def test_other_options_are_another_output(stub: Any, bucket: Bucket) -> None:
    """As with files; and all is scored again on demand."""
    bucket.put("in/a.csv", CSV)
    where: dict[str, Any] = {"output": "s3://lake/out/"}
    assert len(scored(run(stub, "s3://lake/in/a.csv", **where))) == 1
    assert scored(run(stub, "s3://lake/in/a.csv", **where)) == []
    assert len(scored(run(stub, "s3://lake/in/a.csv", **where, scores="all"))) == 1
    assert len(scored(run(stub, "s3://lake/in/a.csv", **where, scores="all"))) == 0
    assert len(scored(run(stub, "s3://lake/in/a.csv", **where, incremental=False))) == 1


def test_a_pattern_finds_what_it_would_find_in_a_directory(stub: Any, bucket: Bucket) -> None:
    """Our own products, hidden names and unknown extensions are passed over."""
    names = (
        "a/1.csv a/2.csv.gz a/_tmp/3.csv a/.4.csv a/_SUCCESS a/x.scored.csv a/day=1/5.csv b/6.csv"
    )
    for name in names.split():
        bucket.put(f"in/{name}", CSV)
    bucket.put("in/", b"")
    pattern = "s3://lake/in/**/[1-6].csv"
    assert [each.url for each in run(stub, pattern, output="s3://lake/out/")] == [
        f"s3://lake/out/{name}.scored.csv" for name in ("a/1", "a/day=1/5", "b/6")
    ]
    bucket.client.delete_object(Bucket="lake", Key="in/a/2.csv.gz")
    urls = [each.url for each in run(stub, "s3://lake/in/a/", output="s3://lake/out/")]
    assert urls == ["s3://lake/out/1.scored.csv", "s3://lake/out/day=1/5.scored.csv"]


def test_a_prefix_is_mirrored_beside_itself(stub: Any, bucket: Bucket) -> None:
    """As a directory is; what version 0.1 wrote beside its inputs goes on there, with a warning."""
    bucket.put("in/day=1/a.csv", CSV)
    for named in ("s3://lake/in/", "s3://lake/in", "s3://lake/in/day=1/"):
        (outcome,) = run(stub, named)
        assert outcome.url == "s3://lake/in.scored/day=1/a.scored.csv"
    with pytest.raises(UsageError, match="s3://lake/ has no name"):
        run(stub, "s3://lake/")
    bucket.put("old/a.csv", CSV)
    run(stub, "s3://lake/old/a.csv")
    (outcome,) = run(stub, "s3://lake/old/")
    assert (outcome.url, outcome.up_to_date) == ("s3://lake/old/a.scored.csv", True)
    found = Remote((Url("s3", "lake", "old/"),), None).discover(RunOptions())
    assert found.warnings[0].endswith("tweetscore run s3://lake/old/ -o s3://lake/old.scored/")
    (outcome,) = run(stub, "s3://lake/old/", output="s3://lake/old.scored/")
    (outcome,) = run(stub, "s3://lake/old/")
    assert (outcome.url, outcome.up_to_date) == ("s3://lake/old.scored/a.scored.csv", True)


def test_an_object_goes_with_its_input(stub: Any, bucket: Bucket, tmp_path: Path) -> None:
    """From a bucket and from a directory, with its report; what is not ours, or changed, stays."""
    for name in "abcd":
        bucket.put(f"in/{name}.csv", CSV)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/e.csv").write_bytes(CSV)
    (tmp_path / "in/f.csv").write_bytes(CSV)
    run(stub, "s3://lake/in/", output="s3://lake/out/")
    run(stub, tmp_path / "in", output="s3://lake/out/")
    bucket.put("out/b.scored.csv", b"mended by hand")
    bucket.put("out/foreign.scored.csv", CSV)
    bucket.put("out/.tweetscore/broken.csv.run.json", b"{")
    bucket.put(
        "out/.tweetscore/copy.csv.run.json", bucket.get("out/.tweetscore/a.scored.csv.run.json")
    )
    (tmp_path / "in/f.csv").unlink()
    for name in "abc":
        bucket.client.delete_object(Bucket="lake", Key=f"in/{name}.csv")
    bucket.client.delete_object(Bucket="lake", Key="out/c.scored.csv")  # its report is left alone
    there = set(bucket.names("out/"))
    assert pruned("s3://lake/in/", output="s3://lake/out/") == ["s3://lake/out/a.scored.csv"]
    gone = {
        "out/a.scored.csv",
        "out/.tweetscore/a.scored.csv.run.json",
        "out/.tweetscore/c.scored.csv.run.json",
    }
    assert there - set(bucket.names("out/")) == gone
    assert pruned(tmp_path / "in", output="s3://lake/out/") == ["s3://lake/out/f.scored.csv"]
    assert pruned("s3://lake/in/", output="s3://lake/out/") == []
    run(stub, "s3://lake/in/", output=tmp_path / "here")
    bucket.put("in/x.csv", CSV)
    run(stub, "s3://lake/in/", output=tmp_path / "here")
    bucket.client.delete_object(Bucket="lake", Key="in/d.csv")
    local = pruned("s3://lake/in/", output=tmp_path / "here")
    assert local == [str(tmp_path / "here/d.scored.csv")]
    assert (tmp_path / "here/x.scored.csv").exists()


def test_files_and_objects_go_together(stub: Any, bucket: Bucket, tmp_path: Path) -> None:
    """Into a bucket or into a directory; the second time nothing is done in either."""
    bucket.put("in/a.csv", CSV)
    (tmp_path / "b.csv").write_bytes(CSV)
    for output in ("s3://lake/out/", tmp_path / "out"):
        assert len(scored(run(stub, "s3://lake/in/a.csv", tmp_path / "b.csv", output=output))) == 2
        assert scored(run(stub, "s3://lake/in/a.csv", tmp_path / "b.csv", output=output)) == []
    assert bucket.get("out/a.scored.csv") == bucket.get("out/b.scored.csv") == SCORED
    assert (tmp_path / "out/a.scored.csv").read_bytes() == SCORED
    report = json.loads((tmp_path / REPORT).read_text())
    assert report["input"]["path"] == "s3://lake/in/a.csv"


def test_an_object_that_is_not_ours_stays(stub: Any, bucket: Bucket) -> None:
    """Unless it may be overwritten; and nothing is fetched for it."""
    bucket.put("in/a.csv", CSV)
    bucket.put("out/a.scored.csv", b"precious")
    bucket.asked.clear()
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert isinstance(outcome.error, OutputRefused)
    assert str(outcome.error).startswith("s3://lake/out/a.scored.csv exists and was not written by")
    assert bucket.get("out/a.scored.csv") == b"precious"
    assert "/lake/in/a.csv" not in bucket.fetched()
    run(stub, "s3://lake/in/a.csv", output="s3://lake/out/", overwrite=True)
    assert bucket.get("out/a.scored.csv") == SCORED


def test_an_object_that_appears_meanwhile_stays(stub: Any, bucket: Bucket) -> None:
    """The store refuses the upload: between the last look and the upload nobody can slip in."""
    bucket.put("in/a.csv", CSV)
    store = objects.ObjectStore(Url("s3", "lake", ""))
    url = Url("s3", "lake", "x")
    there = store.head(url)
    bucket.put("x", b"theirs")
    path = Path(__file__)
    with pytest.raises(OutputRefused, match="somebody else wrote s3://lake/x while this run did"):
        store.upload(path, url, "0" * 64, there)
    there = store.head(url)
    bucket.put("x", b"theirs too")
    with pytest.raises(OutputRefused, match="somebody else"):
        store.upload(path, url, "0" * 64, there)
    assert bucket.get("x") == b"theirs too"


def test_a_failure_leaves_the_good_output_and_its_report(stub: Any, bucket: Bucket) -> None:
    """It has a report of its own, and a list of what was rejected; both go with a success."""
    bucket.put("in/a.csv", CSV)
    run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    good = bucket.get(REPORT)
    bucket.put("in/a.csv", CSV + b"3\n")
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert isinstance(outcome.error, DataError)
    assert "no row of s3://lake/in/a.csv" in str(outcome.error)
    log = "s3://lake/out/.tweetscore/a.scored.csv.rejects.ndjson"
    assert f"mend what {log} lists" in str(outcome.error)
    assert bucket.get("out/a.scored.csv") == SCORED
    assert bucket.get(REPORT) == good
    failed = json.loads(bucket.get("out/.tweetscore/a.scored.csv.run.failed.json"))
    assert (failed["exit_code"], failed["error"]["message"]) == (65, str(outcome.error))
    assert json.loads(bucket.get("out/.tweetscore/a.scored.csv.rejects.ndjson"))["line"] == 4
    bucket.put("in/a.csv", CSV)
    assert scored(run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")) == []
    assert "out/.tweetscore/a.scored.csv.run.failed.json" not in bucket.names("out/")
    run(stub, "s3://lake/in/a.csv", output="s3://lake/out/", incremental=False)
    assert bucket.names("out/") == [REPORT, "out/a.scored.csv"]


def test_an_input_that_changes_while_it_is_fetched_is_noticed(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every range is asked of the version that was looked at."""
    monkeypatch.setattr(objects, "_RANGE", 10)
    bucket.put("in/a.csv", CSV)
    real = objects.ObjectStore._range

    def change(*where: Any) -> Any:
        content = real(*where)
        bucket.put("in/a.csv", CSV.replace(b"good", b"evil"))
        return content

    monkeypatch.setattr(objects.ObjectStore, "_range", change)
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert str(outcome.error).startswith("s3://lake/in/a.csv changed while it was fetched; ")
    assert bucket.names("out/") == ["out/.tweetscore/a.scored.csv.run.failed.json"]


@pytest.mark.parametrize(
    ("source", "output", "kind", "words"),
    [
        ("s3://lake/none.csv", "s3://lake/", InputMissing, "s3://lake/none.csv does not exist"),
        ("s3://gone-bucket/a.csv", "s3://lake/", InputMissing, "no bucket s3://gone-bucket;"),
        ("s3://lake/in/a.csv", "s3://gone-bucket/", OutputRefused, "no bucket s3://gone-bucket;"),
        ("s3://lake/in/a.csv", "s3://lake/b.parquet", UsageError, "give it the extension .csv"),
        ("s3://lake/in/a.csv", "s3://lake/in/a.csv", UsageError, "is an input too"),
        ("s3://lake/in/a.csv", "https://x.example/a.csv", UsageError, "https:// is for reading"),
        ("s3://lake/in/*.txt", "s3://lake/", InputMissing, "no file to score"),
    ],
)
def test_what_cannot_be_is_one_line(
    stub: Any, bucket: Bucket, source: str, output: str | None, kind: type[Exception], words: str
) -> None:
    """A name that leads nowhere, and a call that makes no sense, end before any work."""
    bucket.put("in/a.csv", CSV)
    with pytest.raises(kind) as caught:
        run(stub, source, output=output)
    assert words in str(caught.value)
    assert stub.loads == 0


def test_a_server_that_is_gone_is_an_io_error(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the object that could not be reached."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError) as caught:
        run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert str(caught.value).startswith("reading s3://lake/in/a.csv failed: no connection; ")


def test_what_a_store_needs_to_be_told_is_in_the_line(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's account is not in a URL of the short kind."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(InputMissing) as caught:
        run(stub, "az://box/a.csv")
    assert str(caught.value) == (
        "az://box/ cannot be opened: account must be specified; "
        "check the name, the credentials and what they permit"
    )


def test_without_credentials_the_line_says_what_to_set(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None in the environment, in no profile, none of the machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(InputMissing, match="there are no AWS credentials for s3://lake/; set "):
        run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
