"""Keeping a fitted scorer in a folder, and taking it out again: JSON for what was set, npz for what was learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from tasks.errors import ModelError
from tasks.scoring.collaborative import CollaborativeScorer
from tasks.scoring.linear import EASEScorer, TransitionScorer
from tasks.scoring.neighbours import ItemKNNScorer, MarkovScorer
from tasks.scoring.popularity import PopularityScorer
from tasks.scoring.scorer import Scorer

SETTINGS, ARRAYS = "scorer.json", "learnt.npz"
_STORED: dict[str, tuple[type, tuple[str, ...], tuple[str, ...]]] = {
    "popularity": (PopularityScorer, ("half_life_days",), ("share",)),
    "collaborative": (
        CollaborativeScorer,
        ("factors", "regularization", "alpha", "iterations", "recency", "seed", "threads"),
        ("item_factors", "known"),
    ),
    "itemknn": (ItemKNNScorer, ("neighbours", "shrinkage", "decay"), ("similarity", "known")),
    "markov": (MarkovScorer, ("backoff",), ("follows", "share")),
    "transition": (
        TransitionScorer,
        ("regularization", "decay", "ahead", "recency", "attribute_share", "max_items"),
        ("weights", "known", "items"),
    ),
    "ease": (EASEScorer, ("regularization", "decay", "max_items"), ("weights", "known", "items")),
}
"""Kind → class, the settings it is made with, the attributes that `fit` fills. Content and sequence scorers are made
from tables and models that are kept elsewhere, so they are not kept twice."""


def save(scorer: Scorer, folder: Path) -> None:
    """Write a fitted scorer's files; raises `ModelError` where it is not fitted or not of a kind that is kept."""
    kind, (_, settings, learnt) = _kind(scorer)
    arrays: dict[str, Any] = {}
    for name in learnt:
        value = getattr(scorer, name)
        if value is None:
            raise ModelError(f"{scorer.name}: fit before saving")
        if sparse.issparse(value):
            arrays |= {f"{name}.{part}": getattr(value, part) for part in ("data", "indices", "indptr")}
            arrays[f"{name}.shape"] = np.array(value.shape)
        else:
            arrays[name] = value
    np.savez(folder / ARRAYS, **arrays)
    made = {"kind": kind, "name": scorer.name, "settings": {name: getattr(scorer, name) for name in settings}}
    (folder / SETTINGS).write_text(json.dumps(made, indent=1))


def is_kept(scorer: Scorer) -> bool:
    """Whether the scorer is of a kind that `save` takes."""
    return any(type(scorer) is stored[0] for stored in _STORED.values())


def load(folder: Path) -> Scorer:
    """The scorer that `save` kept; raises `ModelError` where the folder is missing, damaged or foreign."""
    try:
        made = json.loads((folder / SETTINGS).read_text())
        made_by, _, learnt = _STORED[made["kind"]]
        scorer: Scorer = made_by(**made["settings"], name=made["name"])
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            for name in learnt:
                setattr(scorer, name, _array(arrays, name))
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ModelError(f"no scorer can be read from {folder.name}: {type(error).__name__}; fit it again") from error
    return scorer


def _array(arrays: Any, name: str) -> Any:
    if f"{name}.shape" not in arrays:
        return arrays[name]
    parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_matrix(parts, shape=tuple(arrays[f"{name}.shape"]))


def _kind(scorer: Scorer) -> tuple[str, tuple[type, tuple[str, ...], tuple[str, ...]]]:
    for kind, stored in _STORED.items():
        if type(scorer) is stored[0]:
            return kind, stored
    raise ModelError(f"{scorer.name}: scorers of type {type(scorer).__name__} are made from other tables, not saved")
