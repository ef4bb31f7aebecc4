# ruff: noqa: F811, for fixtures are named where they are taken from and where they are used
"""The live release is looked at as a reader would; what is old or missing is told once, in counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks import jobs, schema
from tasks.errors import SettingsError
from tasks.jobs import freshness
from tests.alerts.servers import webhook
from tests.releases.conftest import embedded_home, folder, pg_store, put_online, rooms  # noqa: F401
from tests.releases.planted import plant

pytestmark = pytest.mark.slow  # a real store


@pytest.fixture
def home(embedded_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(embedded_home))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return embedded_home


def test_before_the_first_release_there_is_nothing_to_find(home: Path, pg_store: Any) -> None:
    assert freshness.check("2026-03-01T00:00:00Z") == {"release": None, "as_of": None, "blocks": {}, "findings": []}


def test_what_is_too_old_is_told_once_and_its_end_once(
    home: Path,
    pg_store: Any,
    put_online: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = put_online(pg_store, 401).name
    with webhook() as hooked:
        monkeypatch.setenv("PENCHANT_ALERT_TARGETS", hooked.address("T0/B0/x"))
        assert jobs.watch_freshness("2026-03-01T12:00:00Z") == {
            "release": name,
            "as_of": "2026-03-01T00:00:00+00:00",
            "findings": [],
        }
        for hour in ("01", "02"):
            found = jobs.watch_freshness(f"2026-03-04T{hour}:00:00Z")
            (finding,) = found["findings"]
            assert finding.startswith("user_recommendations is 7")
            assert finding.endswith("hours old, and its limit is 48; refresh and publish")
        monkeypatch.setenv("PENCHANT_AGE_LIMITS", '{"user_recommendations": 100}')
        assert jobs.watch_freshness("2026-03-04T03:00:00Z")["findings"] == []
        titles = [text.splitlines()[0] for text in hooked.texts]
    assert len(titles) == 2
    assert "watch_freshness" in titles[0]
    assert "stale" in titles[0]


def test_what_is_missing_is_counted_and_not_named(
    home: Path,
    rooms: Any,
    pg_store: Any,
) -> None:
    live = rooms.publishing.live(pg_store)
    manifest = plant(home, 402, users=60, parents=(live,) if live else ())
    rooms.publishing.apply_views(pg_store, manifest)
    for table in schema.SERVED:
        shards = 2 if table is schema.USER_STYLE else 1
        rooms.publishing.materialize(pg_store, manifest, table, shard=0, shards=shards)  # a half of one is left out
    with rooms.stores.engine_of(pg_store).begin() as connection:
        rooms.ledger.mark(connection, manifest.name, "verified_at")
    rooms.publishing.flip(pg_store, manifest)
    found = freshness.check("2026-03-01T12:00:00Z")
    missing = found["blocks"]["user_style"]["missing"]
    assert 10 < missing < 50
    assert found["findings"] == [f"user_style lacks {missing} of 60 sampled rows online; publish it again"]
    assert "user-" not in str(found)


def test_a_limit_of_no_block_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_AGE_LIMITS", '{"user_topic": 1}')
    with pytest.raises(SettingsError, match="no block is called"):
        freshness.check("2026-03-01T00:00:00Z")
