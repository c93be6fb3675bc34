"""Names that a store takes and a client or a file system does not: skipped, reported, counted."""

from pathlib import Path
from typing import Any

import obstore
import pytest
from moto.backends import get_backend

from scorer.errors import InputMissing, OutputRefused
from scorer.remote import objects
from scorer.remote.search import Place, find
from scorer.remote.stores import Stores
from scorer.remote.urls import Object, Url, parse_url
from scorer.store.found import Found
from tests.remote.conftest import BUCKET, Bucket, place, run, scored

CSV = b"id,text\n1,good+\n"
UNUSABLE = {
    "in//double.csv": "in//double.csv (an empty part)",
    "in/x/../../esc.csv": "in/x/../../esc.csv (a part that is . or ..)",
    "in/./dot.csv": "in/./dot.csv (a part that is . or ..)",
    "in/tab\tx.csv": "in/tab\tx.csv (a control character)",
    "in/line\nx.csv": "in/line\nx.csv (a control character)",
    "in/\x1b[31m.csv": "in/\x1b[31m.csv (a control character)",
    "in/day=1/\x7f.csv": "in/day=1/\x7f.csv (a control character)",
    "in/dir.csv/": "in/dir.csv/ (a slash at its end)",
    f"in/{'n' * 300}.csv": f"in/{'n' * 300}.csv (a part that is too long for a file)",
}


def put_as_it_is(key: str, content: bytes = CSV) -> None:
    """Write an object whose name a client or moto's own server might change."""
    get_backend("s3")["123456789012"]["aws"].put_object(BUCKET, key, content)


def found(*arguments: str) -> Found[Place]:
    return find(tuple(map(place, arguments)), Stores())


@pytest.fixture
def odd(bucket: Bucket) -> Any:
    """Let the bucket be emptied of names that the server itself does not reach."""
    yield bucket
    get_backend("s3")["123456789012"]["aws"].buckets[BUCKET].keys.clear()


@pytest.mark.parametrize("key", UNUSABLE)
def test_one_unusable_name_does_not_stop_the_others(stub: Any, odd: Bucket, key: str) -> None:
    """The others are scored; it has a line and is counted."""
    put_as_it_is("in/good.csv")
    put_as_it_is(key)
    looked = found("s3://lake/in/")
    assert [str(each) for each in looked.files] == ["s3://lake/in/good.csv"]
    assert looked.passed_over == (("of unusable name", 1),)
    (line,) = looked.warnings
    assert line == (
        f"skipped, as the name cannot be used: s3://lake/{UNUSABLE[key]}; "
        "copy it to another name to have it scored"
    )
    outcomes = run(stub, "s3://lake/in/", output="s3://lake/out/")
    assert scored(outcomes) == ["s3://lake/out/good.scored.csv"]
    assert [each.error for each in outcomes] == [None]


def test_many_unusable_names_are_one_line(odd: Bucket) -> None:
    """The first three by name, the others as a number."""
    for number in range(7):
        put_as_it_is(f"in//{number}.csv")
    put_as_it_is("in/good.csv")
    looked = found("s3://lake/in/")
    assert looked.passed_over == (("of unusable name", 7),)
    (line,) = looked.warnings
    assert line.count("(an empty part)") == 3
    assert line.endswith(" and 4 more; copy it to another name to have it scored")


def test_a_pattern_counts_only_the_unusable_names_that_it_means(odd: Bucket) -> None:
    """A file of another extension, a hidden one and a marker of a directory are none of them."""
    for key in ("in/a.csv", "in/x\t.csv", "in/x\t.parquet", "in/.x\t.csv", "other/x\t.csv"):
        put_as_it_is(key)
    put_as_it_is("in/sub.csv/", b"")
    looked = found("s3://lake/in/*.csv")
    assert [str(each) for each in looked.files] == ["s3://lake/in/a.csv"]
    assert looked.passed_over == (("hidden", 1), ("of unusable name", 1))


