"""The rules of a table, computed from its schema: what each measures in a row, and between which bounds it must lie.

A rule is the single source of everything about itself: the expectation that Great Expectations judges, the rows that
go to quarantine, the reason a person reads, and the line in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tasks.columns import Column, Table
from tasks.errors import SettingsError
from tasks.quality.chunk import PROSE, contract
from tasks.quality.measures import (
    Measure,
    absent,
    damage,
    epoch_seconds,
    foreign_item,
    hours_after_as_of,
    length,
    number,
    silent,
    unlisted,
    unreadable,
    without,
)
from tasks.schema import EVENTS, ITEM_ID, KINDS, TEXT_KINDS

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

UNREADABLE = "unreadable"
"""Stands in the suite for all that a source reported; in ledger and quarantine its own rule names stand instead."""
DUPLICATE, REPEAT, FUTURE = "duplicate_id", "exact_repeat", "future_time"
ROWS = "rows"
"""Line of the ledger that stands for the batch itself."""


@dataclass(frozen=True)
class Rule:
    """One number per row, `measure`, that must lie between `minimum` and `maximum`; NaN where the rule has no say.

    A name may stand for several columns. measure: None where the number takes the rows before this one too, which are
    known only when the batch is settled in order. promised: the schema promises it, so it can never be a mere `info`.
    """

    name: str
    column: str | None
    measured: str
    measure: Measure | None
    reason: str
    minimum: float | None = None
    maximum: float | None = None
    severity: Severity = "warning"
    promised: bool = False

    @property
    def key(self) -> str:
        """Name of the measurement; unlike the rule's name it is unique in a table."""
        return f"{self.name} {self.column}" if self.column else self.name


def rules_for(
    table: Table, *, future_tolerance_hours: float, severities: Mapping[str, Severity] | None = None
) -> tuple[Rule, ...]:
    """Every rule of `table`, those of the schema first.

    future_tolerance_hours: hours a time may lie after as_of. severities: by rule name, instead of the built-in ones.
    Raises `SettingsError` where `severities` names no rule, or would let through what the schema forbids.
    """
    rules = (
        *(rule for column in contract(table) for rule in _of_column(column, future_tolerance_hours)),
        *_of_text(table),
        *(_of_events() if table is EVENTS else ()),
        Rule(UNREADABLE, None, "values that the source could not read", unreadable(), "", maximum=0, promised=True),
        *_of_identity(table),
    )
    return _with_severities(rules, severities or {}, table)


def _of_column(column: Column, future_tolerance_hours: float) -> tuple[Rule, ...]:
    """What the schema itself says of a column: filled, not too long, listed, in range."""
    name, found = column.name, []

    def rule(rule_name: str, measured: str, measure: Measure, reason: str, **bounds: float | None) -> None:
        promised = rule_name != FUTURE
        found.append(Rule(rule_name, name, measured, measure, reason, promised=promised, **bounds))  # type: ignore[arg-type]

    if not column.nullable and not column.type.startswith("list"):
        rule(f"missing_{name}", "absent values", absent(name), f"fill in {name}; it is empty", maximum=0)
    if column.max_length:
        limit, reason = column.max_length, f"shorten {name} to {column.max_length:,} characters"
        rule(f"{name}_too_long", "characters", length(name), reason, maximum=limit)
    if column.one_of:
        rule_name = "language" if name == "language" else f"unknown_{name}"
        listed = ", ".join(column.one_of)
        rule(rule_name, "unlisted values", unlisted(name, column.one_of), f"{name} must be one of {listed}", maximum=0)
    if column.type == "timestamp":
        hours = future_tolerance_hours
        reason = f"{name} lies more than {hours:g} hours after as_of; check the clock and the time zone"
        rule(FUTURE, "hours after as_of", hours_after_as_of(name), reason, maximum=hours)
        reason = f"{name} lies before {column.minimum:%Y}; check the format and the unit of the time"
        rule(f"{name}_range", "seconds since 1970", epoch_seconds(name), reason, minimum=column.minimum.timestamp())  # type: ignore[union-attr]
    elif column.minimum is not None or column.maximum is not None:
        low, high = column.minimum, column.maximum
        rule_name = "rating_scale" if name == "rating" else f"{name}_range"
        span = f"at least {low:g}" if high is None else f"at most {high:g}" if low is None else f"{low:g} to {high:g}"
        rule(rule_name, name, number(name), f"{name} must be {span}; check its scale", minimum=low, maximum=high)  # type: ignore[arg-type]
    return tuple(found)


def _of_text(table: Table) -> tuple[Rule, ...]:
    """Strings must have been read with the right encoding."""
    reason = "{} holds control or replacement characters, or was read with the wrong encoding; name the right one"
    columns = [c.name for c in contract(table) if c.type in ("string", "list<string>") and not c.one_of]
    columns.sort(key=lambda name: name not in PROSE[table.name])  # the column that matters most is named first
    return tuple(Rule("encoding", n, "damaged values", damage(n), reason.format(n), maximum=0) for n in columns)


def _of_events() -> tuple[Rule, ...]:
    """An event must say something: a text, or what was done to which item."""
    item, rating = ITEM_ID.name, EVENTS["rating"].name
    acts = tuple(kind for kind in KINDS if kind not in TEXT_KINDS)
    return (
        Rule("missing_text", "text", "absent texts", silent(TEXT_KINDS), "this kind of event needs a text", maximum=0),
        Rule(f"missing_{item}", item, "absent items", without(item, acts), f"fill in {item}", maximum=0),
        Rule("missing_rating", rating, "absent ratings", without(rating, ("rating",)), "fill in the rating", maximum=0),
        Rule("unknown_item", item, "unlisted items", foreign_item(), "add the item to the catalogue first", maximum=0),
    )


def _of_identity(table: Table) -> tuple[Rule, ...]:
    """One id, one content; the same row once more is no fault."""
    key = table.key[0]
    other = f"another row has this {key} and other content; keep one, or give this row its own {key}"
    return (
        Rule(DUPLICATE, key, "conflicting rows", None, other, maximum=0, promised=True),
        Rule(REPEAT, key, "repeated rows", None, "the row was accepted before", maximum=0, severity="info"),
    )


def _with_severities(rules: tuple[Rule, ...], severities: Mapping[str, Severity], table: Table) -> tuple[Rule, ...]:
    names = {rule.name for rule in rules} - {UNREADABLE}
    for name, severity in severities.items():
        if name not in names:
            raise SettingsError(f"table {table.name!r} has no rule {name!r}; it has {', '.join(sorted(names))}")
        if severity not in SEVERITIES:
            raise SettingsError(f"rule {name!r}: severity {severity!r} is none of {', '.join(SEVERITIES)}")
        if severity == "info" and any(rule.promised for rule in rules if rule.name == name):
            raise SettingsError(f"rule {name!r} cannot be info: the schema of {table.name!r} promises that it holds")
    return tuple(replace(rule, severity=severities.get(rule.name, rule.severity)) for rule in rules)
