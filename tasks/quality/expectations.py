"""The rules as a Great Expectations suite, judged for real by its pandas engine.

The suite sees the measurements of a chunk, one column per rule, never the chunk: no result, log line or report of
Great Expectations can hold what a person wrote. Each expectation is GX's own *expect column values to be between*
(its parameters and its rendering), on a metric that answers with the rows themselves. GX's stock metric graph costs
8 ms per expectation and chunk, and 2 µs per row and expectation more where rows fail; this one costs 1 ms in all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

logging.getLogger("great_expectations").setLevel(logging.ERROR)  # before the import, which logs

import great_expectations as gx  # noqa: E402
from great_expectations.compatibility.pydantic import PrivateAttr  # noqa: E402
from great_expectations.core.metric_domain_types import MetricDomainTypes  # noqa: E402
from great_expectations.data_context.types.base import (  # noqa: E402
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: E402
from great_expectations.expectations.core.expect_column_values_to_be_between import (  # noqa: E402
    ExpectColumnValuesToBeBetween,
)
from great_expectations.expectations.expectation import BatchExpectation  # noqa: E402
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: E402
from great_expectations.expectations.metadata_types import FailureSeverity  # noqa: E402
from great_expectations.expectations.metrics.metric_provider import metric_value  # noqa: E402
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider  # noqa: E402

from tasks.errors import PenchantError  # noqa: E402
from tasks.quality.measures import outside  # noqa: E402
from tasks.quality.rules import Rule  # noqa: E402

_METRIC = "penchant.rows_out_of_bounds"
GX_VERSION: str = gx.__version__


class RowsOutOfBounds(TableMetricProvider):
    """Metric: rows of a measurement that lie below `min_value` or above `max_value`; NaN lies nowhere."""

    metric_name = _METRIC
    value_keys = ("column", "min_value", "max_value")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> tuple[int, NDArray[np.int64]]:
        frame, _compute, _accessor = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        bounds = (metric_value_kwargs["min_value"], metric_value_kwargs["max_value"])
        return len(frame), np.flatnonzero(outside(frame[metric_value_kwargs["column"]].to_numpy(), *bounds))


class ExpectMeasurementToBeBetween(ExpectColumnValuesToBeBetween):
    """Expect each measurement to lie between two bounds; its result names every row that does not."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (_METRIC,)

    _written: Any = PrivateAttr(default=None)

    @property
    def configuration(self) -> ExpectationConfiguration:
        """Written once; GX asks for it 24 times a run, which was half of what a run cost."""
        if self._written is None:
            self._written = super().configuration
        written: ExpectationConfiguration = self._written
        return written

    def get_validation_dependencies(self, *args: Any, **kwargs: Any) -> Any:
        """One metric instead of the eight of the stock expectation."""
        return BatchExpectation.get_validation_dependencies(self, *args, **kwargs)

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows, out = metrics[_METRIC]
        result = {
            "element_count": rows,
            "unexpected_count": len(out),
            "unexpected_percent": 100 * len(out) / rows if rows else 0.0,
            "unexpected_index_list": out,
        }
        return {"success": not len(out), "result": result}


class Suite:
    """The expectations of a table's rules, in an ephemeral context that writes nothing and calls nobody."""

    def __init__(self, name: str, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._expectations = gx.ExpectationSuite(name, expectations=[expectation(rule) for rule in rules])
        self._batch = _batch_definition()

    def judge(self, measurements: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
        """Rows that break each rule, by the rule's key, in order; `measurements` by key too, (n,) each."""
        frame = pd.DataFrame(dict(measurements), copy=False)
        outcome = self._batch.get_batch(batch_parameters={"dataframe": frame}).validate(
            self._expectations, result_format="COMPLETE"
        )
        broken = {}
        for result in outcome.results:
            key = result.expectation_config.kwargs["column"]
            if "unexpected_index_list" not in result.result:  # GX turns an error into a mere failure
                raise PenchantError(f"Great Expectations could not judge {key!r}: {_exception(result)}")
            broken[key] = result.result["unexpected_index_list"]
        return broken


def document(name: str, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """The suite of `rules` as Great Expectations writes it."""
    suite = gx.ExpectationSuite(name, expectations=[expectation(rule) for rule in rules])
    written: dict[str, Any] = suite.to_json_dict()
    return written


def expectation(rule: Rule) -> ExpectMeasurementToBeBetween:
    """The expectation that stands for `rule`."""
    return ExpectMeasurementToBeBetween(
        column=rule.key,
        min_value=rule.minimum,
        max_value=rule.maximum,
        severity=FailureSeverity(rule.severity),
        meta={"rule": rule.name, "column": rule.column, "measured": rule.measured, "reason": rule.reason},
    )


@cache
def _batch_definition() -> Any:
    """Where a frame is handed in, in a context that lives in memory only."""
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())  # as shipped it makes a folder
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return (
        context.data_sources.add_pandas("chunks")
        .add_dataframe_asset("measurements")
        .add_batch_definition_whole_dataframe("whole")
    )


def _exception(result: Any) -> str:
    """The first line of what GX caught; it names metrics and columns, and values it never had."""
    info = result.exception_info
    entries = [info] if "exception_message" in info else list(info.values())
    return "; ".join(sorted({str(entry["exception_message"]).splitlines()[0] for entry in entries}))
