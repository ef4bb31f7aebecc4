"""Vector search: the same neighbours as looking at every vector, of one release and one encoder only."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.errors import ReleaseError, RequestError, SpaceMismatch
from tasks.releases import vectors
from tasks.releases.offline import remove_offline, write_offline
from tests.releases.planted import AS_OF, frame

RELEASE = "r20260301_ab12cd34"
AXES = np.array([[1, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 1, 0, 0], [0, 0.6, 0.8, 0], [0, 0, 0, -1]], np.float32)


def write(home, rows, *, encoder="bert-1", ids=None):
    """Items whose vectors are `rows`, as a release's offline file."""
    made = frame(schema.ITEM_CONTENT, len(rows)).assign(vector=list(np.asarray(rows, np.float32)), encoder=encoder)
    made["item_id"] = [f"i{n:06d}" for n in range(len(rows))] if ids is None else ids
    write_offline(home, RELEASE, schema.ITEM_CONTENT, [made], as_of=AS_OF)


def clustered(n, width=32, clusters=60, seed=0):
    """Unit vectors around planted centres, as text vectors are; not uniform noise, which no index can cut up."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, width))
    made = centres[rng.integers(clusters, size=n)] + 0.7 * rng.normal(size=(n, width))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_nearest_first_by_cosine_without_itself(tmp_path):
    write(tmp_path, AXES * np.array([[1], [2], [3], [0.5], [1]]))  # lengths do not count
    facts = vectors.build(tmp_path, RELEASE, "items")
    assert (facts.encoder, facts.width, facts.rows, facts.kind, facts.recall) == ("bert-1", 4, 5, "exact", 1.0)
    found = vectors.similar_items(tmp_path, RELEASE, "i000001", 2)
    assert [n.key for n in found] == ["i000000", "i000002"]
    assert [n.similarity for n in found] == pytest.approx([0.8, 0.6])
    assert len(vectors.similar_items(tmp_path, RELEASE, "i000001", 100)) == 4
    assert vectors.similar_items(tmp_path, RELEASE, "no such item") is None


def test_cells_find_what_looking_at_all_finds(tmp_path):
    rows = clustered(3_000)
    write(tmp_path, rows)
    facts = vectors.build(tmp_path, RELEASE, "items", exact=1_000)
    assert facts.kind == "cells"
    assert 0 < facts.probes < int(4 * 3_000**0.5)
    assert facts.recall >= vectors.RECALL
    index = vectors.open_index(tmp_path, RELEASE, "items")
    hits = []
    for place in np.random.default_rng(5).choice(3_000, 100, replace=False):
        cosine = rows @ rows[place]
        cosine[place] = -2
        true = {f"i{n:06d}" for n in np.argsort(-cosine)[:10]}
        hits.append(len(true & {n.key for n in index.like(f"i{place:06d}", 10)}) / 10)
    assert np.mean(hits) >= 0.95


def test_users_are_searched_by_recent_interest(tmp_path):
    made = frame(schema.USER_VECTORS, 5).assign(short_term=list(AXES), encoder="bert-1")
    write_offline(tmp_path, RELEASE, schema.USER_VECTORS, [made], as_of=AS_OF)
    vectors.build(tmp_path, RELEASE, "users")
    assert vectors.similar_users(tmp_path, RELEASE, "user-3", 1)[0].key == "user-2"


def test_two_spaces_never_meet(tmp_path):
    write(tmp_path, AXES, encoder=["bert-1"] * 4 + ["bert-2"])
    with pytest.raises(SpaceMismatch, match="2 encoders"):
        vectors.build(tmp_path, RELEASE, "items")
    write(tmp_path, AXES)
    vectors.build(tmp_path, RELEASE, "items")
    index = vectors.open_index(tmp_path, RELEASE, "items")
    assert index.near(AXES[2], "bert-1", 1)[0].key == "i000002"
    with pytest.raises(SpaceMismatch, match="by encoder bert-2"):
        index.near(AXES[2], "bert-2")
    with pytest.raises(SpaceMismatch, match=r"\(3,\)"):
        index.near(AXES[2][:3], "bert-1")


def test_vectors_without_a_direction_are_left_out(tmp_path):
    write(tmp_path, np.vstack([AXES, [[0, 0, 0, 0], [np.nan, 1, 0, 0]]]))
    assert vectors.build(tmp_path, RELEASE, "items").rows == 5
    index = vectors.open_index(tmp_path, RELEASE, "items")
    assert index.like("i000005") is None
    for vector in (np.zeros(4), np.array([np.nan, 0, 0, 1])):
        with pytest.raises(RequestError, match="zero or not finite"):
            index.near(vector, "bert-1")
    for k in (0, -1, 10_000):
        with pytest.raises(RequestError, match="k is from 1"):
            index.near(AXES[0], "bert-1", k)


def test_damage_and_absence_are_told(tmp_path):
    with pytest.raises(ReleaseError, match="has no index of items"):
        vectors.similar_items(tmp_path, RELEASE, "i000000")
    write(tmp_path, AXES)
    vectors.build(tmp_path, RELEASE, "items")
    folder = tmp_path / "releases" / RELEASE / "similar"
    (folder / "items.faiss").write_bytes((folder / "items.faiss").read_bytes()[:-1] + b"!")
    with pytest.raises(ReleaseError, match=r"items\.faiss is damaged"):
        vectors.open_index(tmp_path, RELEASE, "items")
    vectors.build(tmp_path, RELEASE, "items")
    (folder / "items.json").write_text(json.dumps({"rows": 5}))
    with pytest.raises(ReleaseError, match="has no index"):
        vectors.open_index(tmp_path, RELEASE, "items")
    remove_offline(tmp_path, RELEASE)
    assert not folder.exists()


def test_the_same_rows_give_the_same_index(tmp_path):
    write(tmp_path, clustered(500))
    first = vectors.build(tmp_path, RELEASE, "items")
    assert vectors.build(tmp_path, RELEASE, "items") == first
    assert replace(first, digests={}) == replace(vectors.open_index(tmp_path, RELEASE, "items").facts, digests={})


def test_a_release_of_no_vectors_knows_nobody(tmp_path):
    nobody = pd.DataFrame(frame(schema.USER_VECTORS, 1)).head(0)
    write_offline(tmp_path, RELEASE, schema.USER_VECTORS, [nobody], as_of=AS_OF)
    assert vectors.build(tmp_path, RELEASE, "users").rows == 0
    assert vectors.similar_users(tmp_path, RELEASE, "user-1") is None
