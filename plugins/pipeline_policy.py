"""What every pipeline shares: when a task is tried again, how many runs at once, and which lane neural work takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, conf
from pipeline_alerts import RUN_ALERTS, TASK_ALERTS, deadline

from tasks.errors import PenchantError, StoreUnavailable

RETRIES = 2
"""Tries after the first; a killed worker or a lost connection costs one."""

DEFECTS = [ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, TypeError, ValueError]

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[  # the first rule that fits is taken, so the exception to a family stands before the family
        RetryRule(StoreUnavailable, RetryAction.RETRY, timedelta(seconds=15), "a store could not be reached"),
        RetryRule(PenchantError, RetryAction.FAIL, reason="wrong data or settings stay wrong: see the message"),
        RetryRule(MemoryError, RetryAction.RETRY, timedelta(seconds=60), "out of memory: other work may have ended"),
        RetryRule([ConnectionError, TimeoutError], RetryAction.RETRY, timedelta(seconds=15), "the network failed"),
        RetryRule(
            [
                ArithmeticError,
                AssertionError,
                AttributeError,
                ImportError,
                LookupError,
                NameError,
                TypeError,
                ValueError,
            ],
            RetryAction.FAIL,
            reason="a defect in the program: trying again would not help",
        ),
    ]
)
"""What no rule names (a driver's error, a full disk, a GPU out of memory) takes the usual retries."""


def lane(executors: str) -> dict[str, str]:
    """Queue and pool of neural tasks; the executor too where Celery is configured beside another one.

    A local executor ignores the queue. Naming an executor that is not configured would be an import error.
    """
    names = [name.strip() for name in executors.split(",")]
    beside = len(names) > 1 and "CeleryExecutor" in names
    return {"queue": "gpu", "pool": "gpu", **({"executor": "CeleryExecutor"} if beside else {})}


GPU = lane(conf.get("core", "executor"))

PIPELINE: dict[str, Any] = {
    "start_date": pendulum.datetime(2024, 1, 1, tz="UTC"),
    "catchup": False,
    "max_active_runs": 1,
    "tags": ["penchant"],
    "default_args": {
        "owner": "penchant",
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=10),
        "retry_policy": RETRY_POLICY,
        **TASK_ALERTS,
    },
    **RUN_ALERTS,
    **deadline(),
}
"""Arguments of every DAG."""

JUDGED: dict[str, Any] = {name: value for name, value in PIPELINE.items() if name != "on_success_callback"}
"""Arguments of a DAG that says itself how things stand: its run may go well and yet have found a batch late or bad."""

WATCH: dict[str, Any] = {name: value for name, value in JUDGED.items() if name != "deadline"}
"""Arguments of a DAG that watches others: nobody waits for its runs."""
