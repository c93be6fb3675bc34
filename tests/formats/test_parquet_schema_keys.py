"""Keys of a Parquet footer that hold a schema: extended or left out, and nothing else of them."""

import base64
import io
import json
import random
import re
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scorer.formats.guards.arrow_messages import Table
from scorer.formats.parquet.footer import read_footer
from scorer.formats.parquet.schema_keys import extended, holds_schema
from tests.formats.files_helpers import write_scored

ADDED = pa.schema([("label", pa.string()), ("score", pa.float32())])
SPARK = b"org.apache.spark.sql.parquet.row.metadata"
AVRO = b"parquet.avro.schema"
LEFT_OUT = [
    "IVOA.VOTable-Parquet.content",
    "dataframely_schema",
    "dataset-toolkit.unischema.v1",
    "dremio.arrow.schema",
    "dremio.arrow.schema.2.1",
    "geomesa.fs.sft.spec",
    "greptime:metadata",
    "iceberg.schema",
    "parquet.proto.descriptor",
    "pig.schema",
    "questdb",
    "table_meta_yaml",
    "thrift.descriptor",
]


def stored(schema: pa.Schema) -> bytes:
    """Return a schema as Arrow's writers store it."""
    return base64.b64encode(schema.serialize())


def schema_of(value: bytes | None) -> pa.Schema:
    assert value is not None
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(value)))


def root_of(value: bytes) -> Table:
    return Table.root(base64.b64decode(value)[8:])


def arrow(schema: pa.Schema, added: pa.Schema = ADDED) -> bytes | None:
    return extended(b"ARROW:schema", stored(schema), schema.names, added)


# ---- JSON


def test_spark_reads_all_columns() -> None:
    """Spark's own columns stay as they are written; each new one may be null."""
    old = (
        b'{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}},'
        b'{"name":"text","type":"string","nullable":true,"metadata":{"max":1.50e1}}]}'
    )
    assert extended(SPARK, old, ["id", "text"], ADDED) == old[:-2] + (
        b', {"name":"label","type":"string","nullable":true,"metadata":{}}, '
        b'{"name":"score","type":"float","nullable":true,"metadata":{}}]}'
    )


@pytest.mark.parametrize("key", [AVRO, b"avro.schema"])
def test_avro_gets_optional_fields(key: bytes) -> None:
    """A reader with the old schema and one with the new can both read the records."""
    old = b'{"type":"record","name":"Tweet","fields":[{"name":"text","type":"string"}],"doc":"d"}'
    assert extended(key, old, ["text"], ADDED) == old.replace(
        b"}],",
        b'}, {"name":"label","type":["null","string"],"default":null}, '
        b'{"name":"score","type":["null","float"],"default":null}],',
    )


def test_avro_has_no_name_of_two_words() -> None:
    """Avro refuses a whole schema for a name that it does not admit."""
    old = b'{"type":"record","name":"Tweet","fields":[]}'
    for name in ("my label", "1st", "naïve", ""):
        assert extended(AVRO, old, [], pa.schema([(name, pa.string())])) is None


def test_hugging_face_gets_features() -> None:
    """Only the features of `info` are the columns."""
    old = b'{"features": {}, "info": {"x": [{"features": {}}], "features": {"a": {"_type": "V"}}}}'
    assert extended(b"huggingface", old, ["a"], ADDED) == old.replace(
        b'"V"}',
        b'"V"}, "label": {"dtype":"string","_type":"Value"}, '
        b'"score": {"dtype":"float32","_type":"Value"}',
    )


