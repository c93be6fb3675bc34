"""Who may import whom, read from the source: the plan of CONTRIBUTING, held."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A library may be imported only where it is named here (folders end with a slash).
LIBRARIES = {
    "click": ["scorer/cli/", "export/cli.py", "export/commands/"],
    "onnxruntime": ["scorer/inference/runtime/", "export/"],
    "onnxruntime_ep_openvino": ["scorer/inference/runtime/"],
    "tokenizers": ["scorer/inference/tokens.py", "export/"],
    "pyarrow": ["scorer/files/"],
    "msgspec": ["scorer/files/ndjson/"],
    "jsonschema": ["scorer/monitor/"],
    "obstore": ["scorer/remote/objects.py", "scorer/remote/s3.py"],
    "boto3": ["scorer/remote/s3.py"],
    "botocore": ["scorer/remote/s3.py"],
    "huggingface_hub": ["scorer/remote/hub.py", "export/"],
    "daft": ["scorer/engines/daft.py"],
    "pyspark": ["scorer/engines/spark.py"],
    "ray": ["scorer/engines/ray.py"],
    "altair": ["scorer/report/"],
    "jinja2": ["scorer/report/"],
    "vl_convert": ["scorer/report/"],
    "prometheus_client": ["scorer/monitor/metrics.py"],
    "tqdm": ["scorer/cli/", "export/"],
    "adbc_driver_manager": ["scorer/databases/"],
    "adbc_driver_postgresql": ["scorer/databases/postgresql.py"],
    "adbc_driver_sqlite": ["scorer/databases/sqlite.py"],
    "duckdb": ["scorer/databases/duckdb.py"],
    "accelerate": ["export/"],
    "datasets": ["export/"],
    "export": ["export/"],
    "matplotlib": ["export/"],
    "onnx": ["export/"],
    "optimum": ["export/"],
    "safetensors": ["export/"],
    "scipy": ["export/"],
    "sklearn": ["export/"],
    "torch": ["export/"],
    "transformers": ["export/"],
}

# A room may import from the rooms named here, and from itself.
BASE = [
    "scorer",
    "scorer.bounds",
    "scorer.counts",
    "scorer.errors",
    "scorer.extras",
    "scorer.hints",
    "scorer.memory",
    "scorer.records",
    "scorer.run_options",
    "scorer.threads",
]
ROOMS = {
    "scorer/cli/": [
        *BASE,
        "scorer.api",
        "scorer.engines.ray",
        "scorer.databases",
        "scorer.files.csv.dialect",
        "scorer.files.own",
        "scorer.inference",
        "scorer.label_names",
        "scorer.monitor",
        "scorer.piped",
        "scorer.pipeline",
        "scorer.pools",
        "scorer.preview",
        "scorer.remote",
        "scorer.report",
        "scorer.run_options",
        "scorer.verify",
    ],
    "scorer/remote/": [
        *BASE,
        "scorer.files",
        "scorer.inference.bundle",
        "scorer.inference.handle",
        "scorer.keys",
        "scorer.monitor",
        "scorer.pipeline",
        "scorer.run_options",
    ],
    "scorer/report/": [
        *BASE,
        "scorer.files",
        "scorer.inference.bundle",
        "scorer.monitor",
        "scorer.reported",
    ],
    "scorer/reported.py": [*BASE, "scorer.files", "scorer.monitor"],
    "scorer/verify/": [
        *BASE,
        "scorer.files",
        "scorer.inference",
        "scorer.keys",
        "scorer.label_names",
        "scorer.monitor",
        "scorer.pipeline",
        "scorer.reported",
        "scorer.run_options",
    ],
    "scorer/databases/": [
        *BASE,
        "scorer.files",
        "scorer.inference.handle",
        "scorer.inference.opening.foreseen",
        "scorer.keys.digest",
        "scorer.monitor.run_report.library_versions",
        "scorer.pipeline",
        "scorer.preflight.output_columns",
        "scorer.run_options",
    ],
    "scorer/preview.py": [
        *BASE,
        "scorer.files",
        "scorer.inference",
        "scorer.keys",
        "scorer.monitor",
        "scorer.preflight",
        "scorer.run_options",
    ],
    "scorer/piped.py": [*BASE, "scorer.files", "scorer.remote.urls", "scorer.run_options"],
    "scorer/pipeline.py": [
        *BASE,
        "scorer.file_run",
        "scorer.files",
        "scorer.inference.handle",
        "scorer.run_options",
    ],
    "scorer/file_run.py": [
        *BASE,
        "scorer.files",
        "scorer.first_pass",
        "scorer.inference",
        "scorer.keys",
        "scorer.monitor",
        "scorer.preflight",
        "scorer.run_options",
        "scorer.take_over",
    ],
    "scorer/preflight.py": [
        *BASE,
        "scorer.files",
        "scorer.inference",
        "scorer.keys",
        "scorer.label_names",
        "scorer.monitor",
    ],
    "scorer/label_names.py": ["scorer.counts", "scorer.errors"],
    "scorer/take_over.py": [
        *BASE,
        "scorer.files",
        "scorer.inference",
        "scorer.keys",
        "scorer.monitor",
        "scorer.run_options",
    ],
    "scorer/first_pass.py": [
        *BASE,
        "scorer.ahead",
        "scorer.files",
        "scorer.inference",
        "scorer.monitor",
        "scorer.run_options",
    ],
    "scorer/keys.py": [
        *BASE,
        "scorer.files.parts",
        "scorer.inference",
        "scorer.monitor.drift",
        "scorer.run_options",
    ],
    "scorer/ahead.py": [],
    "scorer/run_options.py": ["scorer.errors"],
    "scorer/api.py": [
        *BASE,
        "scorer.files",
        "scorer.frame_kinds",
        "scorer.frames",
        "scorer.inference",
        "scorer.label_names",
        "scorer.recipe",
        "scorer.run_options",
        "scorer.streams",
        "scorer.texts",
    ],
    "scorer/engines/": [
        *BASE,
        "scorer.api",
        "scorer.file_run",
        "scorer.files",
        "scorer.inference",
        "scorer.monitor",
        "scorer.pools",
        "scorer.recipe",
        "scorer.run_options",
    ],
    "scorer/recipe.py": [
        *BASE,
        "scorer.files",
        "scorer.inference",
        "scorer.label_names",
        "scorer.run_options",
    ],
    "scorer/frame_kinds.py": [
        *BASE,
        "scorer.files",
        "scorer.frames",
        "scorer.pandas_frames",
        "scorer.texts",
    ],
    "scorer/frames.py": [*BASE, "scorer.files", "scorer.texts"],
    "scorer/pandas_frames.py": [*BASE, "scorer.files", "scorer.texts"],
    "scorer/texts.py": [*BASE, "scorer.files"],
    "scorer/streams.py": [*BASE, "scorer.ahead", "scorer.files", "scorer.inference.classifier"],
    "scorer/inference/": BASE,
    "scorer/files/": BASE,
    "scorer/monitor/": [*BASE, "scorer.files"],
    "scorer/records.py": [],
    "scorer/errors.py": [],
    "scorer/extras.py": ["scorer.hints"],
    "scorer/hints.py": [],
    "scorer/threads.py": ["scorer.errors"],
    "scorer/counts.py": [],
    "scorer/memory.py": ["scorer.errors"],
    "scorer/bounds.py": ["scorer.threads"],
    "scorer/pools.py": ["scorer.bounds", "scorer.threads"],
    "scorer/__init__.py": ["scorer.api", "scorer.errors"],
    "export/": [
        *BASE,
        "scorer.cli.log.Command",
        "scorer.cli.options",
        "scorer.files.attributes",
        "scorer.inference",
    ],
}

SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("scorer", "export")
    for path in (ROOT / package).rglob("*.py")
)


def imports(source: str) -> Iterator[str]:
    """Yield the dotted names that a file imports, inside functions too."""
    for node in ast.walk(ast.parse((ROOT / source).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source} has a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, homes: list[str]) -> bool:
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def lies_in(source: str, places: list[str]) -> bool:
    return any(source.startswith(p) if p.endswith("/") else source == p for p in places)


def test_each_library_stays_behind_its_fence() -> None:
    """A library is imported only by the rooms that it belongs to."""
    bad = [
        f"{source} imports {library}"
        for source in SOURCES
        for library in {name.partition(".")[0] for name in imports(source)} & set(LIBRARIES)
        if not lies_in(source, LIBRARIES[library])
    ]
    assert bad == []


def test_rooms_import_downwards_only() -> None:
    """Nobody imports from above, nor from the stage next door."""
    assert [f"{source} imports {name}" for source in SOURCES for name in upwards(source)] == []


def upwards(source: str) -> list[str]:
    """Return what a file imports from rooms that are not below its own."""
    (room,) = (room for room in ROOMS if lies_in(source, [room]))
    package = room.removesuffix("/").removesuffix(".py").replace("/", ".")
    allowed = [home for home in ROOMS[room] if home != "scorer"] + [package]
    return [
        name
        for name in imports(source)
        if within(name, ["scorer", "export"])
        and not within(name, allowed)
        and not _is_public_name_of_scorer(name, ROOMS[room])
    ]


def _is_public_name_of_scorer(name: str, homes: list[str]) -> bool:
    """Allow `import scorer` and `from scorer import __version__`, but no module that way."""
    return "scorer" in homes and name in ("scorer", "scorer.__version__")
