"""A column is written once, and a frame that breaks its table is refused with the difference."""

import pandas as pd
import pytest

from tasks import schema
from tasks.columns import data_dictionary, empty, to_arrow
from tasks.errors import SchemaError


@pytest.mark.parametrize("table", schema.TABLES.values(), ids=lambda t: t.name)
def test_an_empty_frame_of_every_table_fits_it(table: schema.Table) -> None:
    assert to_arrow(empty(table), table).num_rows == 0
    assert set(table.key) <= set(table.names)


@pytest.mark.parametrize("table", schema.SERVED, ids=lambda t: t.name)
def test_a_served_table_has_one_entity_key_and_a_time(table: schema.Table) -> None:
    assert table.entity in ("user", "item")
    assert table.key == (f"{table.entity}_id",)
    assert schema.AS_OF.name in table.names
    assert not {*table.key, schema.AS_OF.name} & {c.name for c in table.features}


def test_a_type_that_does_not_fit_is_named_without_its_value() -> None:
    frame = pd.DataFrame({"text_hash": ["secret"], "topic_mix": ["secret"]})
    with pytest.raises(SchemaError, match="topic_mix is not list<float32>") as caught:
        to_arrow(frame, schema.TEXT_TOPICS)
    assert "secret" not in str(caught.value)


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(SchemaError, match="nope"):
        schema.EVENTS["nope"]


def test_the_data_dictionary_names_every_column() -> None:
    text = data_dictionary(schema.TABLES.values())
    assert all(f"| `{c.name}` |" in text for t in schema.TABLES.values() for c in t.columns)
