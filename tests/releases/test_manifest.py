"""A release's name and manifest: same content, same name; nothing lost on the way to JSON and back."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.manifest import Block, Manifest, release_name, schema_digest, served

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
REFS = {"user_topics": "user_topics@0a1b", "sequence_model": "sequence_model@ff00"}


def test_name_is_day_and_digest_of_content():
    assert re.fullmatch(r"r20260301_[0-9a-f]{8}", release_name(AS_OF, REFS))


def test_name_does_not_depend_on_order_or_timezone():
    shuffled = dict(reversed(REFS.items()))
    elsewhere = AS_OF.astimezone(timezone(timedelta(hours=8)))
    assert release_name(AS_OF, REFS) == release_name(elsewhere, shuffled)


@pytest.mark.parametrize(
    ("as_of", "refs"),
    [(AS_OF + timedelta(seconds=1), REFS), (AS_OF, {**REFS, "user_topics": "user_topics@0a1c"}), (AS_OF, {})],
)
def test_name_changes_with_content(as_of, refs):
    assert release_name(as_of, refs) != release_name(AS_OF, REFS)


def test_name_refuses_a_time_without_zone():
    with pytest.raises(ReleaseError, match="timezone"):
        release_name(datetime(2026, 3, 1), REFS)


@given(
    rows=st.integers(0, 10**9),
    parents=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    card=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=3),
)
def test_manifest_survives_json(rows, parents, card):
    manifest = Manifest("r1", AS_OF, REFS, {"user_topics": Block(rows, "ab")}, parents, "enc", card, "s", "c")
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


@pytest.mark.parametrize("value", [{}, {"name": "r1"}, {"as_of": "then"}])
def test_foreign_manifest_is_refused(value):
    with pytest.raises(ReleaseError, match="manifest"):
        Manifest.from_json(value)


def test_served_names_what_there_is():
    assert served("user_topics") is schema.USER_TOPICS
    with pytest.raises(ReleaseError, match="user_recommendations"):
        served("user_topic")


def test_schema_digest_is_stable():
    assert schema_digest() == schema_digest()
    assert len(schema_digest()) == 12
