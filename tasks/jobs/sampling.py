"""The sample shop, written to a folder."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from tasks.jobs.workspace import progress


def write(
    out: Path, *, users: int, days: int, seed: int, faults: float, first_day: int = 0, start: date = date(2026, 1, 1)
) -> dict[str, Any]:
    """Write `days` days of the shop from `first_day` on; gives counts, paths and the end of the interval (`as_of`)."""
    from tasks.sources.sample_shop import write_shop

    with progress("sample shop", days) as update:
        return write_shop(
            out, users=users, days=days, seed=seed, faults=faults, first_day=first_day, start=start, progress=update
        )
