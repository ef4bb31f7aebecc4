"""Data quality: the ledger, the quarantine, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.commands.app import QUALITY, AsJson, AsOf, Why, answer, app, now, override
from tasks.commands.pipeline import ingest_lines

Batch = Annotated[str | None, typer.Option(help="Only this batch.")]
Rule = Annotated[str | None, typer.Option(help="Only rows that broke this rule.")]
Source = Annotated[str | None, typer.Option(help="Only rows from this file or table.")]


@app.command(rich_help_panel=QUALITY)
def ledger(
    batch: Batch = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule, beside the batches themselves.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest batches.")] = None,
    trend: Annotated[bool, typer.Option("--trend", help="Share of rows by rule, a column for each batch.")] = False,
    as_json: AsJson = False,
) -> None:
    """The quality ledger: one line per batch and rule."""
    from tasks.jobs import quality_ledger

    found = quality_ledger.ledger(batch=batch, rule=rule, last=last)
    answer(found, as_json, quality_ledger.trend if trend else quality_ledger.lines)


@app.command(rich_help_panel=QUALITY)
def quarantine(
    batch: Batch = None,
    rule: Rule = None,
    table: Annotated[str | None, typer.Option(help="Only rows meant for this table.")] = None,
    source: Source = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="Those that were replayed too.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the rows: .jsonl to mend and replay, .csv for a spreadsheet.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Quarantined rows with rule and reason; the rows themselves only into a file you name."""
    from tasks.jobs import quarantined

    found = quarantined.quarantine(batch=batch, rule=rule, table=table, source=source, replayed=replayed, out=out)
    answer(found, as_json, quarantined.lines)


@app.command(rich_help_panel=QUALITY)
def replay(
    file: Annotated[Path | None, typer.Argument(help="What `quarantine --out` wrote, mended.")] = None,
    batch: Batch = None,
    rule: Rule = None,
    source: Source = None,
    as_of: AsOf = None,
    accept: Why = None,
    as_json: AsJson = False,
) -> None:
    """Send mended rows through the check again, or without a file the quarantined rows as they are."""
    from tasks.jobs import replaying

    result = replaying.replay(
        file=str(file) if file else None,
        batch=batch,
        rule=rule,
        source=source,
        as_of=as_of or now(),
        override=override(accept),
    )
    answer(result, as_json, ingest_lines)


@app.command(rich_help_panel=QUALITY)
def reports(as_json: AsJson = False) -> None:
    """The reports on batches that are kept, and where they are."""
    from tasks.jobs import reports as reporting

    answer({"reports": reporting.list_reports()}, as_json, reporting.lines)


@app.command(rich_help_panel=QUALITY)
def alerts(
    test: Annotated[bool, typer.Option("--test", help="Send a test alert to every target first.")] = False,
    deliver: Annotated[bool, typer.Option("--deliver", help="Try first what waits for a target.")] = False,
    as_json: AsJson = False,
) -> None:
    """Alert targets, open incidents, and what waits to be delivered."""
    from tasks.jobs import alerting

    if deliver:
        alerting.deliver()
    answer(alerting.send_test() if test else alerting.status(), as_json, alerting.lines)


@app.command(rich_help_panel=QUALITY)
def rules(as_json: AsJson = False) -> None:
    """The rules in force: what each measures, its bounds, and what breaking it does."""
    from tasks.jobs import rule_book

    answer(rule_book.rules(), as_json, rule_book.lines)
