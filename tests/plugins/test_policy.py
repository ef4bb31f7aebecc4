"""Wrong data is not tried again; a store, a network or memory is. The GPU lane fits every executor."""

from __future__ import annotations

import pytest
from airflow.sdk import RetryAction
from pipeline_policy import RETRY_POLICY, lane

from tasks import errors

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
