"""What is decoded is what Feast's own server answers, for every type that a column can have and for others."""

import numpy as np
import pytest
from feast.feature_server_utils import _value_to_native
from feast.protos.feast.types import Value_pb2 as protos
from feast.protos.feast.types.Value_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ReleaseError
from tasks.releases.decoding import decode

FLOATS = st.lists(st.floats(width=32), max_size=70)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    FLOATS.map(lambda v: Value(float_list_val=protos.FloatList(val=v))),
    st.lists(st.floats(), max_size=9).map(lambda v: Value(double_list_val=protos.DoubleList(val=v))),
    st.lists(TEXTS, max_size=9).map(lambda v: Value(string_list_val=protos.StringList(val=v))),
    st.lists(INTEGERS, max_size=9).map(lambda v: Value(int64_list_val=protos.Int64List(val=v))),
    st.lists(st.binary(), max_size=3).map(lambda v: Value(bytes_list_val=protos.BytesList(val=v))),
    st.lists(st.booleans(), max_size=3).map(lambda v: Value(bool_list_val=protos.BoolList(val=v))),
    TEXTS.map(lambda v: Value(string_val=v)),
    INTEGERS.map(lambda v: Value(int64_val=v)),
    INTEGERS.map(lambda v: Value(unix_timestamp_val=v)),
    st.floats(width=32).map(lambda v: Value(float_val=v)),
    st.floats().map(lambda v: Value(double_val=v)),
    st.booleans().map(lambda v: Value(bool_val=v)),
    st.binary(max_size=9).map(lambda v: Value(bytes_val=v)),
    st.just(Value(null_val=protos.NULL)),
    st.just(Value()),
)


def plain(value: object) -> object:
    return value.astype(np.float64).tolist() if isinstance(value, np.ndarray) else value


@given(VALUES)
def test_every_value_is_what_feast_answers(value: Value) -> None:
    assert plain(decode(value.SerializeToString())) == _value_to_native(value)


def test_a_list_of_floats_is_an_array_that_json_takes_as_it_is() -> None:
    import orjson

    stored = Value(float_list_val=protos.FloatList(val=np.arange(384, dtype=np.float32) / 7)).SerializeToString()
    found = decode(stored)
    assert found.dtype == np.float32
    written = orjson.loads(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY))
    np.testing.assert_array_equal(np.array(written, np.float32), np.arange(384, dtype=np.float32) / 7)


@pytest.mark.parametrize("value", [[1.0, float("nan")], [float("inf")], [3e38, 3e38], [-0.0]])
def test_what_is_not_finite_or_large_is_the_same_too(value: list[float]) -> None:
    proto = Value(float_list_val=protos.FloatList(val=value))
    assert plain(decode(proto.SerializeToString())) == _value_to_native(proto)


@given(st.binary(max_size=40))
def test_other_bytes_are_a_value_or_an_error_of_ours(stored: bytes) -> None:
    try:
        found = decode(stored)
    except ReleaseError:
        return
    assert plain(found) == _value_to_native(Value.FromString(stored))


@given(VALUES, st.integers(1, 30))
def test_a_cut_value_is_never_passed_off_as_a_whole_one(value: Value, cut: int) -> None:
    stored = value.SerializeToString()[:-cut]
    try:
        found = decode(stored)
    except ReleaseError:
        return
    assert plain(found) == _value_to_native(Value.FromString(stored))


def test_a_type_of_a_newer_feast_is_an_error() -> None:
    unknown = bytes([(90 << 3 | 2) & 0x7F | 0x80, (90 << 3) >> 7, 1, 65])
    with pytest.raises(ReleaseError, match="a type that this version does not know"):
        decode(unknown)