@pytest.mark.parametrize(
    ("key", "old", "entry"),
    [
        (
            SPARK,
            b'{"type":"struct","fields":[]}',
            {
                "name": "labels",
                "nullable": True,
                "metadata": {},
                "type": {"type": "array", "elementType": "string", "containsNull": True},
            },
        ),
        (
            AVRO,
            b'{"type":"record","name":"Tweet","fields":[]}',
            {
                "name": "labels",
                "default": None,
                "type": ["null", {"type": "array", "items": ["null", "string"]}],
            },
        ),
        (
            b"huggingface",
            b'{"info": {"features": {}}}',
            {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
        ),
        (
            b"pandas",
            b'{"columns": []}',
            {
                "name": "labels",
                "field_name": "labels",
                "metadata": None,
                "pandas_type": "list[unicode]",
                "numpy_type": "object",
            },
        ),
    ],
)
def test_a_list_of_labels_is_a_list_for_each(key: bytes, old: bytes, entry: dict[str, Any]) -> None:
    """Of texts that may be null, as Parquet has them."""
    lists = pa.schema([("labels", pa.list_(pa.string()))])
    found = json.loads(extended(key, old, [], lists) or b"")
    (written,) = (
        found.get("fields") or found.get("columns") or [found["info"]["features"]["labels"]]
    )
    assert written == entry
    schema = schema_of(arrow(pa.schema([("text", pa.string())]), lists))
    assert schema.field("labels").type == pa.list_(pa.string())


INDEX = '"index_columns": [{"kind": "range", "name": null, "start": 3, "stop": 99, "step": 4}]'
LEVEL = '{"name": null, "field_name": null, "pandas_type": "%s", "numpy_type": "object"}'


def test_pandas_keeps_its_index() -> None:
    old = f'{{{INDEX}, "columns": [], "column_indexes": [{LEVEL % "unicode"}], "creator": {{}}}}'
    value = extended(b"pandas", old.encode(), ["a"], ADDED)
    assert value is not None
    entry = '{{"name":"{0}","field_name":"{0}","pandas_type":"{1}","numpy_type":"{2}"'.format
    new = [entry("label", "unicode", "object"), entry("score", "float32", "float32")]
    columns = ', "columns": [' + ", ".join(f'{each},"metadata":null}}' for each in new) + "]"
    assert value.decode() == old.replace(', "columns": []', columns)


@pytest.mark.parametrize(
    "levels",
    [LEVEL % "int64", LEVEL % "datetime", LEVEL % "categorical", LEVEL % "unicode" + ", " + LEVEL],
)
def test_pandas_columns_that_are_no_texts(levels: str) -> None:
    """Where pandas turns all names into numbers or tuples, `label` would make it fail."""
    old = f'{{{INDEX}, "columns": [], "column_indexes": [{levels}]}}'
    assert extended(b"pandas", old.encode(), [], ADDED) is None


def test_the_old_pandas_has_no_index_of_columns() -> None:
    old = b'{"columns": [{"name": "a"}], "index_columns": []}'
    value = extended(b"pandas", old, ["a"], ADDED)
    assert [each["name"] for each in json.loads(value or b"")["columns"]] == ["a", *ADDED.names]


DEEP = b'{"type":"struct","x":' + b"[" * 200_000 + b"]" * 200_000 + b',"fields":[]}'
LONG = b'{"type":"struct","x":"' + b"x" * (4 << 20) + b'","fields":[]}'
HOSTILE = {
    "nothing": b"",
    "no JSON": b"StructType(List(StructField(id,LongType,true)))",
    "cut": b'{"type":"struct","fields":[',
    "more": b'{"type":"struct","fields":[]}{}',
    "of another kind": b'{"type":"array","fields":[]}',
    "no list": b'{"type":"struct","fields":{}}',
    "no list at all": b'{"type":"struct"}',
    "a list of texts": b'{"type":"struct","fields":["a"]}',
    "NaN": b'{"type":"struct","fields":[],"x":NaN}',
    "no UTF-8": b'{"type":"struct","fields":[],"x":"\xff"}',
    "half of a pair": b'{"type":"struct","fields":[{"name":"\\ud800"}]}',
    "two lists": b'{"type":"struct","fields":[],"fi\\u0065lds":[]}',
    "two lists, one empty": b'{"type":"struct","fields":[{"name":"a"}],"fields":[]}',
    "a list and a number": b'{"type":"struct","fields":1,"fields":[]}',
    "deep": DEEP,
    "deep and open": DEEP[:200_000],
    "long": LONG,
    "a column of this name": b'{"type":"struct","fields":[{"name":"score"}]}',
    "likewise, escaped": b'{"type":"struct","fields":[{"name":"sc\\u006fre"}]}',
    "an array": b"[]",
    "a text": b'"{\\"type\\":\\"struct\\"}"',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_extended_is_left_out(value: bytes) -> None:
    assert extended(SPARK, value, [], ADDED) is None


def test_features_twice() -> None:
    """Which of the two a reader believes is its own affair."""
    for value in (
        b'{"info":{"features":{}},"info":{"features":{}}}',
        b'{"info":{"features":{},"features":{}}}',
        b'{"info":1,"info":{"features":{}}}',
        b'{"info":{"features":{"a":1},"x":{"features":{}}},"info":{}}',
    ):
        assert extended(b"huggingface", value, [], ADDED) is None


def test_a_type_that_others_have_no_word_for() -> None:
    added = pa.schema([("labels", pa.list_(pa.int32()))])
    assert extended(SPARK, b'{"type":"struct","fields":[]}', [], added) is None


names = st.text(max_size=4) | st.sampled_from(["fields", "name", "type", '"', "\\", "]", "{"])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
columns = st.lists(st.fixed_dictionaries({"name": names}, optional={"x": anything}), max_size=3)


@given(before=anything, fields=columns, after=anything, indent=st.none() | st.integers(0, 2))
@example(before={"fields": [{"name": "x"}]}, fields=[], after='{"fields":[', indent=1)
def test_every_other_byte_of_a_document_stays(
    before: Any, fields: list[Any], after: Any, indent: int | None
) -> None:
    """With what was put in taken out again, the document is the old one."""
    document = {"b": before, "type": "struct", "fields": fields, "\u00e4": after}
    old = json.dumps(document, indent=indent, ensure_ascii=indent is None).encode()
    value = extended(SPARK, old, [], ADDED)
    assert value is not None
    new = json.loads(value)
    assert new["fields"][:-2] == fields
    assert [field["name"] for field in new["fields"][-2:]] == ADDED.names
    assert {**new, "fields": fields} == document
    put_in = b", ".join(json.dumps(f, separators=(",", ":")).encode() for f in new["fields"][-2:])
    assert value.replace(b", " + put_in if fields else put_in, b"", 1) == old


# ---- Arrow

KINDS = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False, metadata={"PARQUET:field_id": "7"}),
        pa.field("place", pa.dictionary(pa.int8(), pa.large_string(), ordered=True)),
        pa.field("seen", pa.timestamp("ns", "Europe/Berlin")),
        pa.field("tags", pa.list_(pa.field("item", pa.dictionary(pa.int32(), pa.string())))),
        pa.field("user", pa.struct([pa.field("a", pa.uuid()), pa.field("b", pa.string_view())])),
        pa.field("map", pa.map_(pa.string(), pa.decimal256(60, 3))),
        pa.field("runs", pa.run_end_encoded(pa.int16(), pa.float16())),
        pa.field("point", pa.fixed_shape_tensor(pa.int64(), [2], dim_names=["x"])),
        pa.field("own", pa.binary(), metadata={"ARROW:extension:name": "me.own"}),
        pa.field("long", pa.duration("s")),
    ],
    metadata={"owner": "me", "empty": "", "b": b"\xff\0"},
)


