"""Data quality: the ledger, the quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.commands.app import QUALITY, AsJson, answer, app


@app.command(rich_help_panel=QUALITY)
def ledger(as_json: AsJson = False) -> None:
    """The quality ledger: one line per batch and rule."""
    from tasks.jobs import reading

    answer(reading.ledger(), as_json, reading.ledger_lines)


@app.command(rich_help_panel=QUALITY)
def quarantine(
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows as JSON lines, to mend and take in again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Quarantined rows with rule and reason; the rows themselves only into a file you name."""
    from tasks.jobs import reading

    answer(reading.quarantine(batch=batch, rule=rule, out=out), as_json, reading.quarantine_lines)
