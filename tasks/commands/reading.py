"""What readers get, and getting an event to them at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import click
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


@app.command(rich_help_panel=READING)
def similar(
    key: Annotated[str, typer.Argument(help="An item's id.")],
    users: Annotated[bool, typer.Option("--users", help="Users of like recent interest to a user's.")] = False,
    k: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    release: Annotated[str | None, typer.Option(help="The default is the live release.")] = None,
    as_json: AsJson = False,
) -> None:
    """Items like an item, or users like a user, by their vectors in a release."""
    from tasks.jobs import similar as search

    answer((search.users if users else search.items)(key, k, release), as_json, search.lines)


@app.command(rich_help_panel=READING)
def freshness(as_json: AsJson = False) -> None:
    """How old the live release's blocks are, against their limits, and whether rows are missing online."""
    from tasks.jobs import freshness as watching

    def lines(result: dict[str, Any]) -> Iterator[str]:
        yield f"release {result['release'] or 'none'}, as of {result['as_of']}"
        for name, block in result["blocks"].items():
            age, limit = (f"{seconds / 3600:,.1f} h" for seconds in (block["age_seconds"], block["limit_seconds"]))
            yield f"  {name:<22} {block['status']:<8} {age} old, may be {limit}"
        yield from result["findings"]

    answer(watching.check(now()), as_json, lines)


@app.command(rich_help_panel=READING)
def push(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, an event each; `-` is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Bring events to readers at once: the user's state, short-term interest and recommendations step forward."""
    from tasks.jobs import push as pushing

    def lines(result: dict[str, Any]) -> Iterator[str]:
        yield ", ".join(f"{number:,} {what}" for what, number in result["counts"].items())
        for row in result["results"]:
            for rule, column, todo in row["faults"]:
                yield f"  {rule} ({column}): {todo}"

    events = (line for file in files for line in click.open_file(str(file), encoding="utf-8") if line.strip())
    answer(pushing.push(events), as_json, lines)


@app.command(rich_help_panel=READING)
def serve(
    address: Annotated[str, typer.Option(help="host:port to listen on.")] = "127.0.0.1:6566",
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    is_open: Annotated[bool, typer.Option("--open", help="Without tokens, on a loopback address only.")] = False,
) -> None:
    """Answer feature requests over HTTP until ended; `PENCHANT_READ_TOKENS` says who may ask."""
    from tasks.jobs import serving

    serving.serve(address, workers=workers, is_open=is_open)