def test_arrow_types_and_metadata_stay() -> None:
    """Of its own metadata too."""
    assert schema_of(arrow(KINDS)).equals(
        pa.schema([*KINDS, *ADDED], KINDS.metadata), check_metadata=True
    )
    bare = KINDS.remove_metadata()
    assert schema_of(arrow(bare)).equals(pa.schema([*bare, *ADDED]), check_metadata=True)
    assert schema_of(arrow(pa.schema([]))).equals(ADDED, check_metadata=True)


def test_arrow_fields_are_the_old_bytes() -> None:
    """What pyarrow has no place for is still there: the old message is inside of the new one."""
    old = stored(KINDS)
    new = extended(b"ARROW:schema", old, KINDS.names, ADDED)
    assert base64.b64decode(old)[8:] in base64.b64decode(new or b"")


def foreign(schema: pa.Schema, **patches: int) -> bytes:
    """Return a schema that pyarrow does not write: of big-endian memory, with features."""
    framed = bytearray(base64.b64decode(arrow(schema.remove_metadata(), pa.schema([])) or b""))
    struct.pack_into("<h", framed, 8 + 76, patches.get("byte_order", 0))
    if "feature" in patches:
        vector = struct.pack("<Iq", 1, patches["feature"])
        at = len(framed) - 8  # aligned, so that the number in the list is, too
        framed += b"\0" * 4 + vector
        struct.pack_into("<H", framed, 8 + 48 + 10, 12)  # the field's place in its table
        struct.pack_into("<I", framed, 8 + 72, at + 4 - 72)
    struct.pack_into("<i", framed, 4, len(framed) - 8)
    return base64.b64encode(framed)


def test_arrow_byte_order_and_features_stay() -> None:
    """Both are lost where pyarrow appends a field."""
    value = foreign(KINDS, byte_order=1, feature=2)
    for _ in range(2):
        schema = root_of(value).table(2)
        assert schema is not None
        assert schema.number(0, "<h") == 1
        assert list(schema.structs(3, "<q")) == [(2,)]
        value = extended(b"ARROW:schema", value, KINDS.names, pa.schema([])) or b""
        read = pa.schema(list(schema_of(value)))  # of the byte order of this machine
        assert read.equals(KINDS.remove_metadata(), check_metadata=True)


