"""# Take in one batch of events and items

Good rows are published as `accepted_events` and `accepted_items`, the others go to quarantine with rule and reason. A
batch that a check stops waits for a person, who accepts it with a reason or refuses it. A known one starts nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from pipeline_alerts import run_url, tell_batch
from pipeline_assets import ACCEPTED_EVENTS, ACCEPTED_ITEMS, Bag, publish
from pipeline_forms import BATCH, batch_arguments
from pipeline_override import OverrideOperator
from pipeline_policy import JUDGED

AGAIN = Param(False, type="boolean", title="Go on", description="Start the pipeline even for a known batch.")
PARAMS = {**BATCH, "again": AGAIN}


@dag(schedule=None, params=PARAMS, doc_md=__doc__, **JUDGED)
def ingest_events() -> None:
    """Read, check in chunks, settle, ask where the batch is stopped, keep."""

    @task
    def read_batch(params: dict[str, Any], dag_run: Any) -> Bag:
        from tasks import jobs

        plan = jobs.read_batch(**batch_arguments(params, dag_run.run_after))
        if plan["repeated"] and not params["again"]:
            raise AirflowSkipException(f"batch {plan['batch_id']} was taken in before; nothing was changed")
        return plan

    @task
    def chunks(plan: Bag) -> list[int]:
        return plan["chunks"]

    @task(map_index_template="chunk {{ task.op_kwargs['chunk'] }}")
    def check_chunk(plan: Bag, chunk: int) -> Bag:
        from tasks import jobs

        return jobs.check_chunk(plan, chunk)

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def settle_batch(plan: Bag, **context: Any) -> Bag:
        from tasks import jobs

        return tell_batch(jobs.settle_batch(plan), context, when_stopped=True)

    @task
    def write_report(settled: Bag, run_id: str, dag: Any) -> str:
        from tasks import jobs

        return jobs.report_batch(settled, run_url=run_url(dag.dag_id, run_id))

    @task.branch
    def decide(settled: Bag) -> str:
        return "ask" if settled["stopped"] else "keep_batch"

    @task(outlets=[ACCEPTED_EVENTS, ACCEPTED_ITEMS], trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def keep_batch(plan: Bag, answer: dict[str, Any] | None, **context: Any) -> Bag:
        from tasks import jobs

        if answer and not answer["accepted"]:
            jobs.discard_batch(plan, by=answer["by"], why=answer["why"])
        kept = jobs.keep_batch(plan, override=answer)
        yield from publish(tell_batch(kept, context), ACCEPTED_EVENTS, ACCEPTED_ITEMS)
        return kept

    plan = read_batch()
    settled = settle_batch(plan)
    check_chunk.partial(plan=plan).expand(chunk=chunks(plan)) >> settled
    write_report(settled)
    ask = OverrideOperator(task_id="ask", batch=settled)
    decide(settled) >> [ask, keep_batch(plan, ask.output)]


ingest_events()
