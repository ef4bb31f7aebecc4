"""What was taken in and what readers get: the report that ends a run, the quality ledger, the quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks import schema
from tasks.errors import ReleaseError
from tasks.jobs.intake import last_batch
from tasks.jobs.publication import open_features
from tasks.jobs.workspace import open_store, refs_of
from tasks.settings import Settings
from tasks.store import Ref, Store

_USER = schema.USER_ID.name


def report(users: Sequence[str] | None = None) -> dict[str, Any]:
    """The last batch's counts, and the live release: topics, card, and profiles read through Feast's online store.

    Without `users`, the most prolific writer of each language is shown.
    """
    from tasks.evaluation import markdown
    from tasks.releases import publishing, reading

    settings = Settings()
    store, features = open_store(settings), open_features(settings)
    live = next((r.manifest for r in publishing.releases(features) if r.live), None)
    if live is None:
        raise ReleaseError("no release is live yet; run the pipeline, or `python -m tasks publish`")
    refs = {name: Ref(name, address.split("@")[1]) for name, address in live.refs.items()}
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
        "profiles": [_profile(p) for p in reading.read_user(features, [*shown, schema.EVERYONE])],
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


def ledger() -> dict[str, Any]:
    """Every line of the quality ledger."""
    store = open_store(Settings())
    frame = store.read_frame(refs_of(last_batch(store))[schema.LEDGER.name], schema.LEDGER)
    return {"ledger": frame.to_dict("records")}


def ledger_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The ledger as text: each batch's rows, then the rules that were broken."""
    for row in result["ledger"]:
        if row["rule"] == "rows":
            yield (
                f"{row['batch_id']}  {row['table']}  as of {row['as_of']}: {row['rows_in']:,} in, "
                f"{row['rows_accepted']:,} accepted, {row['rows_quarantined']:,} quarantined, "
                f"{row['rows_repeated']:,} repeated"
            )
        elif row["rows_failed"]:
            yield f"    {row['rows_failed']:>7,}  {row['rule']} ({row['severity']})"


def quarantine(*, batch: str | None, rule: str | None, out: Path | None) -> dict[str, Any]:
    """Quarantined rows, counted by rule; their places and reasons; the rows themselves only into `out`."""
    store = open_store(Settings())
    frame = store.read_frame(refs_of(last_batch(store))[schema.QUARANTINE.name], schema.QUARANTINE)
    frame = frame[(frame["batch_id"] == batch) if batch else slice(None)]
    frame = frame[(frame["rule"] == rule) if rule else slice(None)]
    if out:
        rows = frame.drop_duplicates(["batch_id", "position"])["row"]
        out.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    shown = frame.drop(columns="row")
    return {"rows": shown.to_dict("records"), "written": str(out) if out else None}


def quarantine_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The quarantine as text, one line per row and rule."""
    for row in result["rows"]:
        yield f"{row['batch_id']}  {row['source']} row {row['position']}: {row['rule']}: {row['reason']}"
    if result["written"]:
        yield f"rows written to {result['written']}; mend them and take the file in again"


def _writers(store: Store, refs: Mapping[str, Ref]) -> list[str]:
    """The user of each language with most texts."""
    activity = store.read_frame(refs[schema.USER_ACTIVITY.name], schema.USER_ACTIVITY)
    ranked = activity.dropna(subset="language").sort_values(["texts", _USER], ascending=[False, True])
    return [str(user) for user in ranked.drop_duplicates("language")[_USER]]


def _profile(profile: Any) -> dict[str, Any]:
    blocks = {name: dict(block.values) if block.status == "PRESENT" else None for name, block in profile.blocks.items()}
    return {"user": profile.key, "release": profile.release, "blocks": blocks}


def _profile_lines(profile: Mapping[str, Any]) -> Iterator[str]:
    blocks = profile["blocks"]
    everyone = profile["user"] == schema.EVERYONE
    yield "\nAnyone unknown" if everyone else f"\nUser {profile['user']}"
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
