"""Sequence scores: what comes next, according to a model that lives elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np

from tasks.errors import ModelError
from tasks.scoring.ids import Indices
from tasks.scoring.interactions import Interactions
from tasks.scoring.scorer import Scores, silenced

NextItem = Callable[[Indices, Interactions], Scores]


class SequenceScorer:
    """Scores of a next-item model, given as a function of users and history that returns (b, m).

    `from_states` makes that function from stored states and an item representation, so that no network is needed
    where scores are computed. Silent for users without an event.
    """

    def __init__(self, next_item: NextItem, name: str = "sequence") -> None:
        self.name, self.next_item = name, next_item

    @classmethod
    def from_states(cls, states: Scores, items: Scores, bias: Scores | None = None) -> SequenceScorer:
        """Logits `states[users] @ items.T + bias`: states (n, h), items (m, h), bias (m,); NaN rows stay silent."""
        if states.shape[1] != items.shape[1]:
            raise ModelError(f"sequence: states are {states.shape[1]} wide, items {items.shape[1]}; use one model's")

        def logits(users: Indices, history: Interactions) -> Scores:
            return np.asarray(states[users] @ items.T + (0 if bias is None else bias), dtype=np.float32)

        return cls(logits)

    def fit(self, interactions: Interactions) -> Self:
        """Nothing to learn here: the model was trained before."""
        return self

    def scores(self, users: Indices, history: Interactions) -> Scores:
        """What the model says (b, m)."""
        scores = np.array(self.next_item(users, history), dtype=np.float32)
        if scores.shape != (len(users), history.n_items):
            raise ModelError(f"{self.name}: the model gave {scores.shape}, not {(len(users), history.n_items)}")
        return silenced(scores, history.lengths[users] > 0)
