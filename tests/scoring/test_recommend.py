from __future__ import annotations

import numpy as np
import pytest

from tasks import schema
from tasks.columns import to_arrow
from tasks.errors import ModelError
from tasks.scoring import (
    Blend,
    CollaborativeScorer,
    ContentFeatures,
    ContentScorer,
    Facts,
    IdMap,
    Interactions,
    MarkovScorer,
    PopularityScorer,
    SequenceScorer,
    recommend,
)

from .worlds import AS_OF, event, events

ITEMS = ["lens", "tripod", "teapot", "kettle", "strap", "cup"]
CAMERA, TEA = [0, 1, 4], [2, 3, 5]


def shop(languages=None, weights=None, who=None, k=3, blocked=None):
    """Two themes; `both` shops for cameras, `writer` only wrote about tea, `nobody` did nothing."""
    crowd = [event(f"c{i}", ITEMS[j], days_ago=9 - j) for i in range(5) for j in CAMERA if j != i % 3]
    crowd += [event(f"t{i}", ITEMS[j], days_ago=9 - j) for i in range(4) for j in TEA]
    frame = events(*crowd, event("both", "lens", days_ago=3), event("both", "tripod", days_ago=2))
    users = IdMap([*sorted(frame["user_id"].unique()), "writer", "nobody"], personal=True)
    items = IdMap(ITEMS)
    history = Interactions.from_events(frame, users, items, AS_OF)
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.9, 0], [0, 0.9]], np.float32)
    topics = np.array([[0.9, 0.1] if i in CAMERA else [0.1, 0.9] for i in range(6)], np.float32)
    user_vectors = np.full((len(users), 2), np.nan, np.float32)
    user_topics = user_vectors.copy()
    user_vectors[users.index(["writer"])], user_topics[users.index(["writer"])] = [0, 1], [0.05, 0.95]
    scorers = {
        "collaborative": CollaborativeScorer(factors=3, regularization=0.01).fit(history),
        "content": ContentScorer(
            ContentFeatures("e", user_vectors, user_vectors, user_topics),
            ContentFeatures("e", vectors, vectors, topics),
        ).fit(history),
        "sequence": SequenceScorer(MarkovScorer().fit(history).scores),
        "popularity": PopularityScorer(30).fit(history),
    }
    titles = {"en": np.array(ITEMS, object), "zh": np.array(["镜头", "三脚架", "茶壶", "水壶", "背带", "杯子"], object)}
    labels = {"en": np.array(["photography", "tea"], object), "zh": np.array(["摄影", "茶"], object)}
    facts = Facts(titles, labels, user_topics, topics, scorers["collaborative"].item_factors, vectors)
    blend = Blend.of(list(scorers), np.ones(4) if weights is None else weights)
    chosen = users.index(who or ["both", "writer", "nobody"])
    rows = recommend(blend, scorers, history, chosen, users, items, languages or {}, facts, AS_OF, k=k, blocked=blocked)
    return rows.set_index("user_id", drop=False)


def test_the_frame_is_what_the_schema_promises():
    rows = shop()
    assert to_arrow(rows.reset_index(drop=True), schema.RECOMMENDATIONS).num_rows == 3
    assert (rows["as_of"] == AS_OF).all()
    for row in rows.itertuples():
        lengths = {len(getattr(row, n)) for n in ("item_ids", "titles", "scores", *schema.SCORERS, "reasons")}
        assert lengths == {3}


def test_a_score_is_the_sum_of_its_parts():
    for row in shop().itertuples():
        total = sum(np.asarray(getattr(row, name), np.float64) for name in schema.SCORERS)
        assert np.abs(total - row.scores).max() < 1e-6


def test_a_shopper_gets_what_goes_with_his_things_and_never_what_he_has():
    row = shop().loc["both"]
    assert row["item_ids"][0] == "strap"
    assert not {"lens", "tripod"} & set(row["item_ids"])


def test_a_user_with_only_a_text_gets_what_it_is_about():
    row = shop().loc["writer"]
    assert set(row["item_ids"]) == {"teapot", "kettle", "cup"}
    assert row["reasons"][0] == "Because you wrote about tea."
    assert (np.asarray(row["collaborative"]) == 0).all()


def test_a_user_with_nothing_gets_what_is_popular_and_is_told_so():
    row = shop().loc["nobody"]
    assert len(row["item_ids"]) == 3
    assert set(row["reasons"]) == {"Popular at the moment; we do not know your taste yet."}
    assert np.allclose(row["scores"], row["popularity"])


def test_titles_and_reasons_are_in_the_users_language():
    row = shop(languages={"writer": "zh", "nobody": "zh"}).loc["writer"]
    assert row["titles"][0] in {"茶壶", "水壶", "杯子"}
    assert row["reasons"][0] == "因为你写到过茶。"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (0, "People who liked “(lens|tripod)” also liked this."),
        (1, "It is close to “(lens|tripod)”."),
        (2, "A likely next step after “tripod”."),
        (3, "Popular at the moment."),
    ],
)
def test_the_part_that_gave_most_is_the_reason(place, sentence):
    row = shop(weights=np.eye(4)[place]).loc["both"]
    import re

    assert re.fullmatch(sentence, row["reasons"][0]), row["reasons"][0]


def test_withdrawn_items_are_not_shown():
    blocked = np.array([False, False, False, False, True, False])
    assert "strap" not in set(shop(blocked=blocked).loc["both"]["item_ids"])


def test_fewer_items_than_asked_for_make_a_shorter_list():
    assert len(shop(k=50).loc["both"]["item_ids"]) == 4


def test_no_users_make_an_empty_frame_with_the_right_columns():
    users, items = IdMap([], personal=True), IdMap(["a"])
    history = Interactions.from_sequences([], 1)
    scorers = {"popularity": PopularityScorer().fit(history)}
    facts = Facts({"en": np.array(["a"], object)})
    blend = Blend.of(["popularity"], np.ones(1))
    rows = recommend(blend, scorers, history, np.empty(0, np.int64), users, items, {}, facts, AS_OF)
    assert list(rows.columns) == list(schema.RECOMMENDATIONS.names)
    assert not len(rows)


def test_a_blend_whose_scorer_is_missing_is_refused():
    history = Interactions.from_sequences([[0]], 2)
    blend = Blend.of(["ease"], np.ones(1))
    who, users, items = np.array([0]), IdMap(["u"]), IdMap(["a", "b"])
    with pytest.raises(ModelError, match="no scorer for ease"):
        recommend(blend, {}, history, who, users, items, {}, Facts({}), AS_OF)
