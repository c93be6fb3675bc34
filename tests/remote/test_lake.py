"""Delta tables in a bucket: as those of local files, read with the credentials of the run."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from scorer.errors import DataError, InputMissing
from scorer.options import RunOptions
from scorer.remote.remote_run import Remote
from tests.lake.delta_logs import by_hand, write
from tests.remote.conftest import Bucket, finished, place, run, scored

TABLE = "s3://lake/in/bronze"


@pytest.fixture
def storage(bucket: Bucket, server: tuple[str, Any]) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server[0], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
    }  # fmt: skip


def append(storage: dict[str, str], days: dict[str, str], table: str = TABLE) -> None:
    frame = pa.table({"text": list(days.values()), "day": list(days)})
    write_deltalake(table, frame, mode="append", partition_by=["day"], storage_options=storage)


def texts(bucket: Bucket, prefix: str) -> list[str]:
    names = [name for name in bucket.names(prefix) if name.endswith(".parquet")]
    return sorted(t for name in names for t in pl.read_parquet(bucket.get(name))["text"])


def put_tree(bucket: Bucket, directory: Path, prefix: str) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            bucket.put(f"{prefix}{path.relative_to(directory)}", path.read_bytes())


@pytest.mark.parametrize("name", ["100%", "a#b", "ü b"])
def test_a_key_may_hold_marks_of_urls(stub: Any, bucket: Bucket, tmp_path: Path, name: str) -> None:
    """They are encoded for the library, which takes a URL."""
    write(tmp_path / "table", ["a"])
    put_tree(bucket, tmp_path / "table", f"{name}/")
    assert len(scored(run(stub, f"s3://lake/{name}/"))) == 1
    assert texts(bucket, f"{name}.scored/") == ["a"]


@pytest.mark.parametrize("output", [None, "s3://lake/out/"])
def test_the_outputs_follow_the_table(
    stub: Any, bucket: Bucket, storage: dict[str, str], output: str | None
) -> None:
    """Live rows once each; new outputs and the manifest, then those of files that left go."""
    append(storage, {"1": "a", "x y": "gone"})
    bucket.put("in/bronze/day=1/stray.parquet", b"no file of the table")
    where = "out/" if output else "in/bronze.scored/"
    outcomes = run(stub, TABLE, output=output)
    assert [each.complete.input.table_version for each in outcomes] == [0, 0]
    assert finished(TABLE, output=output) == []
    assert texts(bucket, where) == ["a", "gone"]
    DeltaTable(TABLE, storage_options=storage).delete("text = 'gone'")
    append(storage, {"2": "b"})
    (new,) = scored(run(stub, TABLE, output=output))
    (left,) = finished(TABLE, output=output)
    assert (new.split("/")[-2], left.split("/")[-2]) == ("day=2", "day=x%20y")
    assert texts(bucket, where) == ["a", "b"]
    manifest = json.loads(bucket.get(f"{where}.tweetscore/delta.json"))
    assert manifest["table"] == {"format": "delta", "path": f"{TABLE}/", "version": 2}
    for each in manifest["files"]:
        assert bucket.get(f"in/bronze/{each['input']}")
        assert bucket.get(f"{where}{each['output']}")
    assert len(manifest["files"]) == 2
    bucket.asked.clear()
    assert finished(TABLE, output=output) == []
    assert not [each for each in bucket.asked if each[0] in {"PUT", "DELETE"}]


def test_parts_of_a_table_mean_live_files(
    stub: Any, bucket: Bucket, storage: dict[str, str], tmp_path: Path
) -> None:
    """A partition, a pattern, a table among other objects; to a local directory too."""
    append(storage, {"1": "a", "2": "b"})
    DeltaTable(TABLE, storage_options=storage).delete("text = 'b'")
    append(storage, {"2": "c"})
    bucket.put("in/plain.csv", b"text\nplain\n")
    options = RunOptions()

    def found(text: str) -> list[str]:
        files = Remote((place(text),), None).discover(options).files
        return sorted(str(each).split("/")[-2] for each in files)

    assert found("s3://lake/in/") == ["day=1", "day=2", "in"]
    assert found(f"{TABLE}/day=2/") == ["day=2"]
    assert found(f"{TABLE}/*=2/*.parquet") == ["day=2"]
    assert found("s3://lake/in/*.csv") == ["in"]
    as_csv = Remote((place("s3://lake/in/"),), None).discover(RunOptions.of((), format="csv"))
    assert ([each.name for each in as_csv.files], as_csv.tables) == (["plain.csv"], ())
    (outcome,) = run(stub, f"{TABLE}/day=2/")
    assert outcome.url.startswith("s3://lake/in/bronze.scored/day=2/part-")
    assert finished(f"{TABLE}/day=2/") == []
    assert ".tweetscore/delta.json" not in " ".join(bucket.names("in/bronze.scored/"))
    run(stub, "s3://lake/in/", output=tmp_path / "here")
    assert finished("s3://lake/in/", output=tmp_path / "here") == []
    manifest = json.loads((tmp_path / "here/bronze/.tweetscore/delta.json").read_bytes())
    assert len(manifest["files"]) == 2
    DeltaTable(TABLE, storage_options=storage).delete()
    assert len(finished("s3://lake/in/", output=tmp_path / "here")) == 2


def test_a_local_table_goes_to_a_bucket(stub: Any, bucket: Bucket, tmp_path: Path) -> None:
    write(tmp_path / "table", ["a"])
    write(tmp_path / "table", ["b"])
    outcomes = run(stub, tmp_path / "table", output="s3://lake/out/")
    assert [each.complete.input.table_version for each in outcomes] == [1, 1]
    DeltaTable(tmp_path / "table").delete("text = 'b'")
    assert len(finished(tmp_path / "table", output="s3://lake/out/")) == 1
    manifest = json.loads(bucket.get("out/.tweetscore/delta.json"))
    assert len(manifest["files"]) == 1
    assert bucket.get(f"out/{manifest['files'][0]['output']}")
    assert (tmp_path / "table" / manifest["files"][0]["input"]).exists()


def test_an_emptied_table_is_no_error(stub: Any, bucket: Bucket, storage: dict[str, str]) -> None:
    append(storage, {"1": "a"})
    run(stub, TABLE)
    DeltaTable(TABLE, storage_options=storage).delete()
    assert run(stub, TABLE) == []
    assert len(finished(TABLE)) == 1


def test_what_is_no_readable_table_is_one_line(bucket: Bucket, tmp_path: Path) -> None:
    """A log that leads elsewhere, a missing file, Iceberg and Hudi, whole and in part."""
    put_tree(bucket, by_hand(tmp_path / "leads", "../x.parquet"), "leads/")
    put_tree(bucket, by_hand(tmp_path / "lost", "a.parquet"), "lost/")
    for key in (
        "ice/metadata/v1.metadata.json",
        "ice/data/day=1/a.parquet",
        "h/.hoodie/x.properties",
    ):
        bucket.put(key, b"x")
    bucket.put("h/day=1/a.parquet", b"x")

    def error(text: str) -> Exception:
        try:
            found = Remote((place(text),), None).discover(RunOptions())
        except DataError as raised:
            return raised
        return found.unreadable[0][1]

    assert "names a file outside its directory: ../x.parquet" in str(error("s3://lake/leads/"))
    assert isinstance(missing := error("s3://lake/lost/"), InputMissing)
    assert "s3://lake/lost/a.parquet is gone, but version 0 of the Delta table" in str(missing)
    for text in ("s3://lake/ice/", "s3://lake/ice/data/", "s3://lake/ice/data/day=1/"):
        assert "s3://lake/ice/ is an Iceberg table" in str(error(text))
    for text in ("s3://lake/h/", "s3://lake/h/day=1/"):
        assert "s3://lake/h/ is a Hudi table" in str(error(text))
