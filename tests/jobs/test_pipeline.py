"""The whole job on a sample shop whose truth is known: topics, sentiment, scores, releases, and a second batch."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tasks import jobs, schema
from tasks.errors import ReleaseError
from tasks.jobs import chain, publication, reading, sampling
from tasks.jobs.workspace import open_store, refs_of
from tasks.quality import rules_for
from tasks.settings import Settings
from tasks.store import Store

pytestmark = pytest.mark.slow
USERS, DAYS, MORE_DAYS = 500, 60, 4
READER = """
import json, sys
from feast import FeatureStore
store = FeatureStore(repo_path=sys.argv[1])
service = store.get_feature_service("user_interest")
answer = store.get_online_features(features=service, entity_rows=[{"user_id": sys.argv[2]}], full_feature_names=True)
print(json.dumps({k: v[0] for k, v in answer.to_dict().items()}, default=str))
"""


class Run:
    """One home that batches of the shop go through."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shops: list[Path] = []

    def take(self, first_day: int, days: int) -> dict[str, Any]:
        shop = self.home / f"shop-{first_day}"
        made = sampling.write(shop, users=USERS, days=days, seed=1, faults=0.005, first_day=first_day)
        self.shops.append(shop)
        return jobs.ingest(events=[str(shop / "events.csv")], items=[str(shop / "items.jsonl")], as_of=made["as_of"])

    def truth(self, name: str) -> pd.DataFrame:
        return pd.concat([pd.read_parquet(shop / f"truth_{name}.parquet") for shop in self.shops])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PENCHANT_HOME", str(home / "home"))
        patched.setenv("PENCHANT_SHARDS", "2")
        yield Run(home)


@pytest.fixture(scope="module")
def first(run: Run) -> dict[str, Any]:
    """Everything up to a live release, from the first batch."""
    taken = run.take(0, DAYS)
    refreshed = chain.refresh()
    scored = chain.score()
    return {"taken": taken, "refreshed": refreshed, "scored": scored, "live": chain.publish()}


@pytest.fixture
def store() -> Store:
    return open_store(Settings())


def frame(store: Store, bag: dict[str, Any], table: schema.Table) -> pd.DataFrame:
    return store.read_frame(refs_of(bag)[table.name], table)


def test_every_planted_fault_is_found_and_nothing_else(first: dict[str, Any], run: Run, store: Store) -> None:
    found = frame(store, first["taken"], schema.QUARANTINE)
    planted = run.truth("faults")
    noted = {rule.name for rule in rules_for(schema.EVENTS, future_tolerance_hours=24) if rule.severity == "info"}
    stopped = planted[~planted["rule"].isin(noted)]
    assert set(found["position"]) == set(stopped["position"])
    ledger = frame(store, first["taken"], schema.LEDGER).set_index(["table", "rule"])["rows_failed"]
    for rule in noted:
        assert ledger[schema.EVENTS.name, rule] == (planted["rule"] == rule).sum(), rule
    counts = first["taken"]["counts"]["accepted_events"]["rows"]
    assert counts["entered"] == counts["accepted"] + counts["quarantined"] + counts["repeated"]


def test_planted_topics_are_found_in_both_languages(first: dict[str, Any], run: Run, store: Store) -> None:
    mixes = frame(store, first["refreshed"], schema.TEXT_TOPICS)
    events = frame(store, first["refreshed"], schema.EVENTS).dropna(subset="text_hash")
    best = pd.Series(np.stack(mixes["topic_mix"]).argmax(axis=1), index=mixes["text_hash"])
    said = events[events["kind"] == "review"].merge(run.truth("events"), on="event_id")
    said = said.assign(topic=best.loc[said["text_hash"]].to_numpy())
    theme_of = said.groupby("topic")["theme"].agg(lambda themes: themes.mode()[0])
    for language, of_language in said.groupby("language"):
        purity = (theme_of.loc[of_language["topic"]].to_numpy() == of_language["theme"]).mean()
        assert purity >= 0.9, language


