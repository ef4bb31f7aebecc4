"""What happens on the visits of a day: searches, views, purchases, texts; when; and how pleased people are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.visits import Visits, World

Array = NDArray[Any]
KINDS = ("chat", "search", "view", "click", "purchase", "rating", "review", "comment", "question")
"""Kinds in the order in which they happen on one visit; an event's kind is an index into this."""
CHAT, SEARCH, VIEW, CLICK, PURCHASE, RATING, REVIEW, COMMENT, QUESTION = range(len(KINDS))
DAY_SECONDS = 86_400
_MEAN_GAP, _MOST_GAP = 180.0, 900.0
"""Seconds between two events of a session; the cap keeps the longest session (72 events) within a day."""
_HAPPENINGS = 4


@dataclass(frozen=True)
class Happenings:
    """The events of one day in order of time, (n,) each.

    item: the item visited, which a search or chat line comes before and does not name. second: since midnight.
    sentiment: 0 to 1, how pleased the user is with the item, NaN where it is not told. stars: 1 to 5, 0 for none.
    """

    user: Array
    item: Array
    kind: Array
    second: Array
    sentiment: Array
    stars: Array

    def __len__(self) -> int:
        return len(self.user)


def happenings(world: World, visits: Visits, day: int) -> Happenings:
    """Everything that happens on `visits`, drawn from the stream of `day`."""
    rng = world.stream(_HAPPENINGS, day)
    sentiment = _sentiment(world, visits, day, rng)
    at, kind = np.nonzero(_what_happens(world, visits, rng))
    second = _seconds(visits.user[at], rng)
    stars = 1 + np.digitize(sentiment[at] + rates.STAR_NOISE * rng.standard_normal(len(at)), rates.STAR_LIMITS)
    felt = (kind == RATING) | (kind == REVIEW) | (kind == COMMENT)
    columns = (
        visits.user[at],
        visits.item[at],
        kind,
        second,
        np.where(felt, sentiment[at], np.nan),
        np.where((kind == RATING) | (kind == REVIEW), stars, 0),
    )
    order = np.argsort(second, kind="stable")  # within a user the order of a visit is the order of time
    return Happenings(*(column[order] for column in columns))


def _what_happens(world: World, visits: Visits, rng: np.random.Generator) -> Array:
    """Whether each kind happens on each visit, (visits, kinds)."""
    draw = rng.random((len(KINDS), len(visits)), dtype=np.float32)
    happens = np.zeros(draw.shape, dtype=bool)
    happens[CHAT] = draw[CHAT] < rates.CHAT
    happens[SEARCH] = draw[SEARCH] < rates.SEARCH
    happens[VIEW] = draw[VIEW] < rates.VIEW
    happens[CLICK] = (draw[CLICK] < rates.CLICK) | ~happens[VIEW]
    bought = happens[PURCHASE] = draw[PURCHASE] < rates.PURCHASE
    happens[REVIEW] = draw[REVIEW] < np.where(bought, rates.REVIEW_IF_BOUGHT, rates.REVIEW_IF_NOT)
    happens[RATING] = bought & ~happens[REVIEW] & (draw[RATING] < rates.RATING_IF_BOUGHT)
    happens[COMMENT] = draw[COMMENT] < rates.COMMENT
    happens[QUESTION] = draw[QUESTION] < 2 * rates.QUESTION * world.people.curious[visits.user]  # curious: mean ½
    by_visit: Array = happens.T
    return by_visit


def _sentiment(world: World, visits: Visits, day: int, rng: np.random.Generator) -> Array:
    """How pleased each visitor is with the item, 0 to 1: match with the interests, quality, temperament, chance."""
    interests = world.people.interests(visits.user, day)
    own = interests[np.arange(len(visits)), world.catalogue.theme[visits.item]]
    match = 2 * own / interests.max(1, initial=1e-9) - 1
    latent = (
        rates.SENTIMENT_BASE
        + rates.BY_MATCH * match
        + rates.BY_QUALITY * world.quality[visits.item]
        + rates.BY_TEMPERAMENT * world.people.pleased[visits.user]
        + rates.BY_CHANCE * rng.standard_normal(len(visits))
    )
    sentiment: Array = 1 / (1 + np.exp(-rates.SENTIMENT_SLOPE * latent))
    return sentiment


def _seconds(user: Array, rng: np.random.Generator) -> Array:
    """Seconds since midnight of events that are sorted by user, (n,): a start in waking hours, then gap after gap."""
    gaps = 1 + np.minimum(rng.exponential(_MEAN_GAP, len(user)), _MOST_GAP).astype(np.int64)
    _, first, session = np.unique(user, return_index=True, return_inverse=True)
    since: Array = np.cumsum(gaps)
    since -= since[first][session]
    last = np.append(first[1:], len(user))[: len(first)] - 1
    start = rng.beta(4, 2.5, len(first)) * (DAY_SECONDS - 1 - since[last])
    since += start.astype(np.int64)[session]
    return since
