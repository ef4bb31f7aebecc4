"""# Score items for everyone

Starts when interests were refreshed. The backtest measures the scorers on the end of time and chooses the blend; the
blend then scores for everyone; publishes `recommendations`.
"""

from __future__ import annotations

from airflow.sdk import dag, task
from pipeline_assets import RECOMMENDATIONS, USER_INTERESTS, Bag, publish, received
from pipeline_policy import PIPELINE


@dag(schedule=[USER_INTERESTS], doc_md=__doc__, **PIPELINE)
def score_hybrid() -> None:
    """Backtest, then score."""

    @task
    def backtest(**context: object) -> Bag:
        from tasks import jobs

        return jobs.backtest(received(context, USER_INTERESTS))

    @task(outlets=[RECOMMENDATIONS])
    def score(backtest: Bag, **context: object) -> Bag:
        from tasks import jobs

        bag = jobs.score(received(context, USER_INTERESTS), backtest)
        yield from publish(bag, RECOMMENDATIONS)
        return bag

    score(backtest())


score_hybrid()
