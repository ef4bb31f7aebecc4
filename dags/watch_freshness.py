"""# Watch how fresh the live release is

Hourly: looks at the live release as a reader would, alerts once where a block is older than its limit
(`PENCHANT_INTEREST_AGE_HOURS`, `PENCHANT_RECOMMENDATION_AGE_HOURS`, `PENCHANT_AGE_LIMITS`) or lacks rows online, and
once when all is well again. The run itself goes well in both cases; what was found is its result.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from pipeline_policy import JUDGED


@dag(schedule="@hourly", doc_md=__doc__, **JUDGED)
def watch_freshness() -> None:
    """One task: look at the age and the rows of the live release."""

    @task
    def check(dag_run: Any) -> dict[str, Any]:
        from tasks import jobs

        return jobs.watch_freshness(dag_run.run_after.isoformat())

    check()


watch_freshness()
