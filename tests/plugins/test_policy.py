"""Wrong data is not tried again; a store, a network or memory is. The GPU lane fits every executor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import RetryAction
from pipeline_alerts import run_failed, run_succeeded, task_failed
from pipeline_policy import JUDGED, PIPELINE, RETRY_POLICY, WATCH, lane

from tasks import errors

PROJECT = Path(__file__).parents[2]
OURS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.PenchantError)]


@pytest.mark.parametrize("error", OURS)
def test_our_own_errors_fail_at_once_but_for_an_unreachable_store(error: type[Exception]) -> None:
    wanted = RetryAction.RETRY if error is errors.StoreUnavailable else RetryAction.FAIL
    assert RETRY_POLICY.evaluate(error("what"), 1, 3).action is wanted


@pytest.mark.parametrize("error", [MemoryError(), ConnectionResetError(), TimeoutError()])
def test_memory_and_network_are_tried_again(error: Exception) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.RETRY


@pytest.mark.parametrize("error", [KeyError("a"), TypeError("b"), ValueError("c"), ModuleNotFoundError("d")])
def test_a_defect_fails_at_once(error: Exception) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("CUDA out of memory")])
def test_what_no_rule_names_takes_the_usual_retries(error: Exception) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("executors", "executor"),
    [
        ("LocalExecutor", None),
        ("CeleryExecutor", None),
        ("LocalExecutor,CeleryExecutor", "CeleryExecutor"),
        ("LocalExecutor, KubernetesExecutor", None),
    ],
)
def test_an_executor_is_named_only_where_it_must_and_may_be(executors: str, executor: str | None) -> None:
    assert lane(executors) == {"queue": "gpu", "pool": "gpu", **({"executor": executor} if executor else {})}


def test_every_run_tells_of_its_failure_and_only_one_that_is_not_judged_of_its_success() -> None:
    for arguments in (PIPELINE, JUDGED, WATCH):
        assert arguments["on_failure_callback"] is run_failed
        assert arguments["default_args"]["on_failure_callback"] is task_failed
    assert PIPELINE["on_success_callback"] is run_succeeded
    assert not {"on_success_callback"} & {*JUDGED, *WATCH}


def test_a_deadline_is_for_pipelines_and_not_for_what_watches_them() -> None:
    script = "from pipeline_policy import *; print('deadline' in PIPELINE, 'deadline' in JUDGED, 'deadline' in WATCH)"
    environ = {**os.environ, "PENCHANT_BATCH_DEADLINE_MINUTES": "30", "PYTHONPATH": "plugins:."}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["True", "True", "False"], ran.stderr[-2000:]
