"""The main job, step by step: ingest, refresh, score, publish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.commands.app import MAIN, AsJson, AsOf, Why, answer, app, now, override

PIPELINE = "ingest_events"
"""Alerts tell of a batch under the same name whether the shell or Airflow takes it in."""


@app.command(rich_help_panel=MAIN)
def ingest(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Event files: CSV, JSON lines or Parquet, also .gz.")
    ] = None,
    items: Annotated[list[Path] | None, typer.Option(help="Item files, in the same formats.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping of your columns; see `examples/`.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of where the rows come from, for the ledger.")] = None,
    query: Annotated[str | None, typer.Option(help="SELECT to run instead of reading files.")] = None,
    watermark: Annotated[
        str | None, typer.Option(help="Column of the query that only grows; old rows are skipped.")
    ] = None,
    pushed: Annotated[bool, typer.Option("--pushed", help="Take in what was pushed since the last time.")] = False,
    as_of: AsOf = None,
    accept: Why = None,
    as_json: AsJson = False,
) -> None:
    """Check a batch and take in what is good; bad rows go to quarantine with a reason.

    A query reads the PostgreSQL database that `PENCHANT_SOURCE_DSN` names.
    """
    from tasks import jobs
    from tasks.errors import BatchRefused, SettingsError
    from tasks.jobs import alerting

    batch = {
        "events": [str(f) for f in files or []],
        "items": [str(f) for f in items or []],
        "mapping": str(mapping) if mapping else None,
        "source": source,
        "as_of": now() if as_of is None else as_of,
        "query": query,
        "watermark": watermark,
    }
    if pushed and (files or items or query):
        raise SettingsError("--pushed is a batch of its own; take the files in with another command")
    try:
        if pushed:
            result = jobs.ingest_pushed(as_of=as_of or now(), override=override(accept))
        else:
            result = jobs.ingest(**batch, override=override(accept))
    except BatchRefused as refused:  # any other error is the caller's, who sees it here
        alerting.report_failure(PIPELINE, refused, source=source or "")
        raise
    alerting.report_batch(PIPELINE, result, source=source or "")
    answer(result, as_json, ingest_lines)


@app.command(rich_help_panel=MAIN)
def refresh(as_json: AsJson = False) -> None:
    """Refresh topics, text vectors, the sequence model and every interest block from all that was accepted."""
    from tasks.jobs import chain

    answer(chain.refresh(), as_json, _reference_lines)


@app.command(rich_help_panel=MAIN)
def score(as_json: AsJson = False) -> None:
    """Backtest, learn the blend, write the evaluation card and recommend for every user."""
    from tasks.jobs import chain

    answer(chain.score(), as_json, _reference_lines)


@app.command(rich_help_panel=MAIN)
def publish(
    force: Annotated[bool, typer.Option(help="Publish even where the card is worse than the live one's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a release to Feast, verify it by reading back, and switch every reader to it at once."""
    from tasks.jobs import chain

    answer(chain.publish(force=force), as_json, lambda r: [f"live release: {r['live']}"])


def ingest_lines(result: dict[str, Any]) -> Iterator[str]:
    """What became of a batch's rows, as text."""
    if result.get("already"):
        yield f"{result['already']:,} rows were replayed before and are left out"
        if result["repeated"]:
            return
    if result["repeated"]:
        yield f"batch {result['batch_id']} was taken in before: nothing to do"
    for table, counts in result["counts"].items():
        yield f"{table}: " + ", ".join(f"{number:,} {name}" for name, number in counts["rows"].items())
        for rule, number in counts["rules"].items():
            yield f"    {number:>7,}  {rule}"
    for alarm in result.get("alarms", ()):
        yield f"whole batch: {alarm}"
    if taken := result.get("override"):
        yield f"kept by {taken['by']}: {taken['why']}"


def _reference_lines(result: dict[str, Any]) -> Iterator[str]:
    for name, ref in result["refs"].items():
        yield f"{name}@{ref['version']}" + (f"  {ref['rows']:,} rows" if ref["rows"] else "")