class Pairs(dict[str, str]):
    """Metadata with a key that occurs twice, as pyarrow takes it from a mapping."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        """Return them all."""
        return self._pairs


def metadata_of(value: bytes) -> list[tuple[bytes, bytes]]:
    schema = root_of(value).table(2)
    assert schema is not None
    return [(entry.text(0), entry.text(1)) for entry in schema.tables(2)]


def test_a_type_that_pyarrow_lacks_stays(tmp_path: Path) -> None:
    """By this key alone does polars know its whole numbers of 128 bits."""
    frame = pl.DataFrame({"text": ["a"], "huge": pl.Series([1], dtype=pl.Int128)})
    frame.write_parquet(path := tmp_path / "in.parquet")
    pairs = {key: value for key, value, _ in read_footer(path).key_values()}
    value = pairs[b"ARROW:schema"]
    with pytest.raises(pa.ArrowNotImplementedError):
        schema_of(value)
    written = extended(b"ARROW:schema", value, ["text", "huge"], ADDED)
    assert written is not None
    schema = root_of(written).table(2)
    assert schema is not None
    assert [field.text(0).decode() for field in schema.tables(1)] == ["text", "huge", *ADDED.names]
    assert extended(b"ARROW:schema", value, ["text"], ADDED) is None
    out = write_scored(path, tmp_path / "out.parquet")
    assert pl.read_parquet(out).drop("label", "score").equals(frame)
    assert pl.read_parquet_schema(out)["huge"] == pl.Int128


def test_arrow_keys_that_occur_twice() -> None:
    """They stay in their places; one that holds a schema has one value afterwards."""
    features = ('{"info":{"features":{"a":1}}}', '{"info":{"features":{"a":2}}}')
    pairs = Pairs(
        ("a", "1"), ("huggingface", features[0]), ("a", "2"), ("huggingface", features[1])
    )
    old = pa.schema([("x", pa.int8())], metadata=pa.KeyValueMetadata(pairs))
    assert metadata_of(stored(old)) == [(k.encode(), v.encode()) for k, v in pairs.items()]
    new = metadata_of(arrow(old) or b"")
    assert [key for key, _ in new] == [b"a", b"huggingface", b"a"]
    assert new[0][1] + new[2][1] == b"12"
    assert new[1][1].startswith(b'{"info":{"features":{"a":1, "label"')


def test_schemas_within_the_arrow_schema() -> None:
    """Arrow writes pandas' and Hugging Face's keys twice, and reads them from here."""
    own = {
        "huggingface": '{"info": {"features": {}}}',
        "iceberg.schema": "{}",
        "pandas": "no JSON",
        "ARROW:schema": stored(KINDS).decode(),
        "owner": "me",
    }
    metadata = schema_of(arrow(KINDS.with_metadata(own))).metadata
    value = extended(b"huggingface", own["huggingface"].encode(), [], ADDED)
    assert metadata == {b"huggingface": value, b"owner": b"me"}


def test_arrow_schema_of_other_columns() -> None:
    """It is matched by position: a new field would be taken for a column that it does not know."""
    value = stored(pa.schema([("a", pa.int8()), ("b", pa.int8())]))
    for columns in (["a"], ["a", "b", "c"], []):
        assert extended(b"ARROW:schema", value, columns, ADDED) is None


def test_arrow_types_of_renamed_columns_stay(tmp_path: Path) -> None:
    """Readers go by the position: a tool may have renamed columns in the footer alone."""
    table = pa.table({"text": ["a"], "before": pa.array(["x"]).dictionary_encode()})
    pq.write_table(table, path := tmp_path / "in.parquet")
    content = path.read_bytes()
    start = read_footer(path).start
    renamed = content[start:].replace(b"\x06before", b"\x06behind")
    path.write_bytes(content[:start] + renamed)
    out = write_scored(path, tmp_path / "out.parquet")
    assert pq.read_table(out).select([0, 1]).equals(pq.read_table(path))
    assert pl.read_parquet(out).drop("label", "score").equals(pl.read_parquet(path))
    assert pq.read_schema(out).field("behind").type == table.schema.field("before").type


FRAMED = bytes(KINDS.serialize())
FRAMINGS = {
    "as today": FRAMED,
    "before Arrow 0.15": FRAMED[4:],
    "with a stream's end": FRAMED + b"\xff\xff\xff\xff\0\0\0\0",
    "with bytes behind it": FRAMED + b"\0" * 5,
    "not aligned": FRAMED[:4] + struct.pack("<i", len(FRAMED) - 4) + FRAMED[8:] + b"\0" * 4,
}


@pytest.mark.parametrize("framed", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_arrow_framings(framed: bytes) -> None:
    value = extended(b"ARROW:schema", base64.b64encode(framed), KINDS.names, ADDED)
    new = base64.b64decode(value or b"")
    assert schema_of(value).names == [*KINDS.names, *ADDED.names]
    assert new[:4] == framed[:4] or framed[:4] != b"\xff" * 4
    assert (len(new) - len(framed)) % 4 == 0


NO_SCHEMA = {
    "nothing": b"",
    "no base64": b"no base64!",
    "nothing but a length": b"AAAA",
    "nothing but a mark": base64.b64encode(b"\xff\xff\xff\xff"),
    "cut": base64.b64encode(FRAMED[:40]),
    "without its length": base64.b64encode(FRAMED[8:]),
    "with a line's end": stored(KINDS) + b"\n",
    "rows": base64.b64encode(pa.record_batch({"a": [1]}).serialize()),
}


@pytest.mark.parametrize("value", NO_SCHEMA.values(), ids=NO_SCHEMA.keys())
def test_what_is_no_arrow_schema_is_left_out(value: bytes) -> None:
    assert extended(b"ARROW:schema", value, KINDS.names, ADDED) is None


def test_damaged_arrow_schemas_never_raise() -> None:
    """What comes out is nothing, or what pyarrow reads as the damaged schema and the new fields."""
    rng = random.Random(19)  # noqa: S311
    framed = bytes(KINDS.serialize())
    for at in range(len(framed)):
        for byte in {0, 255, framed[at] ^ 1 << rng.randrange(8), rng.randrange(256)}:
            mutant = framed[:at] + bytes([byte]) + framed[at + 1 :]
            value = extended(b"ARROW:schema", base64.b64encode(mutant), KINDS.names, ADDED)
            if value is None:
                continue
            try:
                old = pa.ipc.read_schema(pa.BufferReader(mutant))
            except pa.ArrowNotImplementedError as error:  # of a type: it lacks the same afterwards
                with pytest.raises(type(error), match=re.escape(str(error))):
                    schema_of(value)
            else:
                assert schema_of(value).names == [*old.names, *ADDED.names]


# ---- the rest


def test_coded_labels_are_texts() -> None:
    """That few of them differ is a matter of this program's memory."""
    coded = ADDED.set(0, pa.field("label", pa.dictionary(pa.int16(), pa.string())))
    assert arrow(KINDS, coded) == arrow(KINDS)
    old = b'{"type":"struct","fields":[]}'
    assert extended(SPARK, old, [], coded) == extended(SPARK, old, [], ADDED)


