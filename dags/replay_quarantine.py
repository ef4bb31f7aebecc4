"""# Send quarantined rows through the check again

Takes the mended rows of a file, or without one the quarantined rows as they are, such as after a catalogue arrived.
What passes is published as `accepted_events` and `accepted_items`; what does not waits in quarantine, under the
replay's own batch. Rows that were replayed before are left out: replaying twice changes nothing twice.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException
from pipeline_alerts import tell_batch
from pipeline_assets import ACCEPTED_EVENTS, ACCEPTED_ITEMS, Bag, publish
from pipeline_forms import REPLAY
from pipeline_policy import JUDGED


@dag(schedule=None, params=REPLAY, doc_md=__doc__, **JUDGED)
def replay_quarantine() -> None:
    """One task: replay, and publish what was accepted."""

    @task(outlets=[ACCEPTED_EVENTS, ACCEPTED_ITEMS])
    def replay(params: dict[str, Any], ti: Any, **context: Any) -> Bag:
        from tasks import jobs

        form = {name: params[name] for name in ("file", "batch", "rule", "source")}
        kept = jobs.replay(**form, as_of=params["as_of"] or context["dag_run"].run_after.isoformat())
        # A second try may find its own replay: then the first one died before it could publish.
        if kept["repeated"] and ti.try_number == 1:
            raise AirflowSkipException("there is nothing to replay that was not replayed before; nothing was changed")
        yield from publish(tell_batch(kept, {**context, "ti": ti, "params": params}), ACCEPTED_EVENTS, ACCEPTED_ITEMS)
        return kept

    replay()


replay_quarantine()
