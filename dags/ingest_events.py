"""# Take in one batch of events and items

Checks every row, keeps the good ones, puts the others in quarantine with rule and reason, and publishes
`accepted_events` and `accepted_items`. A batch that was taken in before changes nothing and starts nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from pipeline_assets import ACCEPTED_EVENTS, ACCEPTED_ITEMS, Bag, publish
from pipeline_connections import libpq_uri
from pipeline_policy import PIPELINE


def _optional(title: str, description: str, **schema: Any) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description, **schema)


def _paths(title: str, description: str) -> Param:
    return Param(None, type=["null", "array"], items={"type": "string"}, title=title, description=description)


PARAMS = {
    "events": _paths("Event files", "CSV, JSON lines or Parquet, gzipped or not; one path a line."),
    "items": _paths("Item files", "The catalogue, in the same formats. May be left out once items are known."),
    "mapping": _optional("Mapping file", "YAML that names your columns; not needed for Penchant's own names."),
    "source": _optional("Source name", "A name for where the rows come from; shown in the quarantine."),
    "as_of": _optional("As of", "End of the data interval; empty: when the run was asked for.", format="date-time"),
    "connection": _optional("PostgreSQL connection", "Id of an Airflow connection to read events from.", section="SQL"),
    "query": _optional("Query or table", "A table name or SELECT that yields the events.", section="SQL"),
    "watermark": _optional("Watermark column", "Growing column: only rows beyond the last batch.", section="SQL"),
    "again": Param(False, type="boolean", title="Go on", description="Start the pipeline even for a known batch."),
}


@dag(schedule=None, params=PARAMS, doc_md=__doc__, **PIPELINE)
def ingest_events() -> None:
    """One task: check a batch and publish what was accepted."""

    @task(outlets=[ACCEPTED_EVENTS, ACCEPTED_ITEMS])
    def check_batch(params: dict[str, Any], ti: Any, dag_run: Any) -> Bag:
        from tasks import jobs

        form = {name: params[name] for name in ("mapping", "source", "query", "watermark")}
        form |= {name: params[name] or [] for name in ("events", "items")}
        as_of = params["as_of"] or dag_run.run_after.isoformat()
        outcome = jobs.ingest(**form, as_of=as_of, dsn=libpq_uri(params["connection"]))
        # A second try may find its own batch: then the first one died before it could publish.
        if outcome["repeated"] and ti.try_number == 1 and not params["again"]:
            raise AirflowSkipException(f"batch {outcome['batch_id']} was taken in before; nothing was changed")
        yield from publish(outcome, ACCEPTED_EVENTS, ACCEPTED_ITEMS)
        return outcome

    check_batch()


ingest_events()
