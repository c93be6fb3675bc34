"""Buckets that are large, change under a reader, cut answers off, or do not answer at all."""

import json
import socket
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from moto.backends import get_backend

from scorer.errors import DataError, InputMissing, OutputRefused, StorageError
from scorer.remote import objects, s3, web
from scorer.remote.search import find
from scorer.remote.stores import Stores
from scorer.remote.urls import Url
from tests.remote.conftest import BUCKET, Bucket, place, run, scored
from tests.remote.s3_server import tampers

CSV = b"id,text\n1,good+\n2,bad-\n"
SCORED = b"id,text,label,score\n1,good+,positive,0.8\n2,bad-,negative,0.8\n"
ALL = {"output": "s3://lake/out/"}


@pytest.mark.parametrize("many", [2_500, pytest.param(10_000, marks=pytest.mark.ci)])
def test_many_names_are_found_once_each(bucket: Bucket, many: int) -> None:
    """A page of a thousand is asked for when it is needed, and no name twice."""
    backend = get_backend("s3")["123456789012"]["aws"]
    for number in range(many):
        backend.put_object(BUCKET, f"in/day={number % 7}/{number}.csv", b"text\nx\n")
    store = objects.ObjectStore(Url("s3", "lake", ""))
    bucket.asked.clear()
    assert len(list(islice(store.list(Url("s3", "lake", "in/")), 1_000))) == 1_000
    assert len(bucket.asked) == 1
    bucket.asked.clear()
    found = find((place("s3://lake/in/"),), Stores())
    assert len(bucket.asked) == -(-many // 1_000)
    assert {str(each.below) for each in found.inputs} == {
        f"day={number % 7}/{number}.csv" for number in range(many)
    }
    assert len(found.files) == many
    backend.buckets[BUCKET].keys.clear()


def cut_off(times: int) -> Iterator[int]:
    """Let so many answers to a reader of in/a.csv end after five bytes."""
    left = iter(range(times))

    def tamper(environ: Any, start: Any) -> list[bytes] | None:
        if environ["PATH_INFO"] != "/lake/in/a.csv" or environ["REQUEST_METHOD"] != "GET":
            return None
        if next(left, None) is None:
            return None
        there: Any = get_backend("s3")["123456789012"]["aws"].head_object(BUCKET, "in/a.csv")
        first = int(environ["HTTP_RANGE"].removeprefix("bytes=").partition("-")[0])
        start(
            "206 Partial Content",
            [
                ("Content-Range", f"bytes {first}-{len(CSV) - 1}/{len(CSV)}"),
                ("Content-Length", str(len(CSV) - first)),
                ("ETag", there.etag),
                ("Last-Modified", "Wed, 25 Nov 2026 02:00:00 GMT"),
            ],
        )
        return [CSV[first : first + 5]]

    tampers.append(tamper)
    return left


def test_an_answer_that_is_cut_off_is_asked_for_again(stub: Any, bucket: Bucket) -> None:
    """From where it ended; what is scored is the whole object."""
    bucket.put("in/a.csv", CSV)
    left = cut_off(2)
    (outcome,) = run(stub, "s3://lake/in/a.csv", **ALL)
    assert outcome.error is None
    assert next(left, None) is None
    assert bucket.get("out/a.scored.csv") == SCORED


def test_an_object_that_never_comes_whole_is_not_scored(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fault of the network, and the others are scored."""
    monkeypatch.setattr(objects, "_RETRIES", 0)
    bucket.put("in/a.csv", CSV)
    bucket.put("in/b.csv", CSV)
    cut_off(1_000)
    cut, whole = run(stub, "s3://lake/in/", **ALL)
    assert isinstance(cut.error, StorageError)
    assert str(cut.error) == (
        "reading s3://lake/in/a.csv failed: the answer was cut off; "
        "run again when the network is well"
    )
    assert whole.error is None
    of_a = [name for name in bucket.names("out/") if "a.scored" in name]
    assert of_a == ["out/.tweetscore/a.scored.csv.run.failed.json"]


def test_two_versions_are_never_one_input(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store knows no conditions: each part says of which version it is."""
    monkeypatch.setattr(objects, "_RANGE", 10)
    bucket.put("in/a.csv", CSV)
    ranges: list[str] = []

    def tamper(environ: Any, _: Any) -> None:
        environ.pop("HTTP_IF_MATCH", None)
        if environ["PATH_INFO"] == "/lake/in/a.csv" and (part := environ.get("HTTP_RANGE")):
            ranges.append(part)
            if len(ranges) == 2:
                get_backend("s3")["123456789012"]["aws"].put_object(
                    BUCKET, "in/a.csv", CSV.replace(b"bad", b"BAD")
                )

    tampers.append(tamper)
    (outcome,) = run(stub, "s3://lake/in/a.csv", **ALL)
    assert isinstance(outcome.error, DataError)
    assert str(outcome.error).startswith("s3://lake/in/a.csv changed while it was fetched; ")
    assert len(ranges) == 2


def test_an_object_that_changes_after_it_was_listed_is_scored_as_it_is_now(
    stub: Any, bucket: Bucket
) -> None:
    """All of it, under the tag that it has, so that the next run has nothing to do."""
    bucket.put("in/a.csv", CSV)
    bucket.put("in/b.csv", CSV)
    stub.before_scoring = lambda: bucket.put("in/b.csv", b"text\nnew+\n")
    assert len(scored(run(stub, "s3://lake/in/", **ALL))) == 2
    assert bucket.get("out/b.scored.csv") == b"text,label,score\nnew+,positive,0.8\n"
    assert scored(run(stub, "s3://lake/in/", **ALL)) == []


def test_an_object_that_goes_after_it_was_listed_fails_alone(stub: Any, bucket: Bucket) -> None:
    """Before it is fetched; the others are scored."""
    for name in "abc":
        bucket.put(f"in/{name}.csv", CSV)
    stub.before_scoring = lambda: bucket.client.delete_object(Bucket="lake", Key="in/b.csv")
    _, gone, _ = outcomes = run(stub, "s3://lake/in/", **ALL)
    assert [type(each.error) for each in outcomes] == [type(None), InputMissing, type(None)]
    assert str(gone.error) == "s3://lake/in/b.csv is gone since it was found; run again"
    failed = json.loads(bucket.get("out/.tweetscore/b.scored.csv.run.failed.json"))
    assert failed["exit_code"] == 66


@pytest.mark.parametrize("ours", [False, True])
def test_an_output_that_another_writes_meanwhile_is_theirs(
    stub: Any, bucket: Bucket, ours: bool
) -> None:
    """Whether there was none before, or one of ours."""
    bucket.put("in/a.csv", CSV)
    if ours:
        run(stub, "s3://lake/in/a.csv", **ALL)
        bucket.put("in/a.csv", CSV + b"3,new\n")
    stub.before_scoring = lambda: bucket.put("out/a.scored.csv", b"theirs")
    (outcome,) = run(stub, "s3://lake/in/a.csv", **ALL)
    assert isinstance(outcome.error, OutputRefused)
    assert bucket.get("out/a.scored.csv") == b"theirs"


def test_an_output_that_another_writes_at_the_last_moment_is_theirs(
    stub: Any, bucket: Bucket
) -> None:
    """Between the last look and the upload the store itself refuses."""
    bucket.put("in/a.csv", CSV)

    def tamper(environ: Any, _: Any) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"] == "/lake/out/a.scored.csv":
            get_backend("s3")["123456789012"]["aws"].put_object(
                BUCKET, "out/a.scored.csv", b"theirs"
            )

    tampers.append(tamper)
    (outcome,) = run(stub, "s3://lake/in/a.csv", **ALL)
    assert str(outcome.error) == (
        "somebody else wrote s3://lake/out/a.scored.csv while this run did; run again"
    )
    assert bucket.get("out/a.scored.csv") == b"theirs"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that takes connections and says nothing; patience is short."""
    for name, value in ((objects, 0.1), (s3, 0.1), (web, 0.1)):
        monkeypatch.setattr(name, "_READ_TIMEOUT_S", value)
    monkeypatch.setattr(objects, "_RETRIES", 0)
    monkeypatch.setattr(s3, "_ATTEMPTS", 1)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("source", ["s3://lake/in/a.csv", "s3://lake/in/", "http://{}/a.csv"])
def test_a_server_that_never_answers_does_not_hold_a_run_up(
    stub: Any, bucket: Bucket, silent: str, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """There is an end to each wait, and it is a fault that may pass."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    with pytest.raises(StorageError, match=r"(no answer in time|timed out); run again when"):
        run(stub, source.format(silent), output="s3://lake/out/a.csv")
