"""One release against another: rows, recommendations, topics and the evaluation card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import schema
from tasks.errors import ArtifactError
from tasks.jobs.publication import open_features
from tasks.jobs.state import TOPIC_LEDGER, TOPIC_MODEL
from tasks.jobs.workspace import open_store
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.releases.manifest import Manifest

MOVED = 0.1
"""Jensen–Shannon distance of a topic's words above which it counts as moved; 0 is the same, 1 shares no word."""


def compare(old: str, new: str, *, users_out: Path | None = None) -> dict[str, Any]:
    """What changes for readers who go from release `old` to `new`; both must still be on disk.

    Users are counted, never named; the ids of those whose first ten changed go to the file `users_out` where given.
    """
    from tasks.releases import comparing, ledger
    from tasks.releases.stores import engine_of

    settings = Settings()
    features = open_features(settings)
    with engine_of(features).connect() as connection:
        before, after = (ledger.find(connection, name).manifest for name in (old, new))
    tops = comparing.top_changes(settings.home, old, new, changed_users=users_out)
    cards = comparing.card_changes(before.card, after.card)
    return {
        "old": old,
        "new": new,
        "as_of": [before.as_of.isoformat(), after.as_of.isoformat()],
        "encoder_changed": before.encoder != after.encoder,
        "rows": {table.name: asdict(comparing.row_changes(settings.home, old, new, table)) for table in schema.SERVED},
        "recommendations": {**asdict(tops), "share": tops.share, "top": comparing.TOP},
        "users_written": str(users_out) if users_out else None,
        "topics": _topics(open_store(settings), before, after),
        "card": {
            method: {name: {**asdict(change), "difference": change.difference} for name, change in figures.items()}
            for method, figures in cards.items()
        },
        "main": after.card.get("main"),
    }


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The comparison as text."""
    yield f"{result['old']} → {result['new']}, as of {' → '.join(result['as_of'])}"
    if result["encoder_changed"]:
        yield "the encoder changed: vectors of the two are of different spaces"
    yield "\nRows"
    for name, rows in result["rows"].items():
        yield f"  {name:<22}" + ", ".join(f"{count:,} {what}" for what, count in rows.items())
    tops = result["recommendations"]
    yield f"\nTop {tops['top']}: {tops['changed']:,} of {tops['users']:,} users see another one" + (
        f" ({tops['share']:.1%}); mean Jaccard {tops['jaccard']:.3f}, rank-biased overlap {tops['overlap']:.3f}"
        if tops["users"]
        else ""
    )
    if result["users_written"]:
        yield f"  their ids are in {result['users_written']}"
    yield "\nTopics"
    yield from _topic_lines(result["topics"])
    yield f"\nEvaluation card of {result['main']}"
    for name, change in result["card"].get(result["main"], {}).items():
        interval = change["interval"]
        within = f"  (95 %: {interval[0]:+.4f} to {interval[1]:+.4f})" if interval else ""
        yield f"  {name:<22}{change['old']:.4f} → {change['new']:.4f}  {change['difference']:+.4f}{within}"


def _topics(store: Store, before: Manifest, after: Manifest) -> dict[str, Any]:
    """How far the words of each topic moved, which came and which went, and how their shares of all text changed."""
    from tasks.topics import TopicModel
    from tasks.topics.identity import topic_distances

    old, new = (TopicModel.load(store.folder(_ref(manifest, TOPIC_MODEL))) for manifest in (before, after))
    tables = (store.read_frame(_ref(m, schema.TOPICS.name), schema.TOPICS) for m in (before, after))
    then, now = (table.set_index("topic_id") for table in tables)
    distances = topic_distances(old, new)
    there = {topic: row for row, topic in enumerate(new.topic_ids)}
    both: list[dict[str, Any]] = [
        {
            "topic_id": int(topic),
            "label": str(now.at[topic, "label"]),
            "distance": float(distances[row, there[topic]]),
            "share": [float(then.at[topic, "share"]), float(now.at[topic, "share"])],
        }
        for row, topic in enumerate(old.topic_ids)
        if topic in there
    ]
    born, died = set(new.topic_ids) - set(old.topic_ids), set(old.topic_ids) - set(new.topic_ids)
    fates = _fates(store, after)
    return {
        "kept": sorted(both, key=lambda topic: -topic["distance"]),
        "moved": sum(topic["distance"] > MOVED for topic in both),
        "born": [{"label": str(now.at[t, "label"]), **_fate(fates, t, "born")} for t in sorted(born)],
        "died": [{"label": str(then.at[t, "label"]), **_fate(fates, t, "died")} for t in sorted(died)],
    }


def _fates(store: Store, manifest: Manifest) -> dict[int, Mapping[str, Any]]:
    """What the newer refresh wrote down of each topic; empty where it was the first, or its ledger is gone."""
    if TOPIC_LEDGER not in manifest.refs:
        return {}
    try:
        kept = store.read_json(_ref(manifest, TOPIC_LEDGER))
    except ArtifactError:
        return {}
    return {int(row["topic_id"]): row for row in kept["topics"]}


def _fate(fates: Mapping[int, Mapping[str, Any]], topic: int, otherwise: str) -> dict[str, Any]:
    """Fate of a topic that is in one release only: as written down, else the plain word for it."""
    found = fates.get(int(topic))
    if found is None or found["fate"] == "kept":  # kept from a release in between
        return {"topic_id": int(topic), "fate": otherwise, "nearest": None}
    return {"topic_id": int(topic), "fate": found["fate"], "nearest": int(found["nearest"])}


def _topic_lines(topics: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {len(topics['kept'])} kept, {topics['moved']} of them moved by more than {MOVED}"
    for topic in topics["kept"]:
        if topic["distance"] > MOVED:
            then, now = topic["share"]
            yield f"  {topic['distance']:.2f}  {topic['label']}  {then:.1%} → {now:.1%} of all text"
    for topic in (*topics["born"], *topics["died"]):
        near = f", nearest is topic {topic['nearest']}" if topic["nearest"] is not None else ""
        yield f"  {topic['fate']:>6}  {topic['label']} (topic {topic['topic_id']}{near})"


def _ref(manifest: Manifest, name: str) -> Ref:
    if name not in manifest.refs:
        raise ArtifactError(f"release {manifest.name} names no {name}; it cannot be compared by topics")
    return Ref(name, manifest.refs[name].split("@")[1])
