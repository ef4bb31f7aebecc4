"""What the shell and the DAGs call, over planted releases: comparing, finding what is similar, pins, the record."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks import schema
from tasks.errors import LeakError, ReleaseError
from tasks.jobs import comparison, publication, similar
from tasks.jobs.workspace import open_store
from tasks.settings import Settings
from tasks.topics import TopicModel
from tasks.topics.vocabulary import Vocabulary
from tests.releases.planted import AS_OF, frame, plant

pytestmark = pytest.mark.slow  # real stores
WORDS = ["boots", "guitar", "soup", "tent", "violin"]


@pytest.fixture
def home(pg_store, rooms, monkeypatch):
    path = rooms.stores.home_of(pg_store)
    monkeypatch.setenv("PENCHANT_HOME", str(path))
    return path


def topics(labels, weights, fates=None) -> dict[str, str]:
    """Addresses of a topic model, its table and its ledger, as a refresh leaves them; `labels` by topic id."""
    store, rows = open_store(Settings()), len(labels)
    vocabulary = Vocabulary(tuple(WORDS))
    model = TopicModel(
        vocabulary, np.array(weights, np.float32), np.ones(rows, np.float32), tuple(labels), max(labels) + 1, 10
    )
    with store.writing("topic_model") as folder:
        model.save(folder)
        made = {"topic_model": store.seal(folder, "topic_model")}
    table = pd.DataFrame({
        "topic_id": list(labels), "label": list(labels.values()), "label_zh": None, "words_en": [WORDS] * rows,
        "words_zh": [[]] * rows, "share": np.full(rows, 1 / rows, np.float32), "coherence": np.float32(0),
        "as_of": AS_OF,
    })  # fmt: skip
    made["topics"] = store.put_frame(table, schema.TOPICS)
    if fates:
        made["topic_ledger"] = store.put_json("topic_ledger", {"topics": fates})
    return {name: str(ref) for name, ref in made.items()}


def released(rooms, store, home, seed, refs, **more):
    """A planted release with artifacts beside its rows, brought online and live."""
    live = rooms.publishing.live(store)
    planted = plant(home, seed, users=4, parents=(live,) if live else ())
    manifest = replace(planted, refs={**planted.refs, **refs}, **more)
    rooms.publishing.apply_views(store, manifest)
    for table in schema.SERVED:
        rooms.publishing.materialize(store, manifest, table)
    rooms.verifying.verify(store, manifest)
    rooms.publishing.flip(store, manifest)
    return manifest


def test_two_releases_side_by_side(rooms, pg_store, home, tmp_path):
    card = {"metric": "ndcg@10", "main": "hybrid"}
    cards = [{**card, "results": {"hybrid": {"ndcg@10": v, "interval": [v - 0.1, v + 0.1]}}} for v in (0.2, 0.3)]
    before = topics({0: "music", 1: "walking", 2: "food"}, [[9, 9, 1, 1, 1], [1, 1, 9, 9, 1], [1, 1, 1, 1, 9]])
    fates = [{"topic_id": 2, "fate": "merged", "distance": 0.3, "nearest": 1}]
    after = topics({0: "music", 1: "walking", 3: "tents"}, [[9, 9, 1, 1, 1], [1, 1, 1, 9, 9], [1, 1, 1, 9, 1]], fates)
    old = released(rooms, pg_store, home, 901, before, card=cards[0])
    new = released(rooms, pg_store, home, 902, after, card=cards[1])
    found = comparison.compare(old.name, new.name, users_out=tmp_path / "users")
    assert found["rows"]["user_vectors"] == {"added": 0, "removed": 0, "changed": 4, "same": 0}
    assert found["recommendations"]["users"] == 4
    assert found["recommendations"]["changed"] == 0  # planted items are the same in every release
    assert found["card"]["hybrid"]["ndcg@10"]["difference"] == pytest.approx(0.1)
    distances = {topic["topic_id"]: topic["distance"] for topic in found["topics"]["kept"]}
    assert distances[0] == pytest.approx(0, abs=1e-3)
    assert distances[1] > comparison.MOVED
    assert (found["topics"]["moved"], [t["label"] for t in found["topics"]["born"]]) == (1, ["tents"])
    assert found["topics"]["died"] == [{"label": "food", "topic_id": 2, "fate": "merged", "nearest": 1}]
    text = "\n".join(comparison.lines(found))
    assert "walking" in text
    assert "user-" not in text
    with pytest.raises(ReleaseError, match=f"did you mean {old.name}"):
        comparison.compare(old.name + "x", new.name)


def test_similar_items_of_the_live_release(rooms, pg_store, home):
    from tasks.releases import vectors
    from tasks.releases.offline import write_offline

    live = rooms.publishing.live(pg_store)
    planted = plant(home, 911, parents=(live,) if live else ())
    rows = frame(schema.ITEM_CONTENT, 3).assign(encoder="bert", title=["guitar", "violin", "boots"])
    rows["vector"] = [np.array(v, np.float32) for v in ([1, 0], [0.8, 0.6], [0, 1])]
    block = write_offline(home, planted.name, schema.ITEM_CONTENT, [rows], as_of=AS_OF)
    manifest = replace(planted, blocks={**planted.blocks, "item_content": block})
    vectors.build(home, manifest.name, "items")
    rooms.publishing.apply_views(pg_store, manifest)
    for table in schema.SERVED:
        rooms.publishing.materialize(pg_store, manifest, table)
    rooms.verifying.verify(pg_store, manifest)
    rooms.publishing.flip(pg_store, manifest)
    found = similar.items("item-0", k=2)
    assert (found["release"], found["status"], found["title"]) == (manifest.name, "PRESENT", "guitar")
    assert [(row["item_id"], row["title"]) for row in found["similar"]] == [("item-1", "violin"), ("item-2", "boots")]
    assert "0.800  item-1  violin" in "\n".join(similar.lines(found))
    absent = similar.items("no such item")
    assert (absent["status"], absent["similar"]) == ("ABSENT", [])
    assert "ABSENT" in "\n".join(similar.lines(absent))
    with pytest.raises(ReleaseError, match="has no index of users"):
        similar.users("user-1")


def test_the_record_of_a_release_and_pins(rooms, pg_store, put_online, home, monkeypatch):
    monkeypatch.setenv("PENCHANT_KEEP_RELEASES", "1")
    first = put_online(pg_store, 921)
    publication.pin(first.name)
    second = put_online(pg_store, 922)
    done = publication.retire_releases({})
    assert {first.name, second.name} & set(done["removed"]) == set()
    assert {first.name, second.name} <= set(done["kept"])
    listed = {row["name"]: row for row in publication.list_releases()["releases"]}
    assert (listed[first.name]["pinned"], listed[second.name]["pinned"]) == (True, False)
    told = publication.describe(first.name)
    assert told["pinned"]
    assert told["times"]["verified"]
    assert [s["release"] for s in told["switches"]] == [second.name, first.name]
    assert f"→ {second.name}" in next(publication.switch_lines(publication.switches()))
    publication.unpin(first.name)
    assert first.name in publication.retire_releases({})["removed"]
    assert publication.describe(first.name)["times"]["retired"]
    with pytest.raises(ReleaseError, match="there is no release 'r0'"):
        publication.describe("r0")


def test_a_training_set_of_the_live_home(rooms, pg_store, put_online, home):
    from tasks.releases import history

    put_online(pg_store, 931)
    publication.retire_releases({})
    labels = pd.DataFrame({"user_id": ["user-1"], "event_timestamp": [AS_OF + pd.Timedelta(days=1)]})
    found = history.features_at(pg_store, labels, "recommendations")
    assert list(found["user_recommendations__item_ids"][0])
    with pytest.raises(LeakError):
        history.refuse_leaks(found.assign(event_timestamp=AS_OF - pd.Timedelta(days=1)))
