"""The quality ledger: what became of the rows of each batch, and which rules they broke, over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks import schema
from tasks.jobs.history import last_batch, read_history
from tasks.jobs.workspace import open_store, refs_of
from tasks.settings import Settings

ROWS = "rows"
"""Rule of the line that stands for the batch itself."""


def ledger(*, batch: str | None = None, rule: str | None = None, last: int | None = None) -> dict[str, Any]:
    """Lines of the ledger, oldest batch first, and the overrides by batch; `last` keeps the newest batches only."""
    store = open_store(Settings())
    frame = store.read_frame(refs_of(last_batch(store))[schema.LEDGER.name], schema.LEDGER)
    batches = read_history(store)["batches"]
    known = list(batches)[-last:] if last else list(batches)
    frame = frame[frame["batch_id"].isin([b for b in known if batch in (None, b)])]
    frame = frame[(frame["rule"] == rule) | (frame["rule"] == ROWS)] if rule else frame
    overrides = {name: bag["override"] for name, bag in batches.items() if bag.get("override")}
    return {"ledger": frame.to_dict("records"), "overrides": overrides}


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The ledger as text: each batch's rows, then the rules that were broken."""
    for row in result["ledger"]:
        if row["rule"] == ROWS:
            yield (
                f"{row['batch_id']}  {row['table']}  as of {row['as_of']}: {row['rows_in']:,} in, "
                f"{row['rows_accepted']:,} accepted, {row['rows_quarantined']:,} quarantined, "
                f"{row['rows_repeated']:,} repeated"
            )
            if taken := result["overrides"].get(row["batch_id"]):
                yield f"    kept by {taken['by']}: {taken['why']}"
        elif row["rows_failed"]:
            yield f"    {row['rows_failed']:>7,}  {row['rule']} ({row['severity']})"


def trend(result: Mapping[str, Any]) -> Iterator[str]:
    """The ledger over time: for each rule the share of rows that broke it, a column for each batch, oldest first."""
    shares: dict[tuple[str, str], dict[str, float]] = {}
    order: list[str] = []
    for row in result["ledger"]:
        if row["batch_id"] not in order:
            order.append(row["batch_id"])
        if row["rows_failed"] or row["rule"] == ROWS:
            share = row["rows_failed"] / row["rows_in"] if row["rows_in"] else 0.0
            shares.setdefault((row["table"], row["rule"]), {})[row["batch_id"]] = share
    yield f"{'':<44}" + "".join(f"{batch[:8]:>10}" for batch in order)
    for (table, rule), by_batch in sorted(shares.items()):
        name = "quarantined" if rule == ROWS else rule
        cells = "".join(f"{by_batch.get(batch, 0.0):>10.2%}" for batch in order)
        yield f"{table.removeprefix('accepted_') + ' ' + name:<44}" + cells
