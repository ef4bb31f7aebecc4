"""Rows of a PostgreSQL table or query, streamed through a server-side cursor and taken up where the last run ended."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any

import pandas as pd
import psycopg2
from psycopg2 import sql

from tasks.columns import Table
from tasks.errors import SourceError, StoreUnavailable
from tasks.sources.block import Row, blocks, check_columns, to_json
from tasks.sources.chunk import to_chunk
from tasks.sources.mapping import Mapping

_NAME = re.compile(r"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)?")
_MARK = "penchant_watermark"
_SPEAKING = ("42", "28", "3D", "3F", "0A")
"""SQLSTATE classes whose message speaks of the query and not of values: syntax and names, login, catalogue, feature."""


class QueryChunks(Iterator[pd.DataFrame]):
    """The chunks of a query; when they are used up, `watermark` is where the next run goes on."""

    def __init__(self, watermark: str | None) -> None:
        self.watermark = watermark
        """Highest watermark seen so far, as PostgreSQL writes it; what `since` was where no row came."""
        self._chunks: Generator[pd.DataFrame, None, None]

    def __next__(self) -> pd.DataFrame:
        return next(self._chunks)

    def close(self) -> None:
        """Let go of the connection before the chunks are used up."""
        self._chunks.close()


def read_query(
    dsn: str,
    query: str,
    mapping: Mapping,
    table: Table,
    *,
    chunk_rows: int,
    watermark: str | None = None,
    since: str | None = None,
) -> QueryChunks:
    """The rows of a table (`name` or `schema.name`) or a `SELECT`, by at most `chunk_rows`; chunks as of `read_files`.

    watermark: column of the result that only grows, such as a serial id or a time of insertion; rows come in its
    order. since: `watermark` of the last run. Rows at exactly that value come again, because others may have been
    committed with the same one since; a repeated row has the same `event_id`, and is counted as a repeat. No rows give
    no chunk.
    Raises `StoreUnavailable` where the server cannot be reached or goes away, and `SourceError` where the query is
    wrong, its columns are not as mapped, or the watermark is null in a row.
    """
    if since is not None and watermark is None:
        raise SourceError("`since` was given without the name of the watermark column; name it")
    chunks = QueryChunks(since)
    chunks._chunks = _chunks(dsn, _statement(query, watermark, since), mapping, table, chunk_rows, watermark, chunks)
    return chunks


def _statement(query: str, watermark: str | None, since: str | None) -> sql.Composable:
    """The query, from the watermark on and in its order, with the watermark as text in a column of its own.

    The query is taken in as it is, so that a `%` in it stays one; names and the value are quoted by psycopg2.
    """
    bare = query.strip().rstrip(";").strip()
    if not bare:
        raise SourceError("the query is empty; give a SELECT or the name of a table")
    rows: sql.Composable = sql.SQL(bare)
    if _NAME.fullmatch(bare):
        rows = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*bare.split(".")))
    if watermark is None:
        return rows
    mark = sql.SQL("source.{}").format(sql.Identifier(watermark))
    later = (
        sql.SQL("TRUE") if since is None else sql.SQL("({0} >= {1} OR {0} IS NULL)").format(mark, sql.Literal(since))
    )
    return sql.SQL(
        "SELECT source.*, {0}::text AS {1} FROM (\n{2}\n) AS source WHERE {3} ORDER BY {0} NULLS FIRST"
    ).format(mark, sql.Identifier(_MARK), rows, later)


def _chunks(
    dsn: str,
    statement: sql.Composable,
    mapping: Mapping,
    table: Table,
    chunk_rows: int,
    watermark: str | None,
    seen: QueryChunks,
) -> Generator[pd.DataFrame, None, None]:
    section, after = mapping.section(table), 0
    connection = _connect(dsn)
    try:
        connection.set_session(readonly=True)
        cursor = connection.cursor(name="penchant")  # goes with the connection
        cursor.itersize = chunk_rows
        marks: list[str] = []
        rows = (_noted(values, marks) for values in _rows(cursor, statement, section.needed, watermark))
        for block in blocks(rows, "query", section, chunk_rows):
            if len(block):
                yield to_chunk(block, section, table, after=after)
            after += len(block)
            seen.watermark = marks[-1] if marks else seen.watermark
            marks.clear()
    except psycopg2.Error as error:
        raise _told(error) from None
    finally:
        connection.close()


def _connect(dsn: str) -> Any:
    try:
        return psycopg2.connect(dsn)
    except psycopg2.OperationalError:  # its message may quote the connection string, which may hold a password
        raise StoreUnavailable(
            "PostgreSQL cannot be reached, or refused the login; check host, port, database, user and password in the "
            "connection string, and that the server runs"
        ) from None
    except psycopg2.Error:
        raise SourceError(
            "the connection string is not one; such as postgresql://user:password@host:5432/database"
        ) from None


def _rows(
    cursor: Any, statement: sql.Composable, needed: tuple[str, ...], watermark: str | None
) -> Iterator[dict[str, Any]]:
    """The rows as values by column name."""
    cursor.execute(statement)
    first = cursor.fetchone()  # a server-side cursor knows its columns only then
    names = [column.name for column in cursor.description]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"the query gives two columns called {twice[0]!r}; rename one with AS")
    check_columns("the query", needed, [name for name in names if name != _MARK])
    if first is None:
        return
    if watermark is not None and first[-1] is None:
        raise SourceError(f"the watermark column {watermark!r} is null in some row, which would be read every time or "
                          "never; choose a column that is NOT NULL, or fill it in the query")  # fmt: skip
    yield dict(zip(names, first, strict=True))
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _noted(values: dict[str, Any], marks: list[str]) -> Row:
    if _MARK in values:
        marks[:] = [values.pop(_MARK)]
    return Row(to_json(values), values)


def _told(error: psycopg2.Error) -> Exception:
    """An error of psycopg2 as one of ours, without any value that PostgreSQL may quote."""
    state = error.pgcode or ""
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and state[:2] in ("", "08", "53", "57"):
        return StoreUnavailable(f"PostgreSQL went away or is full (SQLSTATE {state or 'none'}); run the same again")
    what = error.diag.message_primary if state[:2] in _SPEAKING else type(error).__name__
    return SourceError(f"PostgreSQL refused the query (SQLSTATE {state or 'none'}): {what}; mend the query")
