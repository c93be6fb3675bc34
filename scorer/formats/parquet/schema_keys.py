"""Key-value metadata of a Parquet file that holds a schema of the file, and so goes stale.

Readers that find such a key believe it rather than the footer: a column that it does not name is
missing, or makes them fail. So the key is extended by the columns that scoring appends, or it is
left out, and its reader derives the schema from the footer, as it does where others have written
the file. Who writes which key, from the sources of these programs:

    ARROW:schema             Arrow (C++, pyarrow, R), arrow-rs and what uses it (DataFusion, Delta's
                             delta-rs), polars, cuDF, GDAL, nanoparquet, ClickHouse; extended, and
                             within it those keys of this list that its own metadata repeats
    org.apache.spark.sql.parquet.row.metadata
                             Spark since 1.2 (ParquetReadSupport), so Delta and Databricks too;
                             extended. Before Spark 1.3 it was no JSON: left out
    pandas                   pandas by pyarrow or fastparquet, Dask, cuDF; extended, unless its
                             columns are named by numbers, times or tuples
    huggingface              datasets (arrow_writer.py); extended
    parquet.avro.schema      parquet-avro (AvroReadSupport), so Flink, Kafka Connect, Hudi, Beam
                             where they write Avro's records; extended
    avro.schema              parquet-avro before 1.5; extended
    iceberg.schema           Iceberg (Parquet.java), PyIceberg; left out: a field needs an id that
                             its table has given out and that the column carries
    thrift.descriptor        parquet-thrift and scrooge; left out: Thrift has no 32-bit float, and
                             the class's own descriptor is taken instead
    parquet.proto.descriptor parquet-protobuf; left out: its readers go by the class
    pig.schema               parquet-pig; left out: derived from the footer
    dremio.arrow.schema, dremio.arrow.schema.2.1
                             Dremio (DremioArrowSchema); left out: derived from the footer
    questdb                  QuestDB (qdb_metadata.rs); left out, as QuestDB itself does where the
                             number of columns differs
    greptime:metadata        GreptimeDB (sst/parquet.rs): of its own storage files; left out
    table_meta_yaml          Astropy (io/misc/parquet.py), which fails for a column that it does not
                             name; left out
    IVOA.VOTable-Parquet.content
                             STILTS, TOPCAT, Astropy: a VOTable with a FIELD for each column; left
                             out
    dataset-toolkit.unischema.v1
                             Petastorm, a pickle in _common_metadata; left out
    dataframely_schema       dataframely: says that validation may be skipped; left out, so that it
                             is not
    geomesa.fs.sft.spec      GeoMesa; left out

Passed on as they are: what names its own columns only (`geo` of GeoParquet, `gdal:schema`, R's `r`,
which goes by names, Hudi's bloom filters), what names a class (`thrift.class`,
`parquet.proto.class`), and every key that is not listed. Trino, Hive, Impala, DuckDB and parquet-go
write no schema of their own. A key that occurs twice is treated twice.
"""

from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from scorer.formats.parquet import schema_arrow as arrow
from scorer.formats.parquet import schema_json as documents

_ARROW = b"ARROW:schema"
_JSON = {
    b"avro.schema": documents.AVRO,
    b"huggingface": documents.HUGGING_FACE,
    b"org.apache.spark.sql.parquet.row.metadata": documents.SPARK,
    b"pandas": documents.PANDAS,
    b"parquet.avro.schema": documents.AVRO,
}
_LEFT_OUT = {
    b"IVOA.VOTable-Parquet.content",
    b"dataframely_schema",
    b"dataset-toolkit.unischema.v1",
    b"dremio.arrow.schema",
    b"dremio.arrow.schema.2.1",
    b"geomesa.fs.sft.spec",
    b"greptime:metadata",
    b"iceberg.schema",
    b"parquet.proto.descriptor",
    b"pig.schema",
    b"questdb",
    b"table_meta_yaml",
    b"thrift.descriptor",
}


def holds_schema(key: bytes) -> bool:
    """Tell whether a key's value describes the columns of the file."""
    return key == _ARROW or key in _JSON or key in _LEFT_OUT


def extended(
    key: bytes, value: bytes | None, columns: Sequence[str], added: pa.Schema
) -> bytes | None:
    """Return the value of a key once columns have been appended to its file.

    Args:
        key: As the footer has it.
        value: Likewise; None where it is missing, which Parquet admits.
        columns: Names of the file's top-level columns.
        added: The columns that are appended. A dictionary of texts is a column of texts: how its
            values lie in memory is not what the file holds.

    Returns:
        The value itself where the key holds no schema; None where the key is to be left out.
    """
    if not holds_schema(key):
        return value
    if value is None or key in _LEFT_OUT:
        return None
    plain = pa.schema([_plain(field) for field in added])
    if key == _ARROW:
        inner = partial(_inner, columns=columns, added=plain)
        return arrow.with_fields(value, columns, plain, inner)
    return documents.with_columns(_JSON[key], value, plain)


def _plain(field: pa.Field) -> pa.Field:
    coded = pa.types.is_dictionary(field.type)
    return field.with_type(field.type.value_type) if coded else field


def _inner(key: bytes, value: bytes, columns: Sequence[str], added: pa.Schema) -> bytes | None:
    """Return the value of a key of the Arrow schema's own metadata."""
    # Arrow reads no schema in a schema, and a forged file could nest them without end.
    return None if key == _ARROW else extended(key, value, columns, added)
