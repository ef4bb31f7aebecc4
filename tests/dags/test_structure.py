"""Each DAG is the sentence it should be: what starts it, its tasks, their order, their lane."""

from __future__ import annotations

from typing import Any

import pytest

ORDER: dict[str, dict[str, set[str]]] = {
    "ingest_events": {
        "read_batch": set(),
        "chunks": {"read_batch"},
        "check_chunk": {"read_batch", "chunks"},
        "settle_batch": {"read_batch", "check_chunk"},
        "write_report": {"settle_batch"},
        "decide": {"settle_batch"},
        "ask": {"settle_batch", "decide"},
        "keep_batch": {"read_batch", "ask", "decide"},
    },
    "ingest_pushed": {"ingest_pushed": set()},
    "replay_quarantine": {"replay": set()},
    "refresh_interests": {
        "plan": set(),
        "shards": {"plan"},
        "refresh_topics": {"plan"},
        "encode_shard": {"plan", "shards"},
        "join_vectors": {"plan", "encode_shard"},
        "train_sequence": {"plan", "join_vectors"},
        "assemble_interests": {"plan", "refresh_topics", "join_vectors", "train_sequence"},
    },
    "score_hybrid": {"backtest": set(), "score": {"backtest"}},
    "publish_release": {
        "prepare": set(),
        "gate": {"prepare"},
        "shards": {"gate"},
        "materialize_shard": {"gate", "shards"},
        "verify": {"gate", "materialize_shard"},
        "flip": {"gate", "verify"},
        "retire": {"gate", "flip"},
    },
    "roll_back_release": {"roll_back": set()},
    "watch_batches": {"check": set()},
    "watch_freshness": {"check": set()},
}
STARTED_BY = {
    "ingest_events": None,
    "ingest_pushed": None,
    "replay_quarantine": None,
    "refresh_interests": "accepted_events",
    "score_hybrid": "user_interests",
    "publish_release": "recommendations",
    "roll_back_release": None,
    "watch_batches": None,
    "watch_freshness": None,
}
OUTLETS = {
    ("ingest_events", "keep_batch"): {"accepted_events", "accepted_items"},
    ("ingest_pushed", "ingest_pushed"): {"accepted_events", "accepted_items"},
    ("replay_quarantine", "replay"): {"accepted_events", "accepted_items"},
    ("refresh_interests", "assemble_interests"): {"user_interests"},
    ("score_hybrid", "score"): {"recommendations"},
    ("publish_release", "flip"): {"live_release"},
    ("roll_back_release", "roll_back"): {"live_release"},
}
NEURAL = {("refresh_interests", "encode_shard"), ("refresh_interests", "train_sequence")}


def test_every_file_parses(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert set(ORDER) <= set(dag_bag.dags)


@pytest.mark.parametrize("name", ORDER)
def test_the_tasks_and_their_order(dag_bag: Any, name: str) -> None:
    assert {t.task_id: t.upstream_task_ids for t in dag_bag.dags[name].tasks} == ORDER[name]


@pytest.mark.parametrize("name", STARTED_BY)
def test_what_starts_it(dag_bag: Any, name: str) -> None:
    condition = getattr(dag_bag.dags[name].timetable, "asset_condition", None)
    assets = {asset.name for asset in condition.objects} if condition else set()
    assert assets == ({STARTED_BY[name]} if STARTED_BY[name] else set())


def test_each_asset_is_published_by_the_task_that_makes_it(dag_bag: Any) -> None:
    found = {(d, t.task_id): {o.name for o in t.outlets} for d in ORDER for t in dag_bag.dags[d].tasks if t.outlets}
    assert found == OUTLETS


def test_neural_tasks_and_no_others_take_the_gpu_lane(dag_bag: Any) -> None:
    tasks = {(d, t.task_id): t for d in ORDER for t in dag_bag.dags[d].tasks}
    assert {key for key, task in tasks.items() if (task.queue, task.pool) == ("gpu", "gpu")} == NEURAL
    assert {task.queue for key, task in tasks.items() if key not in NEURAL} == {"default"}
    assert {task.executor for task in tasks.values()} == {None}


def test_shards_are_mapped_and_named(dag_bag: Any) -> None:
    for name, task_id, piece in (
        ("ingest_events", "check_chunk", "chunk"),
        ("refresh_interests", "encode_shard", "shard"),
        ("publish_release", "materialize_shard", "shard"),
    ):
        task = dag_bag.dags[name].get_task(task_id)
        assert task.is_mapped
        assert piece in task.partial_kwargs["map_index_template"]


@pytest.mark.parametrize("name", ORDER)
def test_one_run_at_a_time_and_wrong_data_is_not_retried(dag_bag: Any, name: str) -> None:
    from pipeline_policy import RETRY_POLICY

    dag = dag_bag.dags[name]
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert dag.doc_md
    for task in dag.tasks:
        policy = task.partial_kwargs["retry_policy"] if task.is_mapped else task.retry_policy
        assert policy is RETRY_POLICY
        assert task.retries == 2


def test_the_form_accepts_its_own_defaults_and_says_what_it_wants(dag_bag: Any) -> None:
    for name in ("ingest_events", "replay_quarantine", "publish_release"):
        dag = dag_bag.dags[name]
        dag.params.validate()
        for key, param in dag.params.items():
            assert dag.params.get_param(key).description, f"{name}: {key} = {param} is not explained"


def test_a_roll_back_needs_a_name(dag_bag: Any) -> None:
    with pytest.raises(Exception, match="release"):
        dag_bag.dags["roll_back_release"].params.validate()


def test_who_lets_a_stopped_batch_in_is_asked_for_a_reason_and_nothing_else(dag_bag: Any) -> None:
    assert set(dag_bag.dags["ingest_events"].get_task("ask").serialized_params) == {"reason"}
