"""What a table is (name, columns, key, shards), and the nested Arrow types of columns."""

from dataclasses import dataclass, field

import pyarrow as pa

_string, _bool = pa.string(), pa.bool_()
_i32, _i64, _f32 = pa.int32(), pa.int64(), pa.float32()


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


SPAN = _struct(start=_i32, end=_i32)
LINK = _struct(start=_i32, end=_i32, anchor=_string, target=_string)
MENTION = _struct(start=_i32, end=_i32, qid=_string, source=_string, confidence=_f32)
TARGET = _struct(target=_string, links=_i64)
TRIPLE = _struct(h=_string, r=_string, t=_string)
SLOT = _struct(start=_i32, end=_i32, sentence=_i32, slot=pa.int8(), qid=_string, lang=_string)
NAME = _struct(lang=_string, label=_string, aliases=pa.list_(_string))
FACT = _struct(r=_string, other=_string, direction=_string, label=_string)
PAIR = _struct(h=_string, t=_string, h_label=_string, t_label=_string)
CHOICE = _struct(pid=_string, label=_string)
ENDS = _struct(h=_string, t=_string)
STATEMENT = _struct(r=_string, t=_string)
TRELM_MENTION = _struct(
    start=_i32,
    end=_i32,
    qid=_string,
    confidence=_f32,
    cos=_f32,
    si=_f32,
    long_tail=_bool,
    frequency=_i64,
    triples=pa.list_(FACT),
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: name, columns with their meaning, sort key.

    Attributes:
        columns: column name -> (Arrow type, meaning).
        key: columns that order the rows; their values are unique a row.
        shard_by: the columns whose hash chooses a row's shard (default: the key).
        published: a shard config under `data/`, split into train, validation and test; its rows are in
            the order of a hash of the key, so that any prefix is a random sample.
        key_of_input: the key comes with the input, so that a repeated one is a fault of the input.
        rows_per_shard: the shard count is the input rows over this.
    """

    name: str
    meaning: str
    columns: dict[str, tuple[pa.DataType, str]]
    key: tuple[str, ...]
    shard_by: tuple[str, ...] = ()
    published: bool = False
    key_of_input: bool = False
    rows_per_shard: int = 500_000
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        schema = pa.schema([pa.field(name, kind) for name, (kind, _) in self.columns.items()])
        object.__setattr__(self, "schema", schema)
        if not self.shard_by:
            object.__setattr__(self, "shard_by", self.key)
