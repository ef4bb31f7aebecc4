"""# Refresh interests

Starts when a batch was accepted. Topics and text vectors are made side by side (encoding in shards, on the GPU lane),
then the sequence model, then everyone's interests; publishes `user_interests`.
"""

from __future__ import annotations

from airflow.sdk import dag, task
from pipeline_assets import ACCEPTED_EVENTS, USER_INTERESTS, Bag, publish, received
from pipeline_policy import GPU, PIPELINE


@dag(schedule=[ACCEPTED_EVENTS], doc_md=__doc__, **PIPELINE)
def refresh_interests() -> None:
    """Topics beside vectors, then sequences, then interests."""

    @task
    def plan(**context: object) -> Bag:
        from tasks import jobs

        return jobs.plan_refresh(received(context, ACCEPTED_EVENTS))

    @task
    def shards(plan: Bag) -> list[int]:
        return plan["shards"]

    @task
    def refresh_topics(plan: Bag) -> Bag:
        from tasks import jobs

        return jobs.refresh_topics(plan)

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}", **GPU)
    def encode_shard(plan: Bag, shard: int) -> Bag:
        from tasks import jobs

        return jobs.encode_shard(plan, shard)

    @task
    def join_vectors(plan: Bag, shards: list[Bag]) -> Bag:
        from tasks import jobs

        return jobs.join_vectors(plan, list(shards))

    @task(**GPU)
    def train_sequence(plan: Bag, vectors: Bag) -> Bag:
        from tasks import jobs

        return jobs.train_sequence(plan, vectors)

    @task(outlets=[USER_INTERESTS])
    def assemble_interests(plan: Bag, topics: Bag, vectors: Bag, sequence: Bag) -> Bag:
        from tasks import jobs

        bag = jobs.assemble_interests(plan, topics, vectors, sequence)
        yield from publish(bag, USER_INTERESTS)
        return bag

    planned = plan()
    topics = refresh_topics(planned)
    vectors = join_vectors(planned, encode_shard.partial(plan=planned).expand(shard=shards(planned)))
    assemble_interests(planned, topics, vectors, train_sequence(planned, vectors))


refresh_interests()
