"""What readers get."""

from __future__ import annotations

from typing import Annotated

import typer

from tasks.commands.app import READING, AsJson, answer, app, now


@app.command(rich_help_panel=READING)
def show(
    user: Annotated[list[str] | None, typer.Option(help="Users to show; the default is one writer a language.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the live release back through Feast's online store: rows, topics, profiles, recommendations, the card."""
    from tasks.jobs import reading

    answer(reading.report(users=user, now=now()), as_json, reading.lines)
