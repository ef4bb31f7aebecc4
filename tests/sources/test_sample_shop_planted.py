"""What is planted in the sample shop is there, at its rate; and faults stand where the truth says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.errors import SettingsError
from tasks.sources.sample_shop import FAULTS, write_shop

ACTS = ("view", "click", "purchase", "rating")


def within(share: float, rate: float, n: int) -> bool:
    """Whether a share lies within four standard deviations of its planted rate."""
    return abs(share - rate) <= 4 * np.sqrt(rate * (1 - rate) / n)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shop")
    write_shop(out, users=600, days=60, seed=3)
    return out


@pytest.fixture(scope="module")
def events(folder: Path) -> pd.DataFrame:
    frame = events_of_text(folder)
    frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True)
    return frame


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict:
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def users(folder):
    return pd.read_parquet(folder / "truth_users.parquet")


@pytest.fixture(scope="module")
def told(folder, events):
    return events.merge(pd.read_parquet(folder / "truth_events.parquet"), on="event_id", validate="one_to_one")


@pytest.fixture(scope="module")
def visits(events):
    """Each time somebody turned to another item: user, item, the item before."""
    acted = events[events["item_id"] != ""].sort_values(["user_id", "event_time"], kind="stable")
    fresh = acted["user_id"].ne(acted["user_id"].shift()) | acted["item_id"].ne(acted["item_id"].shift())
    visits = acted.loc[fresh, ["user_id", "item_id", "event_time"]].copy()
    visits["before"] = visits.groupby("user_id")["item_id"].shift()
    visits["again"] = visits.duplicated(["user_id", "item_id"])
    return visits


def test_items_fill_the_contract(folder, truth):
    items = pd.read_json(folder / "items.jsonl", lines=True)
    assert list(items.columns) == [name for name in schema.ITEMS.names if name != "batch_id"]
    assert len(items) >= 150
    assert items["item_id"].is_unique
    assert len(truth["themes"]) >= 12
    assert dict(zip(items["item_id"], items["categories"].str[0], strict=True)) == truth["item_themes"]


def test_demo_size(events):
    assert 11_500 <= len(events) <= 16_500
    assert 4_000 <= events.loc[events["text"] != "", "text"].nunique() <= 6_000
    busy = (events[events["item_id"] != ""].groupby("user_id").size() >= 8).sum() / 600
    assert 0.52 <= busy <= 0.72


def test_people_have_the_planted_rates(users, truth):
    rates = truth["rates"]
    assert within((users["language"] == "en").mean(), rates["english_share"], len(users))
    assert within(users["drift_day"].notna().mean(), rates["drift_share"], len(users))
    assert users["drift_day"].dropna().between(rates["drift_days"][0], rates["drift_days"][1] - 1).all()
    before, after = np.stack(users["themes_before"]), np.stack(users["themes_after"])
    np.testing.assert_allclose([before.sum(1), after.sum(1)], 1, atol=1e-5)
    drifts = users["drift_day"].notna().to_numpy()
    assert (before[~drifts] == after[~drifts]).all()
    assert (before[drifts].argmax(1) != after[drifts].argmax(1)).all()
    assert within(((before > 0.05).sum(1) == 3).mean(), rates["third_theme_share"], len(users))


def test_events_have_the_planted_rates(events, visits, truth):
    rates, kinds = truth["rates"], events["kind"].value_counts()
    views = kinds["view"] / rates["view"]  # visits, where some follow another on the same item
    for kind in ("search", "chat", "purchase", "comment"):
        assert within(kinds[kind] / views, rates[kind], views), kind


def test_the_habit_is_kept_where_it_can_be(visits, truth):
    visits = visits.assign(follower=visits["before"].map(truth["follows"]))
    visits["seen"] = [
        follower in set(had)
        for _, mine in visits.groupby("user_id")
        for at, follower in enumerate(mine["follower"])
        for had in [mine["item_id"].iloc[:at]]
    ]
    open_ = visits[visits["follower"].notna() & ~visits["seen"]]
    kept = (open_["item_id"] == open_["follower"]).mean()
    bound = 4 * np.sqrt(0.25 / len(open_))
    assert truth["rates"]["habit"] - bound <= kept <= truth["rates"]["habit"] + 0.1 + bound  # interest adds a little


def test_people_follow_their_interests_and_drift(told, users, truth):
    rows = told[told["kind"].isin(ACTS)].merge(users, on="user_id")
    day = (rows["event_time"] - rows["event_time"].min().normalize()).dt.days
    place = rows["theme"].map({theme: at for at, theme in enumerate(truth["themes"])}).to_numpy()
    now, other = ((rows["drift_day"] <= day, a) for a in ("themes_after", "themes_before"))
    drifted = now[0].to_numpy()
    own, old = np.stack(rows[now[1]]), np.stack(rows[other[1]])
    at = np.arange(len(rows))
    assert own[at, place][drifted].mean() > 2 * old[at, place][drifted].mean()
    assert old[at, place][~drifted].mean() > 0.3


def test_most_visits_are_to_new_items(visits):
    assert 0.05 < visits["again"].mean() < 0.35


def test_popularity_is_skewed(events):
    counts = events["item_id"][events["item_id"] != ""].value_counts()
    assert counts.head(len(counts) // 5).sum() > 0.35 * counts.sum()


def test_stars_follow_sentiment(told):
    rated = told[told["rating"] != ""]
    assert rated["sentiment"].between(0, 1).all()
    assert np.corrcoef(rated["sentiment"], rated["rating"].astype(float))[0, 1] > 0.9
    assert 0.55 < (rated["rating"] >= "4").mean() < 0.8


def test_sentiment_is_told_only_by_what_can_tell_it(told):
    kinds = set(told.loc[told["sentiment"].notna(), "kind"])
    assert kinds == {"review", "rating", "comment"}
    assert told.loc[told["kind"] == "comment", "sentiment"].isna().any()


def test_reviews_are_distinct_and_in_the_users_language(told, users):
    reviews = told[told["kind"] == "review"].merge(users[["user_id", "language"]], on="user_id", suffixes=("", "_own"))
    assert reviews["text"].nunique() > 0.9 * len(reviews)
    chinese = reviews["text"].str.contains("[\u4e00-\u9fff]")
    assert (chinese[reviews["language_own"] == "zh"]).all()
    assert not chinese[reviews["language_own"] == "en"].any()
    assert not reviews["text"].str.contains("[{}]").any()


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    root = tmp_path_factory.mktemp("spoilt")
    sizes = {"users": 400, "days": 25, "seed": 8}
    write_shop(root / "clean", **sizes)
    write_shop(root / "spoilt", **sizes, faults=0.2)
    faults = pd.read_parquet(root / "spoilt" / "truth_faults.parquet")
    return events_of_text(root / "clean"), events_of_text(root / "spoilt"), faults


def events_of_text(folder):
    return pd.read_csv(folder / "events.csv", dtype=str, keep_default_na=False)


ADDED = {"repeat": [], "taken_id": ["user_id"], "copy": ["event_id", "user_id", "text"]}


def test_faults_stand_where_the_truth_says(spoilt):
    clean, rows, faults = spoilt
    assert faults["position"].is_monotonic_increasing
    assert faults["position"].is_unique
    added = faults["fault"].map(lambda name: FAULTS[name].added)
    sources = rows.drop(index=faults.loc[added, "position"] - 1)  # an added row stands behind its good one
    same = (sources.to_numpy() == clean.to_numpy()).all(axis=1)
    assert set(sources.index[~same] + 1) == set(faults.loc[~added, "position"])
    for fault in faults[added].itertuples():
        changed = rows.columns[(rows.iloc[fault.position - 1] != rows.iloc[fault.position - 2]).to_numpy()]
        assert list(changed) == ADDED[fault.fault]


def test_a_fault_changes_its_own_column_only(spoilt):
    clean, rows, faults = spoilt
    clean = clean.set_index("event_id")
    for fault in faults.itertuples():
        if not FAULTS[fault.fault].added:
            row = rows.iloc[fault.position - 1]
            good = clean.loc[row["event_id"]]
            assert [name for name in good.index if good[name] != row[name]] == [FAULTS[fault.fault].column]


def test_faults_have_the_planted_rate(spoilt):
    clean, _, faults = spoilt
    counts = faults["fault"].value_counts()
    assert set(counts.index) == set(FAULTS)
    for name, count in counts.items():
        if name != "no_stars" and not FAULTS[name].from_bytes:  # bare stars and long texts are rare
            assert within(count / len(clean), 0.2 / len(FAULTS), len(clean)), name
    assert dict(zip(faults["fault"], faults["rule"], strict=True)) == {n: FAULTS[n].rule for n in FAULTS}


def test_chosen_faults_only(tmp_path):
    write_shop(tmp_path, users=100, days=5, seed=1, faults=0.1, fault_classes=["repeat", "no_text"])
    faults = pd.read_parquet(tmp_path / "truth_faults.parquet")
    assert set(faults["fault"]) == {"repeat", "no_text"}
    assert events_of_text(tmp_path).duplicated().sum() == (faults["fault"] == "repeat").sum()


def test_an_unknown_fault_class_is_named(tmp_path):
    with pytest.raises(SettingsError, match="nonsense"):
        write_shop(tmp_path / "out", users=5, days=1, seed=1, faults=0.1, fault_classes=["nonsense"])
