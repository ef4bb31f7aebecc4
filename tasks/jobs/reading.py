"""What readers get: the report that ends a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks import schema
from tasks.errors import ReleaseError
from tasks.jobs.freshness import freshness_at
from tasks.jobs.history import last_batch
from tasks.jobs.publication import open_features
from tasks.jobs.workspace import open_store, parse_as_of
from tasks.settings import Settings
from tasks.store import Ref, Store

_USER = schema.USER_ID.name


def report(*, now: str, users: Sequence[str] | None = None) -> dict[str, Any]:
    """The last batch's counts, and the live release: topics, card, and profiles read through Feast's online store.

    `now` is an ISO 8601 time, by which blocks are found stale. Without `users`, the most prolific writer of each
    language is shown.
    """
    from tasks.evaluation import markdown
    from tasks.releases import publishing, reading

    settings = Settings()
    store, features = open_store(settings), open_features(settings)
    live = next((r.manifest for r in publishing.releases(features) if r.live), None)
    if live is None:
        raise ReleaseError("no release is live yet; run the pipeline, or `python -m tasks publish`")
    refs = {name: Ref(name, address.split("@")[1]) for name, address in live.refs.items()}
    fresh = freshness_at(settings, parse_as_of(now))
    shown = list(users) if users else _writers(store, refs)
    topics = store.read_frame(refs[schema.TOPICS.name], schema.TOPICS).sort_values("share", ascending=False)
    columns = ["topic_id", "label", "label_zh", "share", "coherence"]
    batch = last_batch(store)
    return {
        "release": live.name,
        "as_of": live.as_of.isoformat(),
        "batch": {"source": batch["source"], "counts": batch["counts"]},
        "topics": topics[columns].to_dict("records"),
        "card": markdown(live.card),
        "profiles": [_profile(p) for p in reading.read_user(features, [*shown, schema.EVERYONE], fresh)],
        "repository": str(features.repo_path),
    }


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The report as text."""
    yield f"Release {result['release']}, as of {result['as_of']}"
    yield "\nRows of the last batch"
    for table, counts in result["batch"]["counts"].items():
        yield f"  {table}: " + ", ".join(f"{n:,} {what}" for what, n in counts["rows"].items())
        yield from (f"    {n:>7,}  {rule}" for rule, n in counts["rules"].items())
    yield "\nTopics"
    for topic in result["topics"]:
        label = f"{topic['label']}" + (f"  /  {topic['label_zh']}" if topic["label_zh"] else "")
        yield f"  {topic['share']:>6.1%}  {label}"
    for profile in result["profiles"]:
        yield from _profile_lines(profile)
    yield "\nEvaluation card"
    yield from (f"  {line}" for line in result["card"].splitlines())


def _writers(store: Store, refs: Mapping[str, Ref]) -> list[str]:
    """The user of each language with most texts."""
    activity = store.read_frame(refs[schema.USER_ACTIVITY.name], schema.USER_ACTIVITY)
    ranked = activity.dropna(subset="language").sort_values(["texts", _USER], ascending=[False, True])
    return [str(user) for user in ranked.drop_duplicates("language")[_USER]]


def _profile(profile: Any) -> dict[str, Any]:
    blocks = {name: dict(block.values) if block.values else None for name, block in profile.blocks.items()}
    stale = [name for name, block in profile.blocks.items() if block.status == "STALE"]
    return {"user": profile.key, "release": profile.release, "stale": stale, "blocks": blocks}


def _profile_lines(profile: Mapping[str, Any]) -> Iterator[str]:
    blocks = profile["blocks"]
    everyone = profile["user"] == schema.EVERYONE
    yield "\nAnyone unknown" if everyone else f"\nUser {profile['user']}"
    if profile["stale"]:
        yield f"  older than its limit: {', '.join(profile['stale'])}"
    if blocks["user_activity"]:
        facts = blocks["user_activity"]
        yield f"  {facts['events']} events, {facts['texts']} texts, writes {facts['language']}"
    if blocks["user_topics"]:
        yield f"  topics: {'; '.join(blocks['user_topics']['top_topics'])}"
    if blocks["user_keywords"]:
        yield f"  keywords: {', '.join(blocks['user_keywords']['keywords'])}"
    if blocks["user_sentiment"]:
        yield f"  sentiment: {blocks['user_sentiment']['sentiment']:.2f} favourable"
    if blocks["user_style"]:
        axes = zip(blocks["user_style"]["axes"], blocks["user_style"]["style"], strict=True)
        yield "  style: " + ", ".join(f"{axis} {value:.2f}" for axis, value in axes)
    if blocks["user_vectors"]:
        vectors, state = blocks["user_vectors"], blocks["user_evolution"] or {}
        yield (
            f"  vectors: long and short term of {len(vectors['long_term'])}, drift {vectors['drift']:.3f}; "
            f"evolution h* of {len(state.get('evolution', []))}"
        )
    found = blocks["user_recommendations"]
    if found:
        yield "  recommendations"
        for rank, title in enumerate(found["titles"]):
            yield f"   {rank + 1:>2}. {found['scores'][rank]:.3f}  {title}  ({found['reasons'][rank]})"
