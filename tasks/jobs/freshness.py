"""Whether what readers get is fresh and whole: the limits that the settings name, and a look at the live release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks import schema
from tasks.jobs.publication import ever_published, open_features
from tasks.jobs.workspace import parse_as_of
from tasks.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

    from tasks.columns import Table
    from tasks.releases.freshness import Freshness
    from tasks.releases.manifest import Manifest

WATCH = "watch_freshness"
SAMPLE = 200
"""Keys of each block that are looked for online: where 2 % of the rows are missing, 98 of 100 looks find it."""


def freshness_at(settings: Settings, now: datetime) -> Freshness:
    """The clock and the age limits of the settings; raises `SettingsError` where they name a block that is none."""
    from tasks.releases.freshness import Freshness, age_limits

    limits = age_limits(
        interests=settings.interest_age_hours,
        recommendations=settings.recommendation_age_hours,
        single=settings.age_limits,
    )
    return Freshness(now, limits)


def check(now: str) -> dict[str, Any]:
    """Look at the live release as a reader would at `now` (ISO 8601): is each block young enough, and is it all there?

    Gives `release`, `as_of`, by block `status`, `age_seconds`, `limit_seconds`, `sampled` and `missing` keys, and
    `findings`: one sentence for each thing that is wrong, none where all is well or nothing was ever published. No
    sentence holds a key or a value. Raises `StoreUnavailable` where a store does not answer.
    """
    settings = Settings()
    nothing: dict[str, Any] = {"release": None, "as_of": None, "blocks": {}, "findings": []}
    if not ever_published(settings):
        return nothing
    from tasks.releases import publishing

    features, fresh = open_features(settings), freshness_at(settings, parse_as_of(now))
    live = next((r.manifest for r in publishing.releases(features) if r.live), None)
    if live is None:
        return nothing
    blocks = {table.name: _look(features, live, table, fresh, settings.seed) for table in schema.SERVED}
    findings = [sentence for name, block in blocks.items() for sentence in _findings(name, block)]
    return {"release": live.name, "as_of": live.as_of.isoformat(), "blocks": blocks, "findings": findings}


def watch_freshness(now: str) -> dict[str, Any]:
    """`check`, and an alert where it found something for the first time, or nothing for the first time since.

    Gives `release`, `as_of` and `findings`.
    """
    from tasks.jobs import alerting

    found = check(now)
    if found["release"]:
        blocks = found["blocks"].values()
        alerting.report(
            WATCH,
            "stale" if found["findings"] else "ok",
            at=parse_as_of(now),
            reason="; ".join(found["findings"]),
            waited_hours=max(block["age_seconds"] for block in blocks) / 3600,
            allowed_hours=min(block["limit_seconds"] for block in blocks) / 3600,
        )
    return {name: found[name] for name in ("release", "as_of", "findings")}


def _look(store: FeatureStore, live: Manifest, table: Table, fresh: Freshness, seed: int) -> dict[str, Any]:
    """One block: its age by the release's own time, and how many of its keys are not online."""
    from tasks.releases import reading
    from tasks.releases.offline import offline_path, sample_offline
    from tasks.releases.stores import home_of

    key = table.key[0]
    keys = sample_offline(offline_path(home_of(store), live.name, table), SAMPLE, seed)[key].tolist()
    read = reading.read_user if table.entity == "user" else reading.read_item
    found = [profile.blocks[table.name] for profile in _in_parts(read, store, keys, fresh, live.name)]
    return {
        "status": fresh.status(table.name, live.as_of),
        "age_seconds": fresh.age(live.as_of),
        "limit_seconds": fresh.limits[table.name].total_seconds(),
        "sampled": len(keys),
        "missing": sum(block.status == "ABSENT" for block in found),
    }


def _in_parts(read: Any, store: FeatureStore, keys: Sequence[str], fresh: Freshness, release: str) -> list[Any]:
    """`read` for all of `keys`, a hundred at a time."""
    starts = range(0, len(keys), 100)
    return [profile for s in starts for profile in read(store, keys[s : s + 100], fresh, release=release)]


def _findings(name: str, block: dict[str, Any]) -> list[str]:
    found = []
    if block["status"] == "STALE":
        hours, limit = (block[f"{what}_seconds"] / 3600 for what in ("age", "limit"))
        found.append(f"{name} is {hours:.0f} hours old, and its limit is {limit:.0f}; refresh and publish")
    if block["missing"]:
        found.append(f"{name} lacks {block['missing']} of {block['sampled']} sampled rows online; publish it again")
    return found
