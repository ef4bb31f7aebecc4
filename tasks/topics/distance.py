"""How far two topics are from each other, and when they are one and the same."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

SAME = 0.65
"""Jensen–Shannon distance below which two topics are one and the same, within a model and from fit to fit. On planted
bilingual topics (14 themes, four seeds) halves of one theme and refits of it lay below 0.63, different themes above
0.78."""


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Jensen–Shannon distance (base 2) of every distribution in (m, v) to every one in (n, v): (m, n), in [0, 1].

    The square root of the divergence, which makes it a metric (Endres and Schindelin, 2003).
    """
    return np.stack([_one_to_many(topic, right) for topic in left]) if len(left) else np.empty((0, len(right)))


def same_topics(shares: np.ndarray, most_distance: float = SAME) -> np.ndarray:
    """Group number, from 0, of each topic (k,): topics of a group lie within `most_distance` on average."""
    distances = jensen_shannon(shares, shares)
    tree = linkage(squareform((distances + distances.T) / 2, checks=False), method="average")
    groups: np.ndarray = fcluster(tree, most_distance, criterion="distance")
    return np.unique(groups, return_inverse=True)[1]


def _one_to_many(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Jensen–Shannon distance (base 2) of one distribution (v,) to many (k, v)."""
    middle = (one + many) / 2
    divergence = (_relative_entropy(one, middle) + _relative_entropy(many, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0, 1)))


def _relative_entropy(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Kullback–Leibler divergence in bits along the last axis, 0 log 0 being 0; `whole` covers `part`."""
    part = np.broadcast_to(part, whole.shape)
    terms = np.zeros_like(whole)
    held = part > 0
    terms[held] = part[held] * np.log2(part[held] / whole[held])
    result: np.ndarray = terms.sum(axis=-1)
    return result
