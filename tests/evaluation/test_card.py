from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import sparse

from tasks.errors import NotEnoughData
from tasks.evaluation import card, interval, markdown, paired, verdict

CUT, AS_OF = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 8, tzinfo=UTC)


def made(hit_rate: float, users: int = 400, seed: int = 0) -> dict:
    """A card whose hybrid puts the target first for that share of the users, popularity for a tenth of them."""
    rng = np.random.default_rng(seed)
    targets = sparse.csr_matrix((np.ones(users), (np.arange(users), np.full(users, 7))), shape=(users, 20))

    def lists(rate: float) -> np.ndarray:
        rows = np.tile(np.arange(10) + 9, (users, 1))
        rows[rng.random(users) < rate, 0] = 7
        return rows

    both = {"hybrid": lists(hit_rate), "popularity": lists(0.1)}
    return card(both, targets, np.arange(20), cut=CUT, as_of=AS_OF, seed=1, facts={"weights": [1, 2]})


def test_the_card_says_what_was_measured():
    found = made(0.5)
    assert found["counts"] == {"users": 400, "targets": 400, "items": 20}
    result = found["results"]["hybrid"]
    assert result["ndcg@10"] == pytest.approx(result["hr@10"])
    assert result["interval"][0] < result["ndcg@10"] < result["interval"][1]
    assert found["tests"]["popularity"]["difference"] > 0.3
    assert found["tests"]["popularity"]["p"] < 0.01
    assert json.loads(json.dumps(found)) == found


def test_the_same_seed_gives_the_same_card():
    assert made(0.4) == made(0.4)


def test_markdown_has_every_method_and_the_protocol():
    text = markdown(made(0.5))
    assert text.index("**hybrid**") < text.index("| popularity |")
    assert "paired sign-flip" in text
    assert "{k}" not in text


def test_a_card_without_targets_is_refused():
    with pytest.raises(NotEnoughData, match="hold out"):
        card(
            {"hybrid": np.zeros((1, 1), int)}, sparse.csr_matrix((1, 2)), np.ones(2, int), cut=CUT, as_of=AS_OF, seed=0
        )
    with pytest.raises(NotEnoughData, match="no lists of 'hybrid'"):
        card({}, sparse.csr_matrix((1, 2)), np.ones(2, int), cut=CUT, as_of=AS_OF, seed=0)


def test_interval_is_that_of_the_normal_for_many_users():
    values = np.random.default_rng(0).normal(3, 2, 5_000)
    low, high = interval(values, seed=0)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * 2 / 5_000**0.5, values.mean() + 1.96 * 2 / 5_000**0.5), abs=5e-3
    )
    assert np.isnan(interval(np.array([np.nan]), 0)).all()


def test_paired_test_is_fair_and_can_see():
    rng = np.random.default_rng(0)
    alike = [paired(*rng.normal(size=(2, 60)), seed=i, draws=300).p for i in range(200)]
    assert 0.02 < np.mean(np.array(alike) < 0.05) < 0.10
    base = rng.normal(size=200)
    assert paired(base + 0.3 + rng.normal(0, 0.5, 200), base, seed=0).p < 0.01
    same = paired(base, base, seed=0)
    assert (same.difference, same.p) == (0, 1)


def test_paired_agrees_with_an_exact_count():
    gap = np.array([1.0, 2, 3, 4])
    # of 16 sign patterns, |sum| ≥ 10 for 2
    assert paired(gap, np.zeros(4), seed=0, draws=20_000).p == pytest.approx(2 / 16, abs=0.01)


def test_the_gate_stops_what_is_worse_beyond_noise_and_only_that():
    assert verdict(made(0.5), None).passed
    assert verdict(made(0.5, seed=1), made(0.52, seed=2)).passed
    assert verdict(made(0.6), made(0.5)).passed
    worse = verdict(made(0.3), made(0.5))
    assert not worse.passed
    assert "fell from" in worse.reasons[0]
    below = verdict(made(0.02), None)
    assert not below.passed
    assert "below that of popularity" in below.reasons[0]
