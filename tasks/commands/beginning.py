"""Where one begins: the sample shop, the settings, the data dictionary."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from tasks.commands.app import BEGINNING, AsJson, answer, app


@app.command("sample-shop", rich_help_panel=BEGINNING)
def sample_shop(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    users: Annotated[int, typer.Option(min=1)] = 600,
    days: Annotated[int, typer.Option(min=1)] = 60,
    seed: Annotated[int, typer.Option()] = 0,
    faults: Annotated[float, typer.Option(min=0, max=0.5, help="Share of rows with a planted fault.")] = 0.0,
    first_day: Annotated[int, typer.Option(min=0, help="Day of the shop's life that the batch begins on.")] = 0,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day 0.")] = datetime(2026, 1, 1),
    as_json: AsJson = False,
) -> None:
    """Write a bilingual shop whose users, texts, clicks and faults are planted, with the truth beside them."""
    from tasks.jobs import sampling

    day = date(start.year, start.month, start.day)
    result = sampling.write(out, users=users, days=days, seed=seed, faults=faults, first_day=first_day, start=day)
    answer(result, as_json, lambda r: [f"{key}: {value}" for key, value in r.items()])


@app.command(rich_help_panel=BEGINNING)
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the defaults as a Markdown table.")] = False,
) -> None:
    """Every setting: its value now and what it means."""
    from tasks.settings import PREFIX, Settings, settings_table

    values = Settings()
    if markdown:
        typer.echo(settings_table())
        return
    for name, field in Settings.model_fields.items():
        typer.echo(f"{PREFIX}{name.upper()}={getattr(values, name)}\n    {field.description}")


@app.command(rich_help_panel=BEGINNING)
def dictionary() -> None:
    """The data dictionary as Markdown: every table and column."""
    from tasks import schema
    from tasks.columns import data_dictionary

    typer.echo(data_dictionary(schema.TABLES.values()))
