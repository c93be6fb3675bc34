"""Two Arrow arrays are the same, bit for bit, or they are not."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scorer.readback.batch_pair import same

NAN = float("nan")
OTHER_NAN = np.array([0x7FF8000000000001], np.uint64).view(np.float64)


def vectors(*rows: list[float]) -> pa.Array:
    """Return an array of an extension type that keeps lists of floats."""
    kind = pa.fixed_shape_tensor(pa.float64(), [2])
    storage = pa.array(rows, pa.list_(pa.float64(), 2))
    return pa.ExtensionArray.from_storage(kind, storage)


def choices(value: float, mode: str = "sparse", last: int = 0) -> pa.Array:
    """Return a union of floats and words."""
    ids = pa.array([0, 1, last], pa.int8())
    members = [pa.array([value, 1.0, 2.0]), pa.array(["a", "b", "c"])]
    if mode == "sparse":
        return pa.UnionArray.from_sparse(ids, members)
    return pa.UnionArray.from_dense(ids, pa.array([0, 1, 2], pa.int32()), members)


def runs(value: float) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([value, None]))


def moved(value: float) -> pa.Array:
    """Return a dense union of the same values at other offsets."""
    ids = pa.array([0, 1, 0], pa.int8())
    members = [pa.array([value, 1.0, 2.0]), pa.array(["a", "b", "c"])]
    return pa.UnionArray.from_dense(ids, pa.array([0, 0, 2], pa.int32()), members)


EQUAL: list[Any] = [
    pa.array([1.5, NAN, None, -0.0]),
    pa.array([[1.0, NAN], None, []]),
    pa.array([{"a": NAN, "b": "x"}, None]),
    pa.array([NAN, 1.0, NAN]).dictionary_encode(),
    vectors([1.0, NAN], [2.0, 3.0]),
    vectors([1.0, 4.0], [2.0, 3.0]),
    pa.array([["x"], None, []]),
    pa.array([[NAN], None, []], pa.list_view(pa.float64())),
    runs(NAN),
    choices(NAN),
]


@pytest.mark.parametrize("array", EQUAL, ids=lambda array: str(array.type))
def test_an_array_is_the_same_as_itself(array: pa.Array) -> None:
    """NaN too, however deep it lies."""
    assert same(array, pa.concat_arrays([array.slice(0, 1), array.slice(1)]))


def test_a_dense_union_is_the_same_as_itself() -> None:
    """Its members are compared whole, and where each row lies in them."""
    assert same(choices(NAN, "dense"), choices(NAN, "dense"))


def test_a_dictionary_of_floats_is_compared_by_its_bits() -> None:
    """Two dictionaries in another order hold the same values; equal values may differ in a bit."""
    a, b = (pa.array(values).dictionary_encode() for values in ([0.0, 1.0], [1.0, 0.0]))
    assert same(a, b.take(pa.array([1, 0])))
    assert not same(a, pa.array([-0.0, 1.0]).dictionary_encode())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (pa.array([0.0]), pa.array([-0.0])),
        (pa.array([NAN]), pa.array(OTHER_NAN)),
        (pa.array([1.0, None]), pa.array([1.0, 2.0])),
        (pa.array([1.0, None]), pa.array([None, 1.0], pa.float64())),
        (pa.array([[1.0], []]), pa.array([[], [1.0]], pa.list_(pa.float64()))),
        (pa.array([{"a": NAN}]), pa.array([{"a": 1.0}])),
        (vectors([1.0, NAN]), vectors([1.0, 2.0])),
        (pa.array(["a"]), pa.array(["b"])),
        (runs(NAN), runs(1.0)),
        (choices(NAN), choices(1.0)),
        (choices(NAN), choices(NAN, last=1)),
        (choices(NAN, "dense"), choices(1.0, "dense")),
        (choices(NAN, "dense"), moved(NAN)),
    ],
    ids=str,
)
def test_what_differs_in_one_bit_is_not_the_same(a: pa.Array, b: pa.Array) -> None:
    """The sign of zero, the payload of NaN, where a null lies, where a list ends."""
    assert not same(a, b)
