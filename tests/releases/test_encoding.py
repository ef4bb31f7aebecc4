"""Our bytes are Feast's bytes, for every type: these tests break the day Feast changes its encoding."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.features import _TYPES
from tasks.columns import Column

pytestmark = pytest.mark.slow  # imports Feast
F32 = st.floats(width=32)
I64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
VALUES = {
    "string": TEXT,
    "int64": I64,
    "float32": F32,
    "float64": st.floats(),
    "bool": st.booleans(),
    "timestamp": st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    "list<string>": st.lists(TEXT, max_size=20),
    "list<float32>": st.lists(F32, max_size=400),
    "list<int64>": st.lists(I64, max_size=20),
}
UGLY = {
    "string": ["", None, "喜欢", "x" * 20_000, "\0"],
    "int64": [0, None, -1, 127, 128, 2**53],  # beside a null, Feast rounds larger ones to float64; ours are whole
    "float32": [0.0, None, float("nan"), -0.0, float("inf"), 1e-45],
    "float64": [0.0, None, float("nan"), -0.0, float("-inf"), 5e-324],
    "bool": [True, None, False],
    "timestamp": [datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC)],
    "list<string>": [[], None, [""], ["", "a" * 300, "词"], ["x"] * 200],
    "list<float32>": [[], None, [float("nan"), 1.5], [0.0] * 384, [0.0] * 31, [0.0] * 32],
    "list<int64>": [[], None, [0, -1, 2**63 - 1], [1] * 200],
}


def feast_bytes(values: pa.Array, kind: str) -> list[bytes]:
    """What Feast's own conversion of an Arrow column gives."""
    from feast.utils import _columns_to_proto_values

    batch = pa.record_batch([values], names=["c"])
    made = _columns_to_proto_values(batch, [("c", _TYPES[kind].to_value_type())], allow_missing=False)["c"]
    return [message.SerializeToString() for message in made]


def ours(values: pa.Array, kind: str) -> list[bytes]:
    from tasks.releases.encoding import encode

    return encode(values, Column("c", kind, "", nullable=True)).to_pylist()


@pytest.mark.parametrize("kind", UGLY)
def test_ugly_values_are_feast_s_bytes(kind):
    values = pa.array(UGLY[kind], Column("c", kind, "").arrow.type)
    assert ours(values, kind) == feast_bytes(values, kind)
    assert ours(values[1:], kind) == feast_bytes(values, kind)[1:]  # a slice has an offset of its own
    assert ours(values[:0], kind) == []


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_values_are_feast_s_bytes(kind, data):
    drawn = data.draw(st.lists(VALUES[kind], min_size=1, max_size=8))
    if kind == "timestamp":
        drawn = [value.replace(microsecond=0) for value in drawn]
    values = pa.array(drawn, Column("c", kind, "").arrow.type)
    assert ours(values, kind) == feast_bytes(values, kind)


@pytest.mark.parametrize("kind", UGLY)
def test_values_come_back_through_feast_s_messages(kind):
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type

    values = pa.array(UGLY[kind], Column("c", kind, "").arrow.type)
    for kept, message in zip(values.to_pylist(), ours(values, kind), strict=True):
        read = feast_value_type_to_python_type(Value.FromString(message))
        if kept is None or kept != kept:
            assert read is None
        elif kind == "list<float32>":
            assert np.array_equal(np.float32(read), np.float32(kept), equal_nan=True)
        else:
            assert read == kept


@pytest.mark.parametrize("join_key", ["user_id", "item_id"])
def test_keys_are_feast_s_bytes(join_key):
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    from tasks.releases.encoding import entity_keys

    names = ["user-1", "", "用户", "x" * 10_000, "a\0b"]
    made = [serialize_entity_key(EntityKey(join_keys=[join_key], entity_values=[Value(string_val=n)])) for n in names]
    assert entity_keys(pa.array(names), join_key).to_pylist() == made


def test_rows_that_differ_have_other_digests():
    from tasks.releases.encoding import digests

    columns = [pa.array([b"a", b"ab", b"a", b""], pa.binary()), pa.array([b"bc", b"c", b"bc", b"abc"], pa.binary())]
    made = digests(columns)
    assert made[0] == made[2]
    assert len(set(made)) == 3
    assert {len(digest) for digest in made} == {16}


def test_whole_numbers_as_protobuf_writes_them():
    from tasks.releases.encoding import varint

    assert [varint(n) for n in (0, 1, 127, 128, 300)] == [b"\0", b"\1", b"\x7f", b"\x80\1", b"\xac\2"]
