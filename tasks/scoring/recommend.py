"""From a blend and its scorers to the rows of `schema.RECOMMENDATIONS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np
import pandas as pd

from tasks import schema
from tasks.columns import empty
from tasks.errors import ModelError
from tasks.scoring.blend import Blend
from tasks.scoring.ids import IdMap, Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.reasons import Facts, reasons
from tasks.scoring.scorer import Mask, Scorer, Scores
from tasks.scoring.top import Top, top

PARTS = {name: name for name in schema.SCORERS} | {"ease": "collaborative", "itemknn": "collaborative"}
PARTS |= {"markov": "sequence", "transition": "sequence"}
"""Which published part each scorer's share is counted under."""


def recommend(
    blend: Blend,
    scorers: Mapping[str, Scorer],
    history: Interactions,
    who: Indices,
    users: IdMap,
    items: IdMap,
    languages: Mapping[str, str],
    facts: Facts,
    as_of: datetime,
    k: int = 10,
    blocked: Mask | None = None,
) -> pd.DataFrame:
    """Rows of `schema.RECOMMENDATIONS` for the users `who` (b,), in their order.

    `languages` maps user ids to codes of `schema.LANGUAGES`; English where it has none. `blocked` (m,) marks items that
    may not be shown. A score is the sum of its four parts. Raises `ModelError` where the blend needs a scorer that is
    not given or that `PARTS` does not know.
    """
    frames = list(stream(blend, scorers, history, who, users, items, languages, facts, as_of, k, blocked))
    return pd.concat(frames, ignore_index=True) if frames else empty(schema.RECOMMENDATIONS)


def stream(
    blend: Blend,
    scorers: Mapping[str, Scorer],
    history: Interactions,
    who: Indices,
    users: IdMap,
    items: IdMap,
    languages: Mapping[str, str],
    facts: Facts,
    as_of: datetime,
    k: int = 10,
    blocked: Mask | None = None,
) -> Iterator[pd.DataFrame]:
    """The rows of `recommend`, one frame a block of users, for more users than memory holds."""
    lacking = [name for name in blend.names if name not in scorers or name not in PARTS]
    if lacking:
        raise ModelError(f"blend: no scorer for {', '.join(lacking)}; given are {', '.join(scorers)}")
    for best in top(blend, scorers, history, who, k, blocked):
        yield _frame(best, blend, history, users, items, languages, facts, as_of)


def _frame(
    best: Top,
    blend: Blend,
    history: Interactions,
    users: IdMap,
    items: IdMap,
    languages: Mapping[str, str],
    facts: Facts,
    as_of: datetime,
) -> pd.DataFrame:
    ids = users.ids[best.users]
    spoken = [languages.get(user) or schema.LANGUAGES[0] for user in ids]
    parts, silent = published(best, blend)
    there = best.items >= 0
    why = reasons(parts, silent, best.users, best.items, history, spoken, facts)
    titles = [facts.titles[code][row[row >= 0]].tolist() for code, row in zip(spoken, best.items, strict=True)]
    columns = {
        schema.USER_ID.name: ids,
        schema.AS_OF.name: pd.Series([as_of] * len(ids), dtype="datetime64[us, UTC]"),
        "item_ids": [items.ids[row[row >= 0]].tolist() for row in best.items],
        "titles": titles,
        "scores": _lists(best.scores, there),
        **{name: _lists(part, there) for name, part in zip(schema.SCORERS, parts, strict=True)},
        "reasons": why,
    }
    return pd.DataFrame(columns)[list(schema.RECOMMENDATIONS.names)]


def published(best: Top, blend: Blend) -> tuple[Scores, Mask]:
    """Parts (4, b, k) in the order of `schema.SCORERS`, and where all scorers behind a part were silent."""
    behind = np.array([[PARTS[name] == part for name in blend.names] for part in schema.SCORERS], np.float64)
    parts = np.einsum("ps,sbk->pbk", behind, best.parts).astype(np.float32)
    silent = np.einsum("ps,sbk->pbk", behind, ~best.silent) == 0
    return parts, silent


def _lists(values: Scores, there: Mask) -> list[Scores]:
    return [row[kept] for row, kept in zip(values, there, strict=True)]
