"""From recommendations to readers: prepare, judge, write, verify, switch; go back; tidy up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import schema
from tasks.errors import ReleaseError, StoreUnavailable
from tasks.jobs.workspace import CODE, Bag, bag_of, open_store, parse_as_of, refs_of
from tasks.settings import Settings
from tasks.store import Ref

if TYPE_CHECKING:
    from feast import FeatureStore

    from tasks.releases.ledger import Release
    from tasks.releases.manifest import Manifest
    from tasks.releases.vectors import Space

MANIFEST = "manifest"
SAMPLE = 200
"""Keys of each view that are read back and compared before a release goes live."""
SPACES: tuple[Space, ...] = ("items", "users")
"""What can be searched by similarity."""


def ever_published(settings: Settings) -> bool:
    """Whether a feature store was ever opened below this home: cheap, where Feast need not be asked."""
    return (settings.home / "feature_repo").is_dir()


def open_features(settings: Settings) -> FeatureStore:
    """The feature store that the settings name; raises `StoreUnavailable` where a store does not answer or is full."""
    import psycopg2

    from tasks.releases.stores import open_store as open_feature_store

    try:
        return open_feature_store(
            settings.home,
            kind=settings.online_store,
            postgres_dsn=settings.postgres_dsn,
            redis_url=settings.redis_url,
        )
    except psycopg2.OperationalError as error:  # such as no disk for a new database
        reason = " ".join(str(error).splitlines()[:1])
        raise StoreUnavailable(f"PostgreSQL cannot be made ready: {reason}; free disk space and run again") from error


def prepare_release(received: Mapping[str, Any]) -> Bag:
    """Gather exact tables and models into a release, write its offline files and register its views.

    Gives `release`, `shards` and a reference to the manifest. Nobody reads the release yet.
    """
    from tasks.releases import manifest, offline, publishing, vectors

    settings = Settings()
    store, refs, as_of = open_store(settings), refs_of(received), parse_as_of(received["as_of"])
    features = open_features(settings)
    addresses = {name: str(ref) for name, ref in sorted(refs.items())}
    name = manifest.release_name(as_of, addresses)
    with publishing.publishing(features, f"prepare {name}"):
        blocks = {
            table.name: offline.write_offline(
                settings.home, name, table, store.stream(refs[table.name], table), as_of=as_of
            )
            for table in schema.SERVED
        }
        indexes: dict[str, dict[str, Any]] = {
            space: asdict(vectors.build(settings.home, name, space, seed=settings.seed)) for space in SPACES
        }
        built = manifest.Manifest(
            name=name,
            as_of=as_of,
            refs=addresses,
            blocks=blocks,
            parents=_parents(features, name),
            encoder=str(store.meta(refs[schema.TEXT_VECTORS.name]).facts.get("encoder", "")),
            card=store.read_json(refs["evaluation_card"]),
            schema=manifest.schema_digest(),
            code=f"{version('penchant')}+{CODE}",
            indexes=indexes,
        )
        publishing.apply_views(features, built)
    kept = store.put_json(MANIFEST, built.to_json(), parents=refs.values())
    return bag_of({**refs, MANIFEST: kept}, as_of=received["as_of"], release=name, shards=list(range(settings.shards)))


def check_gate(prepared: Mapping[str, Any], force: bool = False) -> Bag:
    """Compare the candidate's evaluation card with the live release's; raises `ReleaseError` where it is worse.

    With `force` a worse candidate passes, and the verdict says so.
    """
    from tasks.evaluation.gate import verdict
    from tasks.releases import publishing

    settings = Settings()
    candidate = _manifest(settings, prepared)
    known = publishing.releases(open_features(settings))
    live = next((r.manifest.card for r in known if r.live and r.name != candidate.name), None)
    judged = verdict(candidate.card, live)
    if not judged.passed and not force:
        raise ReleaseError(
            f"release {candidate.name} does not pass the gate: {'; '.join(judged.reasons)}. The live release is "
            "untouched; publish with force where you know better"
        )
    return {**prepared, "verdict": {"passed": judged.passed, "reasons": judged.reasons, "forced": force}}


def materialize_shard(prepared: Mapping[str, Any], shard: int) -> Bag:
    """Write one shard of every served table online; safe to repeat. Gives rows per table."""
    from tasks.releases import publishing

    settings = Settings()
    features, manifest = open_features(settings), _manifest(settings, prepared)
    shards = len(prepared["shards"])
    rows = {
        table.name: publishing.materialize(features, manifest, table, shard=shard, shards=shards)
        for table in schema.SERVED
    }
    return {"release": manifest.name, "shard": shard, "rows": rows}


def verify_release(prepared: Mapping[str, Any]) -> Bag:
    """Read the release back through Feast and compare; raises `ReleaseError` with what differs."""
    from tasks.releases.verifying import verify

    settings = Settings()
    manifest = _manifest(settings, prepared)
    counts = verify(open_features(settings), manifest, sample=SAMPLE, seed=settings.seed)
    return {"release": manifest.name, "rows": counts}


def flip_release(prepared: Mapping[str, Any]) -> Bag:
    """Switch every reader to the release, in one registry write.

    What was pushed since the release was computed is written onto it before the switch, and what is pushed during it
    once more after.
    """
    from tasks.jobs import push
    from tasks.releases import publishing

    settings = Settings()
    manifest = _manifest(settings, prepared)
    replayed = push.replay(manifest.name)
    publishing.flip(open_features(settings), manifest)
    push.replay(manifest.name, replayed["through"])
    return {**prepared, "live": manifest.name}


def retire_releases(prepared: Mapping[str, Any]) -> Bag:
    """Keep the history of what went live, then remove releases beyond `PENCHANT_KEEP_RELEASES`.

    Neither the live release nor a pinned one is ever removed. Gives the names of those removed, and of those whose
    features training can use from now on. Pushed events that every remaining release knows leave the log.
    """
    from tasks.jobs import push
    from tasks.releases import history, pins, publishing

    settings = Settings()
    features = open_features(settings)
    with publishing.publishing(features, "retire"):
        kept = history.catch_up(features, keep_days=settings.keep_history_days)
        pinned = [pin.release for pin in pins.pins(features)]
        removed = publishing.retire(features, settings.keep_releases, pinned=pinned)
    return {"removed": removed, "kept": kept, "pushes": push.prune()["removed"]}


def roll_back(name: str) -> Bag:
    """Switch every reader back to an earlier release, and bring what was pushed since onto it."""
    from tasks.jobs import push
    from tasks.releases import publishing

    publishing.roll_back(open_features(Settings()), name)
    push.replay(name)
    return {"live": name}


def pin(name: str) -> Bag:
    """Keep a release from being retired, whatever its age."""
    from tasks.releases import pins

    pins.pin(open_features(Settings()), name)
    return {"pinned": name}


def unpin(name: str) -> Bag:
    """Let a pinned release be retired in its turn."""
    from tasks.releases import pins

    pins.unpin(open_features(Settings()), name)
    return {"unpinned": name}


def list_releases() -> Bag:
    """Every release that can be switched to, newest first."""
    from tasks.releases import pins, publishing

    features = open_features(Settings())
    pinned = {pin.release for pin in pins.pins(features)}
    rows = [
        {
            "name": r.name,
            "as_of": pd.Timestamp(r.manifest.as_of).isoformat(),
            "live": r.live,
            "pinned": r.name in pinned,
        }
        for r in publishing.releases(features)
        if r.retired_at is None
    ]
    return {"releases": rows}


def describe(name: str) -> Bag:
    """All that is recorded of a release, retired or not: its manifest, its times, its switches and its pin."""
    from tasks.releases import pins, publishing

    features = open_features(Settings())
    release = _known(publishing.releases(features), name)
    times = {"staged": release.staged_at, "verified": release.verified_at, "retired": release.retired_at}
    return {
        "manifest": release.manifest.to_json(),
        "times": {what: at.isoformat() if at else None for what, at in times.items()},
        "live": release.live,
        "pinned": any(pin.release == name for pin in pins.pins(features)),
        "switches": [s for s in switches()["switches"] if name in (s["release"], s["previous"])],
    }


def switches() -> Bag:
    """Every change of the live release, newest first: to what, from what, how, by whom, when."""
    from tasks.releases import publishing

    found = publishing.history(open_features(Settings()))
    return {"switches": [{**asdict(switch), "at": switch.at.isoformat()} for switch in found]}


def switch_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The switches as text."""
    for row in result["switches"]:
        yield f"{row['at'][:19]}  {row['action']:>9}  {row['previous'] or '–'} → {row['release']}  by {row['by']}"


def _known(releases: list[Release], name: str) -> Release:
    found = next((release for release in releases if release.name == name), None)
    if found is None:
        raise ReleaseError(f"there is no release {name!r}; there are {', '.join(r.name for r in releases) or 'none'}")
    return found


def _parents(features: FeatureStore, name: str) -> tuple[str, ...]:
    """The release that `name` follows: the live one; where that is `name` itself, the one it followed."""
    from tasks.releases import publishing

    live = next((r for r in publishing.releases(features) if r.live), None)
    if live is None:
        return ()
    return live.manifest.parents if live.name == name else (live.name,)


def _manifest(settings: Settings, prepared: Mapping[str, Any]) -> Manifest:
    from tasks.releases.manifest import Manifest

    return Manifest.from_json(open_store(settings).read_json(Ref.from_json(prepared["refs"][MANIFEST])))
