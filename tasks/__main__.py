"""`python -m tasks …`: every job from the shell, the same code that the DAGs call."""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.errors import PenchantError

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


@app.command(rich_help_panel="The main job, step by step")
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
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Check a batch and take in what is good; bad rows go to quarantine with a reason.

    A query reads the PostgreSQL database that `PENCHANT_SOURCE_DSN` names.
    """
    from tasks import jobs

    result = jobs.ingest(
        events=[str(f) for f in files or []],
        items=[str(f) for f in items or []],
        mapping=str(mapping) if mapping else None,
        source=source,
        as_of=_now() if as_of is None else as_of,
        query=query,
        watermark=watermark,
    )
    _print(result, as_json, _ingest_lines)


@app.command(rich_help_panel="The main job, step by step")
def refresh(as_json: AsJson = False) -> None:
    """Refresh topics, text vectors, the sequence model and every interest block from all that was accepted."""
    from tasks.jobs import chain

    _print(chain.refresh(), as_json, _reference_lines)


@app.command(rich_help_panel="The main job, step by step")
def score(as_json: AsJson = False) -> None:
    """Backtest, learn the blend, write the evaluation card and recommend for every user."""
    from tasks.jobs import chain

    _print(chain.score(), as_json, _reference_lines)


@app.command(rich_help_panel="The main job, step by step")
def publish(
    force: Annotated[bool, typer.Option(help="Publish even where the card is worse than the live one's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a release to Feast, verify it by reading back, and switch every reader to it at once."""
    from tasks.jobs import chain

    _print(chain.publish(force=force), as_json, lambda r: [f"live release: {r['live']}"])


@app.command(rich_help_panel="Releases")
def releases(as_json: AsJson = False) -> None:
    """List the releases, the live one marked."""
    from tasks.jobs import publication

    def lines(result: dict[str, Any]) -> Iterator[str]:
        for row in result["releases"]:
            yield f"{'→' if row['live'] else ' '} {row['name']}  as of {row['as_of']}"

    _print(publication.list_releases(), as_json, lines)


@app.command("roll-back", rich_help_panel="Releases")
def roll_back(name: Annotated[str, typer.Argument(help="Release to go back to; see `releases`.")]) -> None:
    """Switch every reader back to an earlier release, without computing anything."""
    from tasks import jobs

    typer.echo(f"live release: {jobs.roll_back(name)['live']}")


@app.command(rich_help_panel="Reading")
def show(
    user: Annotated[list[str] | None, typer.Option(help="Users to show; the default is one writer a language.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the live release back through Feast's online store: rows, topics, profiles, recommendations, the card."""
    from tasks.jobs import reading

    _print(reading.report(users=user), as_json, reading.lines)


@app.command(rich_help_panel="Reading")
def ledger(as_json: AsJson = False) -> None:
    """The quality ledger: one line per batch and rule."""
    from tasks.jobs import reading

    _print(reading.ledger(), as_json, reading.ledger_lines)


@app.command(rich_help_panel="Reading")
def quarantine(
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows as JSON lines, to mend and take in again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Quarantined rows with rule and reason; the rows themselves only into a file you name."""
    from tasks.jobs import reading

    _print(reading.quarantine(batch=batch, rule=rule, out=out), as_json, reading.quarantine_lines)


@app.command("sample-shop", rich_help_panel="Beginning")
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
    _print(result, as_json, lambda r: [f"{key}: {value}" for key, value in r.items()])


@app.command(rich_help_panel="Beginning")
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


@app.command(rich_help_panel="Beginning")
def dictionary() -> None:
    """The data dictionary as Markdown: every table and column."""
    from tasks import schema
    from tasks.columns import data_dictionary

    typer.echo(data_dictionary(schema.TABLES.values()))


def _now() -> str:
    """The only clock of the command line; everything below takes the time as an argument."""
    return datetime.now(UTC).isoformat()


def _print(result: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], Any]) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, default=str))
        return
    for line in lines(result):
        typer.echo(line)


def _ingest_lines(result: dict[str, Any]) -> Iterator[str]:
    if result["repeated"]:
        yield f"batch {result['batch_id']} was taken in before: nothing to do"
    for table, counts in result["counts"].items():
        yield f"{table}: " + ", ".join(f"{number:,} {name}" for name, number in counts["rows"].items())
        for rule, number in counts["rules"].items():
            yield f"    {number:>7,}  {rule}"


def _reference_lines(result: dict[str, Any]) -> Iterator[str]:
    for name, ref in result["refs"].items():
        yield f"{name}@{ref['version']}" + (f"  {ref['rows']:,} rows" if ref["rows"] else "")


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except PenchantError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(_told(error), err=True)
        sys.exit(1)


def _told(error: OSError) -> str:
    """An error of the file system in one line; libraries that write files raise it without a name or a number."""
    if not error.errno:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    where = f": {error.filename}" if error.filename else ""
    todo = _TODO.get(error.errno, "mend it")
    return f"{type(error).__name__}: {os.strerror(error.errno)}{where}; {todo} and run the same again; nothing is lost"


_TODO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free disk space, or name another PENCHANT_HOME,"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
        "name a folder that can be written, such as by PENCHANT_HOME,",
    ),
}
"""What to do about it, by number of the error."""


def main() -> None:
    """Run the command line; an error of ours is one line and exit status 1, never a stack trace."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # the embedded PostgreSQL does without
    warnings.filterwarnings("ignore", message="OpenBLAS is configured")  # implicit is run with its threads limited
    with _named_errors():
        app()


if __name__ == "__main__":
    main()
