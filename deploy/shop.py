"""Batches of the sample shop, put into the inbox one after another as a shop's life goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.components import Command

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
"""Day 0 of every sample shop."""


@dataclass(frozen=True)
class Shop:
    """What one shop is made from; the same shop gives the same batches."""

    users: int = 300
    days: int = 60
    seed: int = 0
    faults: float = 0.03


@dataclass(frozen=True)
class Batch:
    """The next stretch of a shop's life."""

    number: int
    folder: Path
    command: Command
    as_of: str
    """End of its last day."""


class Inbox:
    """The folder that batches are put into, and the memory of how many were taken in."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "inbox"
        self._memory = self.folder / "shop.json"

    def shop(self, wished: Shop) -> Shop:
        """The shop whose batches are in the inbox already, else `wished`."""
        memory = self._read()
        return Shop(**memory["shop"]) if memory else wished

    def next(self, shop: Shop) -> Batch:
        """The batch after the last one that was taken in; later batches are a quarter as long as the first."""
        taken = self._read().get("taken", 0)
        later = max(1, shop.days // 4)
        first_day = shop.days + (taken - 1) * later if taken else 0
        days = later if taken else shop.days
        folder = self.folder / f"batch-{taken + 1:03d}"
        options = {
            "out": folder,
            "users": shop.users,
            "days": days,
            "first-day": first_day,
            "start": BEGINNING.date(),
            "seed": shop.seed,
            "faults": shop.faults,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = ("python", "-m", "tasks", "sample-shop", *words)
        return Batch(taken + 1, folder, command, (BEGINNING + timedelta(days=first_day + days)).isoformat())

    def took(self, shop: Shop, batch: Batch) -> None:
        """Remember that `batch` was taken in."""
        aside = self._memory.with_suffix(".aside")
        aside.write_text(json.dumps({"shop": asdict(shop), "taken": batch.number}))
        aside.replace(self._memory)

    def _read(self) -> dict[str, Any]:
        memory: dict[str, Any] = json.loads(self._memory.read_text()) if self._memory.is_file() else {}
        return memory
