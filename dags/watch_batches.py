"""# Watch for batches that do not come

Hourly where batches are waited for (`PENCHANT_BATCH_EVERY_HOURS`) or alerts have a target: alerts once where the newest
batch is too old and once when one comes, and delivers alerts that a target did not take before.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from pipeline_alerts import hourly_if_watched, watch
from pipeline_policy import WATCH


@dag(schedule=hourly_if_watched(), doc_md=__doc__, **WATCH)
def watch_batches() -> None:
    """One task: look at the age of the newest batch."""

    @task
    def check(dag_run: Any) -> dict[str, Any]:
        return watch(dag_run.run_after)

    check()


watch_batches()
