"""Releases: list, describe and compare them, go back, keep one from being retired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.commands.app import RELEASES, AsJson, answer, app

Name = Annotated[str, typer.Argument(help="Name of a release; see `releases`.")]


@app.command(rich_help_panel=RELEASES)
def releases(as_json: AsJson = False) -> None:
    """List the releases, the live one and pinned ones marked."""
    from tasks.jobs import publication

    def lines(result: dict[str, Any]) -> Iterator[str]:
        for row in result["releases"]:
            pinned = "  pinned" if row["pinned"] else ""
            yield f"{'→' if row['live'] else ' '} {row['name']}  as of {row['as_of']}{pinned}"

    answer(publication.list_releases(), as_json, lines)


@app.command(rich_help_panel=RELEASES)
def release(name: Name) -> None:
    """All that is recorded of a release, as JSON: manifest, card, times, switches."""
    from tasks.jobs import publication

    answer(publication.describe(name), True, lambda _: ())


@app.command(rich_help_panel=RELEASES)
def compare(
    old: Name,
    new: Name,
    users: Annotated[
        Path | None, typer.Option(help="Write the users whose items changed to this Parquet file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What changed from one release to another: recommendations, topics, rows, the card."""
    from tasks.jobs import comparison

    answer(comparison.compare(old, new, users_out=users), as_json, comparison.lines)


@app.command("roll-back", rich_help_panel=RELEASES)
def roll_back(name: Name) -> None:
    """Switch every reader back to an earlier release, without computing anything."""
    from tasks import jobs

    typer.echo(f"live release: {jobs.roll_back(name)['live']}")


@app.command(rich_help_panel=RELEASES)
def pin(name: Name, off: Annotated[bool, typer.Option("--off", help="Let it be retired again.")] = False) -> None:
    """Keep a release from being retired, whatever its age."""
    from tasks.jobs import publication

    publication.unpin(name) if off else publication.pin(name)
    typer.echo(f"{name} {'may be retired in its turn' if off else 'is kept'}")


@app.command(rich_help_panel=RELEASES)
def switches(as_json: AsJson = False) -> None:
    """Every change of the live release: from what to what, by whom, when."""
    from tasks.jobs import publication

    answer(publication.switches(), as_json, publication.switch_lines)
