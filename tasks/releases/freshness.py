"""How old a block may be, and what a reader is told about one that is older."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks import schema
from tasks.errors import SettingsError

Status = Literal["PRESENT", "STALE", "ABSENT"]
RECOMMENDED_FROM = (schema.USER_VECTORS.name, schema.USER_TOPICS.name, schema.USER_EVOLUTION.name)
"""Blocks of a user that the scorers read; see `tasks/jobs/scores.py`."""


@dataclass(frozen=True)
class Freshness:
    """The reader's clock, and by served table how old a row may be; times are timezone-aware."""

    now: datetime
    limits: Mapping[str, timedelta]

    def age(self, as_of: datetime | None) -> float | None:
        """Seconds since `as_of`; 0 where clocks differ and it lies ahead, None where there is none."""
        return None if as_of is None else max(0.0, (self.now - as_of).total_seconds())

    def status(self, table: str, as_of: datetime | None) -> Status:
        """`ABSENT` without a time, `STALE` where older than the limit, else `PRESENT`; at the limit still present."""
        if as_of is None:
            return "ABSENT"
        return "STALE" if self.now - as_of > self.limits[table] else "PRESENT"


def age_limits(
    *, interests: float, recommendations: float, single: Mapping[str, float] | None = None
) -> dict[str, timedelta]:
    """By served table, how old its rows may be; arguments in hours, those in `single` before the general ones.

    Raises `SettingsError` where `single` names a table that is not served.
    """
    single = single or {}
    names = {table.name for table in schema.SERVED}
    if unknown := sorted(set(single) - names):
        raise SettingsError(f"PENCHANT_AGE_LIMITS: no block is called {unknown}; there are {sorted(names)}")
    general = dict.fromkeys(names, interests) | {schema.RECOMMENDATIONS.name: recommendations}
    return {name: timedelta(hours=hours) for name, hours in {**general, **single}.items()}


def stale_inputs(statuses: Mapping[str, Status]) -> list[str]:
    """Which of the blocks that recommendations are made from are stale."""
    return [name for name in RECOMMENDED_FROM if statuses.get(name) == "STALE"]
