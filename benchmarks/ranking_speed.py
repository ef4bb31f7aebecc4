"""How fast the best 100 of four blended scorers are found, beside `implicit`'s own `recommend`, in one run."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from tasks.scoring import (
    Blend,
    CollaborativeScorer,
    Interactions,
    ItemKNNScorer,
    PopularityScorer,
    Scorer,
    SequenceScorer,
    top,
)

EVENTS, WIDTH, K = 10, 64, 100
"""Events a user, factors and state width, length of the lists."""


def speed(users: int, items: int, seed: int, threads: int = 1) -> dict[str, Any]:
    """Users a second of both, and the ratio of their times; popularity of the items falls as 1 / rank (Zipf)."""
    rng = np.random.default_rng(seed)
    history = _drawn(users, items, rng)
    scorers = _scorers(history, rng, threads)
    who = np.arange(users)
    with threadpool_limits(threads):
        began, cpu = time.perf_counter(), time.process_time()
        found = sum(len(block.users) for block in top(Blend.of(list(scorers), np.ones(4)), scorers, history, who, K))
        ours, ours_cpu = time.perf_counter() - began, time.process_time() - cpu
        assert found == users
        theirs, theirs_cpu = _implicit(history, rng, threads)
    return {
        "users": users,
        "items": items,
        "scorers": list(scorers),
        "users_per_second": {"hybrid": users / ours, "implicit": users / theirs},
        "cpu_seconds": {"hybrid": ours_cpu, "implicit": theirs_cpu},
        "times_implicit": ours_cpu / theirs_cpu,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _drawn(users: int, items: int, rng: np.random.Generator) -> Interactions:
    share = 1 / np.arange(1, items + 1)
    drawn = rng.choice(items, (users, EVENTS), p=share / share.sum())
    return Interactions.from_sequences(list(drawn), items)


def _scorers(history: Interactions, rng: np.random.Generator, threads: int) -> Mapping[str, Scorer]:
    """Four scorers; what would be trained is random, for that takes as long to score with."""
    collaborative = CollaborativeScorer(factors=WIDTH, threads=threads)
    collaborative.item_factors = rng.normal(size=(history.n_items, WIDTH)).astype(np.float32) / 8
    collaborative.known = np.ones(history.n_items, bool)
    states = rng.normal(size=(history.n_users, WIDTH)).astype(np.float32)
    vectors = rng.normal(size=(history.n_items, WIDTH)).astype(np.float32)
    made: tuple[Scorer, ...] = (
        collaborative,
        SequenceScorer.from_states(states, vectors),
        ItemKNNScorer().fit(history),
        PopularityScorer().fit(history),
    )
    return {scorer.name: scorer for scorer in made}


def _implicit(history: Interactions, rng: np.random.Generator, threads: int) -> tuple[float, float]:
    """Wall and CPU seconds of `recommend` from factors of the same size, in blocks as its own users would ask."""
    model = AlternatingLeastSquares(factors=WIDTH, num_threads=threads)
    model.item_factors = rng.normal(size=(history.n_items, WIDTH)).astype(np.float32)
    model.user_factors = rng.normal(size=(history.n_users, WIDTH)).astype(np.float32)
    liked = history.liked()
    began, cpu = time.perf_counter(), time.process_time()
    for at in range(0, history.n_users, 1_000):
        block = np.arange(at, min(at + 1_000, history.n_users))
        model.recommend(block, liked[block], N=K)
    return time.perf_counter() - began, time.process_time() - cpu