def test_planted_sentiment_is_ranked_in_both_languages(first: dict[str, Any], run: Run, store: Store) -> None:
    from tasks.interests import SentimentModel

    refs = refs_of(first["refreshed"])
    model = SentimentModel.load(store.folder(refs["sentiment_model"]))
    events = frame(store, first["refreshed"], schema.EVENTS).dropna(subset="text_hash")
    # comments carry no rating, so the model has not seen what they mean
    said = events[events["kind"] == "comment"].merge(run.truth("events"), on="event_id").dropna(subset="sentiment")
    names, matrix = store.read_matrix(refs["text_vectors"], schema.TEXT_VECTORS, "vector", said["text_hash"])
    rows = pd.Index(names).get_indexer(said["text_hash"])
    said = said.assign(score=model.predict(matrix[rows], said["text"].tolist()))
    clear = said[(said["sentiment"] - 0.5).abs() > 0.1]
    for language, of_language in clear.groupby("language"):
        assert roc_auc_score(of_language["sentiment"] > 0.5, of_language["score"]) >= 0.9, language


def test_the_blend_beats_popularity_and_neighbours_beyond_chance(first: dict[str, Any], store: Store) -> None:
    card = store.read_json(refs_of(first["scored"])["evaluation_card"])
    for baseline in ("popularity", "itemknn"):
        against = card["tests"][baseline]
        assert against["difference"] > 0, baseline
        assert against["p"] < 0.05, baseline


def test_nobody_is_recommended_what_they_know_and_scores_add_up(first: dict[str, Any], store: Store) -> None:
    shown = frame(store, first["scored"], schema.RECOMMENDATIONS)
    events = frame(store, first["scored"], schema.EVENTS).dropna(subset="item_id")
    seen = events.groupby("user_id")["item_id"].agg(set)
    for row in shown.itertuples():
        assert not set(row.item_ids) & seen.get(row.user_id, set())
        assert len(set(row.item_ids)) == len(row.item_ids) == Settings().recommendations
    parts = np.stack([np.stack(shown[name]) for name in schema.SCORERS]).sum(axis=0)
    assert np.abs(parts - np.stack(shown["scores"])).max() < 1e-6


def test_whoever_is_unknown_gets_what_is_popular_and_is_told_so(first: dict[str, Any], store: Store) -> None:
    shown = frame(store, first["scored"], schema.RECOMMENDATIONS).set_index("user_id")
    assert all("we do not know your taste yet" in reason for reason in shown.loc[schema.EVERYONE, "reasons"])


def test_another_process_reads_the_release_with_feast_alone(first: dict[str, Any], run: Run) -> None:
    user = reading.report(now="2026-03-01T00:00:00Z")["profiles"][0]["user"]
    repository = run.home / "home" / "feature_repo"
    done = subprocess.run(
        [sys.executable, "-c", READER, str(repository), user], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    releases = {value for name, value in answer.items() if name.endswith("__release")}
    assert releases == {first["live"]["live"]}
    assert sum(answer["user_topics__topic_mix"]) == pytest.approx(1, abs=1e-4)
    assert len(answer["user_evolution__evolution"]) == Settings().state_size + 384


def test_the_same_work_twice_costs_nothing_and_gives_the_same(first: dict[str, Any]) -> None:
    again = chain.refresh()
    assert again["refs"]["text_vectors"] == first["refreshed"]["refs"]["text_vectors"]


def test_a_second_batch_encodes_only_new_text_and_makes_a_new_release(first: dict[str, Any], run: Run) -> None:
    before = first["refreshed"]["refs"]["text_vectors"]["rows"]
    taken = run.take(DAYS, MORE_DAYS)
    plan = jobs.plan_refresh(taken)
    shards = [jobs.encode_shard(plan, shard) for shard in plan["shards"]]
    assert 0 < sum(part["encoded"] for part in shards) < before / 4
    chain.refresh()
    chain.score()
    live = chain.publish(force=True)["live"]
    assert live != first["live"]["live"]
    assert {r["name"]: r["live"] for r in publication.list_releases()["releases"]} == {
        live: True,
        first["live"]["live"]: False,
    }


def test_readers_go_back_to_an_earlier_release(first: dict[str, Any]) -> None:
    newest = publication.list_releases()["releases"][0]["name"]
    jobs.roll_back(first["live"]["live"])
    assert reading.report(now="2026-03-01T00:00:00Z")["release"] == first["live"]["live"]
    jobs.roll_back(newest)
    with pytest.raises(ReleaseError, match="did you mean"):
        jobs.roll_back(newest + "x")


def test_the_command_line_says_what_is_wrong_in_one_line(run: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks", "ingest", "no-such-file.csv"],
        capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 1
    assert "no-such-file.csv" in done.stderr
    assert "Traceback" not in done.stderr
