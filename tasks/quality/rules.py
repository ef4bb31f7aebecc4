"""The rules of a table, computed from its schema: what each measures in a row, and between which bounds it must lie.

A rule is the single source of everything about itself: the expectation that Great Expectations judges, the rows that
go to quarantine, the reason a person reads, and the line in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

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
from tasks.quality.prose import contacts, link_share, personal, personal_id, repetition, tags, words
from tasks.schema import EVENTS, ITEM_ID, ITEMS, KINDS, TEXT_KINDS, USER_ID

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

UNREADABLE = "unreadable"
"""Stands in the suite for all that a source reported; in ledger and quarantine its own rule names stand instead."""
DUPLICATE, REPEAT, FUTURE, NEAR_DUPLICATE = "duplicate_id", "exact_repeat", "future_time", "near_duplicate"
OF_BATCH = "batch_"
"""How the names of rules on whole batches begin."""
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


Changes = Mapping[str, Mapping[Any, Any]]
"""By rule name: `severity`, `minimum`, `maximum`, each instead of the built-in one."""


def rules_for(table: Table, *, future_tolerance_hours: float, changes: Changes | None = None) -> tuple[Rule, ...]:
    """Every rule of `table`, those of the schema first.

    future_tolerance_hours: hours a time may lie after as_of. changes: to built-in severities and bounds; those of the
    rules of other tables, and of whole batches (`batch_…`), are passed over. Raises `SettingsError` where `changes`
    names no rule, or would let through what the schema forbids.
    """
    rules, others = _built_in(table, future_tolerance_hours), _built_in(ITEMS if table is EVENTS else EVENTS, 0)
    known = {rule.name for rule in (*rules, *others)} - {UNREADABLE}
    for name, change in (changes or {}).items():
        if name not in known and not name.startswith(OF_BATCH):
            raise SettingsError(f"there is no rule {name!r}; the rules are {', '.join(sorted(known))}")
        for rule in (*rules, *others):
            if rule.name == name:
                _refuse_senseless(rule, change)
    return tuple(replace(rule, **(changes or {}).get(rule.name, {})) for rule in rules)


def _built_in(table: Table, future_tolerance_hours: float) -> tuple[Rule, ...]:
    return (
        *(rule for column in contract(table) for rule in _of_column(column, future_tolerance_hours)),
        *_of_text(table),
        *(_of_events() if table is EVENTS else ()),
        *(_of_written_text() if table is EVENTS else ()),
        Rule(UNREADABLE, None, "values that the source could not read", unreadable(), "", maximum=0, promised=True),
        *_of_identity(table),
    )


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
    """Strings must have been read with the right encoding; what else is wrong with prose is noted."""
    damaged = "{} holds control or replacement characters, or was read with the wrong encoding; name the right one"
    columns = [c.name for c in contract(table) if c.type in ("string", "list<string>") and not c.one_of]
    columns.sort(key=lambda name: name not in PROSE[table.name])  # the column that matters most is named first
    left = "{} holds tags that are no HTML, or a template that nobody filled in; take them out"
    blanked = "{} held personal data, which was blanked out"
    prose = PROSE[table.name]
    return (
        *(Rule("encoding", n, "damaged values", damage(n), damaged.format(n), maximum=0) for n in columns),
        *(Rule("markup", n, "tags", tags(n), left.format(n), maximum=0, severity="info") for n in prose),
        *(
            Rule("personal_data", n, "pieces blanked out", personal(n), blanked.format(n), maximum=0, severity="info")
            for n in prose
        ),
    )


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


def _of_written_text() -> tuple[Rule, ...]:
    """What reviews and comments should not be; the bounds were set on 10,180 English reviews that somebody wrote.

    Of those one repeats more than 0.3 of itself (0.47), none is liker than 0.17 to another, and one holds more than
    one link. A text without a word stops no row: its rating is worth having, and models pass over it.
    """
    text, user = EVENTS["text"].name, USER_ID.name
    return (
        Rule("too_short", text, "words", words(), "write at least one word", minimum=1, severity="info"),
        Rule("link_spam", text, "links and contacts", contacts(), "the text holds too many links", maximum=3),
        Rule("only_links", text, "share of links", link_share(), "the text is little but links", maximum=0.8),
        Rule("repetition", text, "share repeated", repetition(), "the text repeats itself throughout", maximum=0.6),
        Rule(NEAR_DUPLICATE, text, "likeness", None, "another user's text says nearly the same", maximum=0.85),
        Rule(
            "personal_id", user, "personal ids", personal_id(),
            f"{user} is itself personal data, such as a mail address; give users other ids", maximum=0, severity="info",
        ),
    )  # fmt: skip


def _of_identity(table: Table) -> tuple[Rule, ...]:
    """One id, one content; the same row once more is no fault."""
    key = table.key[0]
    other = f"another row has this {key} and other content; keep one, or give this row its own {key}"
    return (
        Rule(DUPLICATE, key, "conflicting rows", None, other, maximum=0, promised=True),
        Rule(REPEAT, key, "repeated rows", None, "the row was accepted before", maximum=0, severity="info"),
    )


def _refuse_senseless(rule: Rule, change: Mapping[str, Any]) -> None:
    """Raise `SettingsError` where a change is none that can be made to `rule`."""
    severity = change.get("severity", rule.severity)
    if unknown := sorted(set(change) - {"severity", "minimum", "maximum"}):
        raise SettingsError(f"rule {rule.name!r} has no {unknown[0]!r}; set its severity, minimum or maximum")
    if severity not in SEVERITIES:
        raise SettingsError(f"rule {rule.name!r}: severity {severity!r} is none of {', '.join(SEVERITIES)}")
    if severity == "info" and rule.promised:
        raise SettingsError(f"rule {rule.name!r} cannot be info: the schema promises that it holds")
    for name, wider in (("minimum", -1), ("maximum", 1)):
        bound, built_in = change.get(name), getattr(rule, name)
        if bound is None:
            continue
        if built_in is None:
            raise SettingsError(f"rule {rule.name!r} has no {name}; it holds the number of {rule.measured}")
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            raise SettingsError(f"rule {rule.name!r}: {name} is no number")
        if rule.promised and wider * bound > wider * built_in:
            raise SettingsError(f"rule {rule.name!r}: {name} goes beyond {built_in:g}, which the schema promises")
