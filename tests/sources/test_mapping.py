"""What a mapping file may say, and what it is told when it says something else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import MappingError
from tasks.schema import EVENTS, ITEMS, QUARANTINE
from tasks.sources import Mapping, load_mapping
from tasks.sources.mapping import Field

Load = Callable[[str], Mapping]
BASE = """
events:
  columns:
    user_id: u
    kind: {constant: view}
    event_time: t
"""


def test_a_whole_mapping(mapping: Load) -> None:
    read = mapping("""
events:
  file: {format: csv, encoding: GBK, delimiter: ";", quote: "'", header: [u, t, a, b, s], nulls: ["NULL", -]}
  columns:
    user_id: u
    kind: {constant: review}
    rating: {column: s, scale: [0, 100], unparsable: null, optional: true}
    text: {columns: [a, b], join: " / "}
    event_time: {column: t, format: [unix_ms, "%Y"], timezone: Asia/Shanghai}
""")
    section = read.section(EVENTS)
    assert section.needed == ("u", "a", "b", "t")
    assert section.used == ("u", "s", "a", "b", "t")
    assert (section.file.encoding, section.file.nulls) == ("gbk", ("NULL", "-"))
    assert section.fields["rating"] == Field(("s",), scale=(0, 100), unparsable="null", optional=True)
    assert section.fields["event_time"].formats == ("unix_ms", "%Y")
    assert read.fills(EVENTS)
    assert not read.fills(ITEMS)
    assert pickle.loads(pickle.dumps(read)) == read


def test_our_own_names_need_no_file() -> None:
    own = load_mapping(None)
    assert own.section(EVENTS).needed == ("user_id", "kind", "event_time")
    assert own.section(ITEMS).needed == ("item_id", "title")
    assert own.section(ITEMS).fields["categories"].separator == "|"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("evnts: {}", r"mapping.yaml: unknown key 'evnts'; did you mean 'events'\?"),
        ("", "it is empty"),
        ("- a", "must be a mapping"),
        ("a: b: c", "line 1: it is not YAML"),
        ("events: 5", "mapping.yaml: events: this must be a mapping"),
        (BASE + "    txt: t", r"events.columns: unknown key 'txt'; did you mean 'text'\?"),
        (BASE.replace("view", "veiw"), r"events.columns.kind: unknown constant 'veiw'; did you mean 'view'\?"),
        (BASE.replace("{constant: view}", "{column: k, map: {b: buy}}"), "unknown kind for 'b': 'buy'"),
        (BASE.replace("    user_id: u\n", ""), "events.columns: nothing fills user_id"),
        (BASE + "    user_id: v", "line 7: .*stands twice|stands twice"),
        (BASE + "    rating: {column: r, scal: [1, 5]}", r"events.columns.rating: unknown key 'scal'; .*'scale'"),
        (BASE + "    rating: {column: r, scale: [5, 1]}", "lowest rating first"),
        (BASE + "    rating: {column: r, scale: 5}", r"such as \[1, 10\]"),
        (BASE + "    rating: {columns: [a, b]}", "only columns of text can be joined"),
        (BASE + "    text: {column: a, constant: b}", "exactly one of"),
        (BASE + "    text: {join: x}", "exactly one of"),
        (BASE + "    text: [a]", "events.columns.text: this must be a mapping"),
        (BASE + "    text: true", "events.columns.text: this must be a mapping"),
        (BASE + "    text: {column: a, optional: maybe}", "true or false"),
        (BASE.replace("time: t", "time: {column: t, format: isoo}"), r"unknown time format .*did you mean 'iso'\?"),
        (BASE.replace("time: t", "time: {column: t, format: '%Q'}"), "not one that strptime can read"),
        (BASE.replace("time: t", "time: {column: t, timezone: Mars/Base}"), "unknown time zone 'Mars/Base'"),
        (BASE.replace("time: t", "time: {column: t, scale: [1, 5]}"), "unknown key 'scale'"),
        (BASE + "  file: {format: xls}", "unknown format 'xls'; known: csv"),
        (BASE + "  file: {encoding: utf-9}", "unknown encoding 'utf-9'"),
        (BASE + "  file: {encoding: base64}", "unknown encoding 'base64'"),
        (BASE + "  file: {delimiter: ''}", "`delimiter` must be"),
        (BASE + "  file: {quote: ab}", "`quote` must be one character"),
        (BASE + "  file: {header: [a, a]}", "names a column twice"),
        (BASE + "  file: {header: []}", "must not be empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(mapping: Load, text: str, told: str) -> None:
    with pytest.raises(MappingError, match=told):
        mapping(text)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"events: \xff\xfe")
    with pytest.raises(MappingError, match="not UTF-8"):
        load_mapping(tmp_path / "bad.yaml")


def test_a_table_that_the_mapping_does_not_fill(mapping: Load) -> None:
    with pytest.raises(MappingError, match="no section 'items', only events"):
        mapping(BASE).section(ITEMS)
    with pytest.raises(MappingError, match="filled by no source"):
        mapping(BASE).section(QUARANTINE)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_file_is_a_mapping_or_a_clear_error(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    with pytest.raises(MappingError):
        load_mapping(path)
