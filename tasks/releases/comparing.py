"""Two releases side by side: rows, recommendations, cards; read as streams, so memory does not grow with users."""

# Column names in the SQL below come from tasks.schema; file names are parameters.
# ruff: noqa: S608
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tasks import schema
from tasks.columns import Table
from tasks.errors import ReleaseError
from tasks.releases.offline import DIGEST, offline_path

PERSISTENCE = 0.9
"""Chance to look one place further down a list; the first ten places then weigh 86 % (Webber and others, 2010)."""
TOP = 10
BATCH = 5_000
MEMORY = "400MB"
NORMAL_95 = 1.959964
"""Half-width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class RowChanges:
    """How the rows of one table differ, by key."""

    added: int
    removed: int
    changed: int
    same: int


@dataclass(frozen=True)
class TopChanges:
    """How the first places of recommendations differ, over the users who are in both releases."""

    users: int
    changed: int
    added: int
    """Users that only the newer release has."""
    removed: int
    jaccard: float | None
    """Mean share of the items in either top that are in both; None where no user is in both."""
    overlap: float | None
    """Mean rank-biased overlap, in which the first places weigh most."""

    @property
    def share(self) -> float | None:
        """Share of the users in both whose top changed."""
        return self.changed / self.users if self.users else None


@dataclass(frozen=True)
class Change:
    """One figure of two cards; the interval of the difference (95 %) where the cards hold intervals."""

    old: float
    new: float
    interval: tuple[float, float] | None = None

    @property
    def difference(self) -> float:
        """New minus old."""
        return self.new - self.old


def row_changes(home: Path, old: str, new: str, table: Table) -> RowChanges:
    """Rows of `table` that were added, removed, changed or left the same from release `old` to `new`, by content."""
    key = table.key[0]
    with _database() as run:
        counts = run.execute(
            f"""
            SELECT count(*) FILTER (o."{key}" IS NULL), count(*) FILTER (n."{key}" IS NULL),
                   count(*) FILTER (o.{DIGEST} <> n.{DIGEST}), count(*) FILTER (o.{DIGEST} = n.{DIGEST})
            FROM (SELECT "{key}", {DIGEST} FROM read_parquet($old)) o
            FULL JOIN (SELECT "{key}", {DIGEST} FROM read_parquet($new)) n USING ("{key}")
            """,
            _files(home, old, new, table),
        ).fetchall()[0]
    return RowChanges(*counts)


def top_changes(home: Path, old: str, new: str, *, changed_users: Path | None = None, top: int = TOP) -> TopChanges:
    """How each user's first `top` recommendations differ from release `old` to `new`.

    User ids are personal: they are counted only, unless `changed_users` names a file to write those to whose top
    changed, one a line. The recommendations for anyone unknown count as one user.
    """
    users = changed = added = removed = 0
    jaccard = overlap = 0.0
    file = changed_users.open("w", encoding="utf-8") if changed_users else None
    try:
        for user, before, after in _tops(home, old, new, top):
            added, removed = added + (before is None), removed + (after is None)
            if before is None or after is None:
                continue
            users += 1
            both, either = len(set(before) & set(after)), len(set(before) | set(after))
            jaccard += both / either if either else 1.0
            overlap += rank_biased_overlap(before, after)
            if list(before) != list(after):
                changed += 1
                if file:
                    file.write(f"{user}\n")
    finally:
        if file:
            file.close()
    means = (jaccard / users, overlap / users) if users else (None, None)
    return TopChanges(users, changed, added, removed, *means)


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """Likeness of two rankings in [0, 1], extrapolated from what is seen (Webber and others, 2010, equation 32).

    1 for equal lists, also for two empty ones; 0 for lists with nothing in common.
    """
    short, long = sorted((one, other), key=len)
    if not short:
        return float(not long)
    common, total, at_short = 0, 0.0, 0
    seen: tuple[set[str], set[str]] = (set(), set())
    for depth in range(1, len(long) + 1):
        seen[0].update(short[depth - 1 : depth])
        seen[1].add(long[depth - 1])
        common = len(seen[0] & seen[1])
        total += common / depth * persistence**depth
        if depth <= len(short):
            at_short = common
        else:  # the short list is taken to go on as it went
            total += at_short * (depth - len(short)) / (len(short) * depth) * persistence**depth
    last = (common - at_short) / len(long) + at_short / len(short)
    return (1 - persistence) / persistence * total + last * persistence ** len(long)


def card_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Change]]:
    """By method and figure, what both evaluation cards hold.

    The interval of a difference takes the two as normal and independent, which is too wide rather than too narrow
    where both were measured on the same users.
    """
    made: dict[str, dict[str, Change]] = {}
    for method in [name for name in new.get("results", {}) if name in old.get("results", {})]:
        before, after = old["results"][method], new["results"][method]
        made[method] = {
            name: Change(before[name], value, _interval(before, after, name) if old["metric"] == name else None)
            for name, value in after.items()
            if isinstance(value, int | float) and isinstance(before.get(name), int | float)
        }
    return made


def _interval(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """95 % interval of the difference of one figure whose own intervals both cards hold."""
    if not (before.get("interval") and after.get("interval")):
        return None
    errors = [(card["interval"][1] - card["interval"][0]) / (2 * NORMAL_95) for card in (before, after)]
    half = NORMAL_95 * sum(error**2 for error in errors) ** 0.5
    difference = float(after[name] - before[name])
    return difference - half, difference + half


def _tops(home: Path, old: str, new: str, top: int) -> Iterator[tuple[str, list[str] | None, list[str] | None]]:
    """User, first places before and after; None where the user is not there."""
    table = schema.RECOMMENDATIONS
    key, items = table.key[0], table["item_ids"].name
    with _database() as run:
        run.execute(
            f"""
            SELECT coalesce(o."{key}", n."{key}"), o.top, n.top
            FROM (SELECT "{key}", "{items}"[:$top] AS top FROM read_parquet($old)) o
            FULL JOIN (SELECT "{key}", "{items}"[:$top] AS top FROM read_parquet($new)) n USING ("{key}")
            """,
            {**_files(home, old, new, table), "top": top},
        )
        while rows := run.fetchmany(BATCH):
            yield from rows


def _files(home: Path, old: str, new: str, table: Table) -> dict[str, str]:
    """Where the rows of both releases lie; raises `ReleaseError` where they are gone."""
    paths = {"old": offline_path(home, old, table), "new": offline_path(home, new, table)}
    for name, path in zip((old, new), paths.values(), strict=True):
        if not path.is_file():
            raise ReleaseError(
                f"release {name} has no rows of {table.name} on disk; a retired release cannot be compared, so pin one "
                "that you want to keep"
            )
    return {side: str(path) for side, path in paths.items()}


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as run:
        run.execute(f"SET memory_limit = '{MEMORY}'")
        run.execute("SET preserve_insertion_order = false")
        yield run
