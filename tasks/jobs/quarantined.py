"""The quarantine: which rows are still in it, why, and how they leave it as a file to mend."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks import schema
from tasks.errors import SettingsError
from tasks.jobs.history import kept_before, last_batch, read_history
from tasks.jobs.workspace import open_store
from tasks.settings import Settings
from tasks.store import Store

PLACE = ["batch_id", "table", "position"]
"""What names a row of the quarantine."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet would run (OWASP, CSV Injection)."""


def quarantine(
    *,
    batch: str | None = None,
    rule: str | None = None,
    table: str | None = None,
    source: str | None = None,
    replayed: bool = False,
    out: Path | None = None,
) -> dict[str, Any]:
    """Quarantined rows: places and reasons, and counts by rule; the rows themselves only into `out`.

    Rows that were replayed are left out unless `replayed`. `out` ends in .jsonl, to mend and replay, or in .csv, for
    a spreadsheet. Raises `SettingsError` where it ends otherwise.
    """
    if out and out.suffix not in (".jsonl", ".csv"):
        raise SettingsError(f"{out} is neither .jsonl, to mend and replay, nor .csv, for a spreadsheet; name one")
    store = open_store(Settings())
    last_batch(store)  # says what to do where there is none
    found = select(store, batch=batch, rule=rule, table=table, source=source, replayed=replayed)
    if out:
        (_write_lines if out.suffix == ".jsonl" else _write_csv)(found, out)
    counts = found["rule"].value_counts().sort_index()
    return {
        "rows": found.drop(columns="row").to_dict("records"),
        "counts": {str(name): int(number) for name, number in counts.items()},
        "written": str(out) if out else None,
    }


def select(
    store: Store,
    *,
    batch: str | None = None,
    rule: str | None = None,
    table: str | None = None,
    source: str | None = None,
    replayed: bool = False,
) -> pd.DataFrame:
    """Lines of `schema.QUARANTINE` that fit, in order; all lines of a row that has one that fits."""
    frame = _all(store, schema.QUARANTINE)
    if not replayed:
        again = pd.MultiIndex.from_frame(_all(store, schema.REPLAYED)[PLACE])
        frame = frame[~pd.MultiIndex.from_frame(frame[PLACE]).isin(again)]
    wanted = {"batch_id": batch, "rule": rule, "table": table, "source": source}
    fits = pd.Series(True, index=frame.index)
    for column, value in wanted.items():
        if value is not None:
            fits &= frame[column] == value
    places = pd.MultiIndex.from_frame(frame.loc[fits, PLACE])
    return frame[pd.MultiIndex.from_frame(frame[PLACE]).isin(places)].reset_index(drop=True)


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The quarantine as text, one line per row and rule."""
    for row in result["rows"]:
        yield (
            f"{row['batch_id']}  {row['source']} {row['table'].removeprefix('accepted_')} row {row['position']}: "
            f"{row['rule']}: {row['reason']}"
        )
    if result["written"]:
        todo = "; mend `row` in it and `replay` it" if result["written"].endswith(".jsonl") else ""
        yield f"{len(result['rows']):,} lines written to {result['written']}{todo}"


def _all(store: Store, table: Any) -> pd.DataFrame:
    refs = kept_before(read_history(store), table.name)
    return store.read_frame(refs[0], table) if refs else pd.DataFrame(columns=list(table.names))


def _write_lines(found: pd.DataFrame, out: Path) -> None:
    """One JSON document per row: its place, what is wrong with it, and `row` as it came."""
    with out.open("w", encoding="utf-8") as file:
        for place, of_row in found.groupby(PLACE, sort=False):
            wrong = of_row[["rule", "column", "reason"]].to_dict("records")
            document = {
                **dict(zip(PLACE, place, strict=True)),
                "wrong": wrong,
                "row": json.loads(of_row["row"].iloc[0]),
            }
            file.write(json.dumps(document, ensure_ascii=False, default=int) + "\n")


def _write_csv(found: pd.DataFrame, out: Path) -> None:
    """A table for a spreadsheet; a cell that it would take for a formula begins with an apostrophe."""
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(found.columns)
        for row in found.itertuples(index=False):
            writer.writerow([_harmless(cell) for cell in row])


def _harmless(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
