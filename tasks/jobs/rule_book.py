"""The rules in force: what each measures, between which bounds, and what breaking it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks import schema
from tasks.settings import Settings


def rules() -> dict[str, Any]:
    """Every rule on rows, by table, and every rule on whole batches, with what the settings change."""
    from tasks.quality import rules_for
    from tasks.quality.drift import LIMITS, MEASURED
    from tasks.quality.rules import UNREADABLE

    settings = Settings()
    on_rows = [
        {"table": table.name, **{name: getattr(rule, name) for name in _SHOWN}}
        for table in (schema.EVENTS, schema.ITEMS)
        for rule in rules_for(table, future_tolerance_hours=settings.future_tolerance_hours, changes=settings.rules)
        if rule.name != UNREADABLE
    ]
    limits = {**LIMITS, **settings.batch_limits}
    on_batches = [
        {
            "table": "whole batch", "name": name, "column": None, "measured": MEASURED[name], "minimum": None,
            "maximum": limits[name], "severity": settings.rules.get(name, {}).get("severity", "warning"), "reason": "",
        }
        for name in LIMITS
    ]  # fmt: skip
    return {"rules": [*on_rows, *on_batches]}


_SHOWN = ("name", "column", "measured", "minimum", "maximum", "severity", "reason")


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The rules as text."""
    table = None
    for rule in result["rules"]:
        if rule["table"] != table:
            table = rule["table"]
            yield f"\n{table}"
        low, high = ("" if bound is None else f"{bound:g}" for bound in (rule["minimum"], rule["maximum"]))
        bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
        column = f" of {rule['column']}" if rule["column"] else ""
        yield f"  {rule['name']:<24} {rule['severity']:<9} {rule['measured']}{column}: {bounds}"
