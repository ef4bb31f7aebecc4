"""What the scoring job keeps so that a push need not fit or read anything again: fitted scorers, and every user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import schema
from tasks.jobs.live.base import LIVE_BASE, write_base
from tasks.jobs.workspace import Refs, chosen
from tasks.settings import Settings
from tasks.store import Store

if TYPE_CHECKING:
    from tasks.embeddings import State
    from tasks.interests.running import Space
    from tasks.scoring import ContentFeatures, IdMap, Scorer

SCORERS = "scorers"
SETTINGS_FILE = "settings.json"
KEPT_SETTINGS = ("long_half_life_days", "short_half_life_days", "recommendations")
_HASH, _VECTOR = schema.TEXT_HASH.name, schema.TEXT_VECTORS["vector"].name


def keep_live(
    store: Store,
    settings: Settings,
    refs: Refs,
    events: pd.DataFrame,
    users: IdMap,
    state: State,
    people: ContentFeatures,
    scorers: Mapping[str, Scorer],
) -> Refs:
    """Keep the fitted scorers and what is known of each user; `events` in order of time, `users` those of `state`."""
    known = sorted(events[schema.USER_ID.name].unique())
    if users.ids[: len(known)].tolist() != known:
        raise ValueError("the users' states are not in order of their ids")
    with store.writing(LIVE_BASE) as folder:
        write_base(
            folder, events, known, state, people.topics[: len(known)], space_of(store, refs, events),
            (settings.long_half_life_days, settings.short_half_life_days),
        )  # fmt: skip
        (folder / SETTINGS_FILE).write_text(json.dumps(chosen(settings, *KEPT_SETTINGS)))
        base = store.seal(folder, LIVE_BASE, rows=len(known), parents=refs.values())
    with store.writing(SCORERS) as folder:
        _save(scorers, folder)
        return {LIVE_BASE: base, SCORERS: store.seal(folder, SCORERS, rows=len(scorers), parents=refs.values())}


def kept_settings(settings: Settings, folder: Path) -> Settings:
    """`settings` with those that the base in `folder` was made with: a push follows the release, not its process."""
    kept: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text())
    return settings.model_copy(update=kept)


def load_scorers(folder: Path) -> dict[str, Scorer]:
    """The scorers that were kept, by name; those of content and of sequence are made from other tables."""
    from tasks.scoring import load

    return {path.name: load(path) for path in sorted(folder.iterdir()) if path.is_dir()}


def space_of(store: Store, refs: Refs, events: pd.DataFrame) -> Space:
    """Where the texts of `events` and the release's items lie."""
    from tasks.interests.evidence import stacked
    from tasks.interests.running import Space

    hashes = events[_HASH].dropna().unique()
    names, said = store.read_matrix(refs[schema.TEXT_VECTORS.name], schema.TEXT_VECTORS, _VECTOR, hashes)
    content = store.read_frame(refs[schema.ITEM_CONTENT.name], schema.ITEM_CONTENT, [schema.ITEM_ID.name, "vector"])
    items = pd.Index(content[schema.ITEM_ID.name])
    return Space(pd.Index(names), said, items, stacked(content["vector"], schema.ITEM_CONTENT.name))


def _save(scorers: Mapping[str, Scorer], folder: Path) -> None:
    from tasks.scoring import persistence, save

    for name, scorer in scorers.items():
        if persistence.is_kept(scorer):
            (folder / name).mkdir()
            save(scorer, folder / name)
