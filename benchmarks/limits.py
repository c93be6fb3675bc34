"""The upper bounds of this box: matrix products at the models' shapes, tokens, Parquet.

    python -m benchmarks.limits FOLDER ROWS THREADS LAYER_WIDTH

The best of several tries and several numbers of tokens each, since a limit is not an average.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOKENS = (1024, 2048, 4096)  # rows of the left matrix
SECONDS = 0.4  # of trying each
# How often each product comes in a layer, as (inner, outer) in widths: queries, keys, values and
# the attention's output; the two halves of the feed-forward network.
SHAPES = ((4, 1, 1), (1, 1, 4), (1, 4, 1))


def limits(folder: Path, rows: int, threads: int, width: int) -> dict[str, Any]:
    """Return operations per second by arithmetic, and texts per second of the rest."""
    import torch

    torch.set_num_threads(threads)
    texts = folder / f"normalised-{rows}.parquet"
    return {
        "gemm": {
            "fp32 (PyTorch)": _layer(width, _torch_product(torch.float32)),
            "fp32 (ONNX Runtime)": _layer(width, _onnxruntime_fp32(threads)),
            "bf16": _layer(width, _torch_product(torch.bfloat16)),
            "int8 (PyTorch)": _layer(width, _torch_int8),
            "int8 (ONNX Runtime)": _layer(width, _onnxruntime_int8(threads)),
        },
        "tokenizer": _tokenizer(folder, texts),
        "parquet_read": _parquet_read(texts),
        "parquet_write": _parquet_write(texts),
    }


Product = Callable[[int, int, int], Callable[[], object]]


def _layer(width: int, product: Product) -> float:
    """Return the operations per second over a layer's products, at the best number of tokens."""
    best = 0.0
    for tokens in TOKENS:
        seconds = sum(
            times * _quickest(product(tokens, inner * width, outer * width))
            for times, inner, outer in SHAPES
        )
        operations = sum(2 * times * tokens * i * o * width**2 for times, i, o in SHAPES)
        best = max(best, operations / seconds)
    return best


def _quickest(work: Callable[[], object]) -> float:
    """Return the seconds of the quickest of many tries."""
    work()
    best, end = float("inf"), time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _torch_product(dtype: Any) -> Product:
    def product(tokens: int, inner: int, outer: int) -> Callable[[], object]:
        import torch

        left = torch.randn(tokens, inner).to(dtype)
        right = torch.randn(outer, inner).to(dtype)
        return lambda: torch.nn.functional.linear(left, right)

    return product


def _torch_int8(tokens: int, inner: int, outer: int) -> Callable[[], object]:
    import torch

    left = torch.randint(-127, 127, (tokens, inner), dtype=torch.int8)
    right = torch.randint(-127, 127, (inner, outer), dtype=torch.int8)
    return lambda: torch._int_mm(left, right)


def _onnxruntime_fp32(threads: int) -> Product:
    def product(tokens: int, inner: int, outer: int) -> Callable[[], object]:
        random = np.random.default_rng(0)
        left = random.standard_normal((tokens, inner), np.float32)
        right = random.standard_normal((inner, outer), np.float32)
        return _onnxruntime("MatMul", left, right, threads)

    return product


def _onnxruntime_int8(threads: int) -> Product:
    def product(tokens: int, inner: int, outer: int) -> Callable[[], object]:
        random = np.random.default_rng(0)
        left = random.integers(0, 255, (tokens, inner)).astype(np.uint8)
        right = random.integers(-127, 127, (inner, outer)).astype(np.int8)
        return _onnxruntime("MatMulInteger", left, right, threads)

    return product


def _onnxruntime(
    operator: str, left: NDArray[Any], right: NDArray[Any], threads: int
) -> Callable[[], object]:
    """Return a product with `right` as a constant, as weights are."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    whole = np.issubdtype(left.dtype, np.integer)
    result = TensorProto.INT32 if whole else TensorProto.FLOAT
    kind = helper.np_dtype_to_tensor_dtype(left.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", kind, left.shape)],
        [helper.make_tensor_value_info("product", result, [len(left), right.shape[1]])],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"left": left})


def _tokenizer(folder: Path, texts: Path) -> float:
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "checkpoint" / "tokenizer.json"))
    tokenizer.no_padding()
    column = pq.ParquetFile(texts).read()["text"].to_pylist()
    return len(column) / _quickest(lambda: tokenizer.encode_batch_fast(column))


def _parquet_read(texts: Path) -> float:
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(texts).metadata.num_rows
    return float(rows / _quickest(lambda: pq.ParquetFile(texts).read()))


def _parquet_write(texts: Path) -> float:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(texts).read()
    table = table.append_column("label", pa.array(["neutral"] * len(table)))
    table = table.append_column("score", pa.array(np.ones(len(table), np.float32)))
    with TemporaryDirectory() as folder:
        output = Path(folder, "scored.parquet")
        return float(len(table) / _quickest(lambda: pq.write_table(table, output)))


if __name__ == "__main__":
    _, where, count, cpus, size = sys.argv
    found = limits(Path(where), int(count), int(cpus), int(size))
    sys.stdout.write(json.dumps(found) + "\n")
