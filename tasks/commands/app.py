"""The command line's one app, and how a command answers: lines for people, or one JSON document."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="penchant",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="User-interest pipelines: take in, refresh, score, publish. Settings are read from `PENCHANT_…`; "
    "`settings` lists them.",
)

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="End of the data interval, ISO 8601; the default is now.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
Why = Annotated[
    str | None,
    typer.Option(
        "--accept", metavar="WHY", help="Keep the batch even if a check would stop it; say why: it is recorded."
    ),
]
MAIN, QUALITY, RELEASES, READING, BEGINNING = (
    "The main job, step by step",
    "Data quality",
    "Releases",
    "Reading",
    "Beginning",
)
"""Panels of `--help`, in the order in which they are shown."""


def now() -> str:
    """The only clock of the command line; everything below takes the time as an argument."""
    return datetime.now(UTC).isoformat()


def override(why: str | None) -> dict[str, str] | None:
    """Who takes it on himself to keep a batch that a check would stop, and why; None where nobody does."""
    return {"by": getpass.getuser(), "why": why, "at": now()} if why else None


def answer(result: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], Any]) -> None:
    """Print `result`: its `lines`, or itself as JSON."""
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, default=str))
        return
    for line in lines(result):
        typer.echo(line)
