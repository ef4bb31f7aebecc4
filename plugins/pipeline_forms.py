"""The forms that people fill in to start a run: what each field is called and what it wants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import Param
from pipeline_connections import libpq_uri


def optional(title: str, description: str, **schema: Any) -> Param:
    """A line that may be left empty."""
    return Param(None, type=["null", "string"], title=title, description=description, **schema)


def paths(title: str, description: str) -> Param:
    """Files, one path a line; may be left empty."""
    return Param(None, type=["null", "array"], items={"type": "string"}, title=title, description=description)


AS_OF = optional("As of", "End of the data interval; empty: when the run was asked for.", format="date-time")
BATCH = {
    "events": paths("Event files", "CSV, JSON lines or Parquet, gzipped or not; one path a line."),
    "items": paths("Item files", "The catalogue, in the same formats. May be left out once items are known."),
    "mapping": optional("Mapping file", "YAML that names your columns; not needed for Penchant's own names."),
    "source": optional("Source name", "A name for where the rows come from; shown in quarantine and alerts."),
    "as_of": AS_OF,
    "connection": optional("PostgreSQL connection", "Id of an Airflow connection to read events from.", section="SQL"),
    "query": optional("Query or table", "A table name or SELECT that yields the events.", section="SQL"),
    "watermark": optional("Watermark column", "Growing column: only rows beyond the last batch.", section="SQL"),
}
REPLAY = {
    "file": optional("Mended rows", "What `quarantine --out` wrote, mended; empty: rows as they are, chosen below."),
    "batch": optional("Batch", "Only rows of this batch."),
    "rule": optional("Rule", "Only rows that broke this rule."),
    "source": optional("Source", "Only rows from this file or table."),
    "as_of": AS_OF,
}


def batch_arguments(form: Mapping[str, Any], run_after: datetime) -> dict[str, Any]:
    """What `tasks.jobs.read_batch` takes, from the form `BATCH`; without a time, that of the run."""
    texts = {name: form[name] for name in ("mapping", "source", "query", "watermark")}
    files = {name: form[name] or [] for name in ("events", "items")}
    return {**texts, **files, "as_of": form["as_of"] or run_after.isoformat(), "dsn": libpq_uri(form["connection"])}
