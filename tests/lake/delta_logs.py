"""Delta tables: written by deltalake, or by hand where it writes none of the kind."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
DELETED = {
    "storageType": "u",
    "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
    "offset": 4,
    "sizeInBytes": 40,
    "cardinality": 1,
}


def write(table: Path, texts: Sequence[str], **how: Any) -> None:
    """Append rows to a table, or make one; each call adds a file."""
    write_deltalake(str(table), pa.table({"text": list(texts)}), mode="append", **how)


def write_days(table: Path, days: Mapping[str, Sequence[str]]) -> None:
    """Append rows to a table that is partitioned by their day."""
    rows = [(text, day) for day, texts in days.items() for text in texts]
    columns = {"text": [text for text, _ in rows], "day": [day for _, day in rows]}
    write_deltalake(str(table), pa.table(columns), mode="append", partition_by=["day"])


def by_hand(
    table: Path,
    *paths: str,
    features: Sequence[str] = (),
    configuration: Mapping[str, str] | None = None,
    partitions: Sequence[str] = (),
    **add: Any,
) -> Path:
    """Make the log of a table whose live files are at these paths, without the files."""
    protocol: dict[str, Any] = dict(_PROTOCOL)
    if features:
        names = {"readerFeatures": list(features), "writerFeatures": list(features)}
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **names}
    fields = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}}
        for name in ("text", *partitions)
    ]
    metadata = {
        "id": "0eda7b84-d869-4027-b9ac-c8d69a3f1dee",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": list(partitions),
        "configuration": dict(configuration or {}),
        "createdTime": 1,
    }
    common = {"partitionValues": dict.fromkeys(partitions, "1"), "size": 1, "modificationTime": 1}
    files = [{"add": {"path": each, "dataChange": True, **common, **add}} for each in paths]
    lines = [{"protocol": protocol}, {"metaData": metadata}, *files]
    log = table / "_delta_log/00000000000000000000.json"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(map(json.dumps, lines)))
    return table


def put_file(path: Path, text: str = "good+") -> None:
    """Write a Parquet file of one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": [text]}), path)
