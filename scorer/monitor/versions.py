"""The versions of tweetscore and of the libraries that compute, as pip recorded them."""

import platform
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal, get_args

from scorer.errors import InvalidBundle

Library = Literal[
    "python",
    "emoji",
    "numpy",
    "onnxruntime",
    "onnxruntime-ep-openvino",
    "onnxruntime-gpu",
    "polars",
    "pyarrow",
    "tokenizers",
]


@cache
def tweetscore_version() -> str:
    """Return the version that pyproject.toml gave this installation of tweetscore.

    Raises:
        InvalidBundle: These files were copied here without being installed.
    """
    from importlib import metadata  # 20 ms, which `tweetscore --help` does not spend

    try:
        return metadata.version("tweetscore")
    except metadata.PackageNotFoundError as error:
        problem = "tweetscore is not installed: its files have no version beside them"
        raise InvalidBundle(problem, "run pip install --no-deps -e . where they are") from error


@cache  # each file of a run asks twice
def library_versions() -> Mapping[str, str]:
    """Return the versions of Python and of the libraries that compute."""
    from importlib import metadata

    versions = {"python": platform.python_version()}
    for name in get_args(Library)[1:]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # one of the two ONNX Runtimes is always absent, OpenVINO may be
    return MappingProxyType(versions)  # all callers get the same object
