"""# Publish a release

Starts when recommendations were made. Gathers the exact tables and models into one release, lets the gate judge it,
writes it to the online store in shards, reads it back, and only then turns readers to it; publishes `live_release`.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task
from pipeline_assets import LIVE_RELEASE, RECOMMENDATIONS, Bag, publish, received
from pipeline_policy import PIPELINE

PARAMS = {
    "force": Param(
        False,
        type="boolean",
        title="Pass the gate",
        description="Publish even a release that the gate finds worse than the live one; the reason is kept with it.",
    )
}


@dag(schedule=[RECOMMENDATIONS], params=PARAMS, doc_md=__doc__, **PIPELINE)
def publish_release() -> None:
    """Prepare, judge, write, verify, switch, tidy up."""

    @task
    def prepare(**context: object) -> Bag:
        from tasks import jobs

        return jobs.prepare_release(received(context, RECOMMENDATIONS))

    @task
    def gate(prepared: Bag, params: dict[str, bool]) -> Bag:
        from tasks import jobs

        return jobs.check_gate(prepared, force=params["force"])

    @task
    def shards(prepared: Bag) -> list[int]:
        return prepared["shards"]

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def materialize_shard(prepared: Bag, shard: int) -> Bag:
        from tasks import jobs

        return jobs.materialize_shard(prepared, shard)

    @task
    def verify(prepared: Bag) -> Bag:
        from tasks import jobs

        return jobs.verify_release(prepared)

    @task(outlets=[LIVE_RELEASE])
    def flip(prepared: Bag) -> Bag:
        from tasks import jobs

        live = jobs.flip_release(prepared)
        yield from publish(live, LIVE_RELEASE)
        return live

    @task
    def retire(prepared: Bag) -> Bag:
        from tasks import jobs

        return jobs.retire_releases(prepared)

    judged = gate(prepare())
    written = materialize_shard.partial(prepared=judged).expand(shard=shards(judged))
    written >> verify(judged) >> flip(judged) >> retire(judged)


publish_release()
