"""Every Arrow type comes out of a run as it went in, in the same record batches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer.formats.arrow import ArrowSource
from scorer.options import InputSpec
from scorer.readback.batch_pair import BatchPair
from tests.formats.files_helpers import SCHEMA, write_scored
from tests.hostile.parquet_compare import difference
from tests.hostile.test_parquet_round_trip import tables

WRITING = st.fixed_dictionaries(
    {"compression": st.sampled_from([None, "lz4", "zstd"]), "use_legacy_format": st.booleans()}
)
NUMBERS = pa.array([1, 2, None, 4, 5, 6], pa.int8())
WORDS = pa.array(["a", "b", "b", None, "", "c"])
IDS = pa.array([0, 1, 1, 0, 0, 1], pa.int8())
CODED = pa.array([1.5, float("nan"), 1.5]).dictionary_encode()
LISTS = [[], None, [None], ["a"], ["b", "c"], []]
PAIRS = pa.array([[1.0, 2.0]] * 6, pa.list_(pa.float32(), 2))
# Six values each of types that Parquet does not know, or not so.
ARRAYS = {
    "list views": pa.array([[], None, [None], [1], [2, 3], []], pa.list_view(pa.int8())),
    "large list views": pa.array(LISTS, pa.large_list_view(pa.string())),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 6], pa.int32()), WORDS[:2]),
    "intervals": pa.array([(1, 2, 3), None, (0, 0, 0)] * 2, pa.month_day_nano_interval()),
    "sparse unions": pa.UnionArray.from_sparse(IDS, [NUMBERS, WORDS]),
    "dense unions": pa.UnionArray.from_dense(
        IDS, pa.array([0, 1, 2, 3, 4, 5], pa.int32()), [NUMBERS, WORDS]
    ),
    "dictionaries in structs": pa.StructArray.from_arrays([WORDS.dictionary_encode()], ["x"]),
    "dictionaries in lists": pa.ListArray.from_arrays([0, 1, 1, 2, 2, 2, 3], CODED),
    "tensors": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2]), PAIRS),
}


def write(table: pa.Table, path: Path, rows: int, how: dict[str, Any]) -> None:
    """Write a table in batches, each with metadata of its own, as file or stream."""
    make = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    footer = {} if path.suffix == ".arrows" else {"metadata": {"foot": "note"}}
    with (
        path.open("wb") as file,
        make(file, table.schema, options=pa.ipc.IpcWriteOptions(**how), **footer) as writer,
    ):
        for number, batch in enumerate(table.to_batches(max_chunksize=rows)):
            writer.write_batch(batch, custom_metadata={"number": str(number)})


def read(path: Path) -> tuple[pa.Table, list[tuple[int, Any]], Any]:
    """Return a table, its batches' rows and metadata, and the footer's metadata."""
    with path.open("rb") as file:
        if path.suffix == ".arrows":
            reader, footer = pa.ipc.open_stream(file), None
            found = list(reader.iter_batches_with_custom_metadata())
        else:
            reader = pa.ipc.open_file(file)
            footer = reader.metadata
            numbers = range(reader.num_record_batches)
            found = [reader.get_batch_with_custom_metadata(i) for i in numbers]
        table = pa.Table.from_batches([each.batch for each in found], reader.schema)
        return table, [(len(each.batch), each.custom_metadata) for each in found], footer


def compare(source: Path, output: Path) -> str:
    """Return how an output differs from its input beside the appended columns."""
    (before, batches, footer), (after, *rest) = read(source), read(output)
    assert after.schema.names == [*before.schema.names, "label", "score"]
    if rest != [batches, footer]:
        return f"batches {batches}, {footer} became {rest}"
    return difference(before, after)


def check(number: int, directory: Path) -> None:
    """Look for a table that a run changes."""

    @settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        table=tables(),
        how=WRITING,
        sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
        suffix=st.sampled_from([".arrow", ".arrows"]),
    )
    def passes_through(
        table: pa.Table, how: dict[str, Any], sizes: tuple[int, int], suffix: str
    ) -> None:
        source, output = directory / f"in{suffix}", directory / f"out{suffix}"
        output.unlink(missing_ok=True)
        write(table, source, sizes[0], how)
        write_scored(source, output, sizes[1])
        assert not compare(source, output)

    passes_through()


@pytest.mark.long
def test_columns_of_every_type_pass_through(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """Values, order, types, metadata and batches are what pyarrow reads of the input."""
    check(count(60, 20_000), tmp_path)


@pytest.mark.ci
@pytest.mark.timeout(1800)
def test_two_thousand_tables_pass_through(tmp_path: Path) -> None:
    """The same with as many tables as a night of continuous integration has time for."""
    check(2_000, tmp_path)


@pytest.mark.parametrize("suffix", [".arrow", ".arrows"])
@pytest.mark.parametrize("name", ARRAYS)
def test_types_that_parquet_lacks_pass_through(tmp_path: Path, name: str, suffix: str) -> None:
    """Views, runs, unions, intervals and nested dictionaries, each in batches of three rows."""
    texts = pa.array(["ok", None, "a", "", "last", "b"])
    source = tmp_path / f"in{suffix}"
    write(pa.table({"other": ARRAYS[name], "text": texts}), source, 3, {})
    output = write_scored(source, tmp_path / f"out{suffix}", 4)
    assert not compare(source, output)
    pair = BatchPair(open_arrow(source), open_arrow(output), SCHEMA)
    rows = zip(pair.output_batches(), pair.input_batches(), strict=True)
    assert [found for a, b in rows for found in (*pair.columns(), *pair.differences(a, b, 0))] == []


def open_arrow(path: Path) -> ArrowSource:
    return ArrowSource(path, InputSpec("text"))