def test_an_unusable_name_among_the_outputs_does_not_matter(stub: Any, odd: Bucket) -> None:
    """Where outputs lie is listed too."""
    put_as_it_is("in/a.csv")
    put_as_it_is("out//x")
    put_as_it_is("out/a.scored.csv//x")
    put_as_it_is("out/\x1b[31m.csv")
    assert len(scored(run(stub, "s3://lake/in/", output="s3://lake/out/"))) == 1
    assert scored(run(stub, "s3://lake/in/", output="s3://lake/out/")) == []


@pytest.mark.parametrize(
    "key", ["in//x.csv", "in/../x.csv", "/x.csv", "in/x\x1b.csv", "in/\udcff.csv", "n" * 300]
)
def test_an_unusable_name_that_is_named_is_its_own_error(
    stub: Any, bucket: Bucket, key: str
) -> None:
    """Nobody is asked; another input that was named is scored."""
    bucket.put("in/a.csv", CSV)
    bucket.asked.clear()
    with pytest.raises(InputMissing, match="cannot be read, as its name has "):
        run(stub, f"s3://lake/{key}", output="s3://lake/out/")
    assert bucket.asked == []
    bad, good = run(stub, f"s3://lake/{key}", "s3://lake/in/a.csv", output="s3://lake/out/")
    assert isinstance(bad.error, InputMissing)
    assert bad.named_input == f"s3://lake/{key}"
    assert good.error is None


def test_a_directory_of_unusable_names_alone_is_an_error_that_names_one(odd: Bucket) -> None:
    """There is nothing to score, and the error says why."""
    put_as_it_is("in//x.csv")
    with pytest.raises(InputMissing) as caught:
        found("s3://lake/in/")
    assert str(caught.value) == (
        "s3://lake/in//x.csv cannot be read, as its name has an empty part; copy it to another name"
    )


@pytest.mark.parametrize("output", ["s3://lake/out//x.csv", "s3://lake//out/", "s3://lake/../o/"])
def test_an_unusable_output_is_refused_before_any_work(
    stub: Any, bucket: Bucket, output: str
) -> None:
    """A client would write to another name than the one that was asked for."""
    bucket.put("in/a.csv", CSV)
    with pytest.raises(OutputRefused, match="cannot be written, as its name has a"):
        run(stub, "s3://lake/in/a.csv", output=output)
    assert stub.loads == 0
    assert bucket.names() == ["in/a.csv"]


def test_an_object_and_one_below_its_name_are_two(
    stub: Any, bucket: Bucket, tmp_path: Path
) -> None:
    """Where they cannot both be files here, one fails, and the other is scored."""
    for key in ("in/a.csv", "in/a.csv/b.csv", "in/a.scored.csv/c.csv"):
        bucket.put(key, CSV)
    assert len(scored(run(stub, "s3://lake/in/", output="s3://lake/out/"))) == 3
    outcomes = run(stub, "s3://lake/in/", output=tmp_path / "out")
    assert [type(each.error) for each in outcomes] == [type(None), type(None), OutputRefused]
    assert "a file has its name" in str(outcomes[2].error)
    assert (tmp_path / "out/a.csv/b.scored.csv").exists()


def test_web_addresses_stay_in_the_output_directory() -> None:
    """Also with two slashes after the host."""

    class Anything:
        def of(self, _: Url) -> Any:
            return self

        def head(self, url: Url) -> Any:
            return Object(url, 1, "tag", None)

    looked = find((place("https://h//etc/x.csv"), place("https://g/y.csv")), Anything())  # type: ignore[arg-type]
    assert [str(each.below) for each in looked.inputs] == ["etc/x.csv", "y.csv"]


def test_a_listing_that_fails_for_a_name_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's and Azure's are listed by a client that refuses it: no fault of the network."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sig=x")

    def refuse(*_: Any, **__: Any) -> Any:
        raise obstore.exceptions.GenericError(
            "Generic MicrosoftAzure error: Encountered object with invalid path: "
            'Path "in//double.csv" contained empty path segment\n\nDebug source:\n'
        )

    monkeypatch.setattr(obstore, "list", refuse)
    url = parse_url("az://box/in/")
    assert url is not None
    with pytest.raises(InputMissing) as caught:
        list(objects.ObjectStore(Url("az", "box", "")).list(url))
    assert str(caught.value).startswith(
        'az://box/in/ cannot be listed: its client refuses the name "in//double.csv" below it; '
    )
