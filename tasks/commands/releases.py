"""Releases: list them, go back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tasks.commands.app import RELEASES, AsJson, answer, app


@app.command(rich_help_panel=RELEASES)
def releases(as_json: AsJson = False) -> None:
    """List the releases, the live one marked."""
    from tasks.jobs import publication

    def lines(result: dict[str, Any]) -> Iterator[str]:
        for row in result["releases"]:
            yield f"{'→' if row['live'] else ' '} {row['name']}  as of {row['as_of']}"

    answer(publication.list_releases(), as_json, lines)


@app.command("roll-back", rich_help_panel=RELEASES)
def roll_back(name: Annotated[str, typer.Argument(help="Release to go back to; see `releases`.")]) -> None:
    """Switch every reader back to an earlier release, without computing anything."""
    from tasks import jobs

    typer.echo(f"live release: {jobs.roll_back(name)['live']}")
