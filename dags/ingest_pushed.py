"""# Take in what was pushed

Daily: events that reached readers in real time since the last time become a batch of their own, go through the same
check, and are published as `accepted_events`, so that the next refresh learns from them. Where nothing was pushed, or a
release was never live, nothing starts.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException
from pipeline_alerts import tell_batch
from pipeline_assets import ACCEPTED_EVENTS, ACCEPTED_ITEMS, Bag, publish
from pipeline_policy import JUDGED


@dag(schedule="@daily", doc_md=__doc__, **JUDGED)
def ingest_pushed() -> None:
    """One task: check what was pushed, and publish it."""

    @task(outlets=[ACCEPTED_EVENTS, ACCEPTED_ITEMS])
    def ingest_pushed(dag_run: Any, ti: Any, **context: Any) -> Bag:
        from tasks import jobs

        kept = jobs.ingest_pushed(as_of=dag_run.run_after.isoformat())
        # A second try may find its own batch: then the first one died before it could publish.
        if kept["batch_id"] is None or (kept["repeated"] and ti.try_number == 1):
            raise AirflowSkipException("nothing was pushed since the last time; nothing was changed")
        yield from publish(tell_batch(kept, {**context, "ti": ti}), ACCEPTED_EVENTS, ACCEPTED_ITEMS)
        return kept

    ingest_pushed()


ingest_pushed()
