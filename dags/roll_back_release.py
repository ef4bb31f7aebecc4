"""# Roll back to a release

Turns readers back to a release that is still kept, in one step; publishes `live_release`.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task
from pipeline_assets import LIVE_RELEASE, Bag, publish
from pipeline_policy import PIPELINE

PARAMS = {"release": Param(type="string", minLength=1, title="Release", description="Name of a kept release.")}


@dag(schedule=None, params=PARAMS, doc_md=__doc__, **PIPELINE)
def roll_back_release() -> None:
    """One task: flip back."""

    @task(outlets=[LIVE_RELEASE])
    def roll_back(params: dict[str, str]) -> Bag:
        from tasks import jobs

        live = jobs.roll_back(params["release"])
        yield from publish(live, LIVE_RELEASE)
        return live

    roll_back()


roll_back_release()