@pytest.mark.parametrize("key", LEFT_OUT)
def test_schemas_that_are_left_out(key: str) -> None:
    assert holds_schema(key.encode())
    assert extended(key.encode(), b"{}", [], ADDED) is None


@pytest.mark.parametrize("key", [b"geo", b"r", b"owner", b"", b"PANDAS", b"thrift.class", b"\xff"])
@pytest.mark.parametrize("value", [b"", b'{"columns":[]}', b"\xff\0", None])
def test_other_keys_are_passed_on(key: bytes, value: bytes | None) -> None:
    assert not holds_schema(key)
    assert extended(key, value, [], ADDED) == value


@pytest.mark.parametrize("key", [b"ARROW:schema", b"pandas", b"pig.schema"])
def test_a_key_without_a_value_is_left_out(key: bytes) -> None:
    assert extended(key, None, [], ADDED) is None


def test_keys_that_pyarrow_and_pandas_write() -> None:
    """The keys of a real file are those of the same file with the columns."""
    import pandas as pd

    frame = pd.DataFrame({"text": ["a", "b"], "n": [1, 2]}, index=pd.Index([5, 7], name="id"))
    whole = frame.assign(label=["x", None], score=pd.array([0.5, None], "float32"))

    def written(frame: Any) -> dict[bytes, bytes]:
        file = io.BytesIO()
        frame.to_parquet(file)
        return dict(pq.ParquetFile(file).metadata.metadata)

    keys = written(frame)
    table = pa.Table.from_pandas(frame)
    new = {k: extended(k, v, table.schema.names, ADDED) for k, v in keys.items()}
    assert new.keys() == written(whole).keys() == {b"ARROW:schema", b"pandas"}
    assert schema_of(new[b"ARROW:schema"]).metadata == {b"pandas": new[b"pandas"]}
    document = json.loads(new[b"pandas"] or b"")
    assert document["index_columns"] == ["id"]
    assert [c["name"] for c in document["columns"]] == [*table.schema.names, "label", "score"]
