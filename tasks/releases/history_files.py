"""The Parquet files of the history: what each release changed, added once, kept when the release is retired.

`<home>/releases/history/<table>/<as_of>_<release>.parquet` holds the rows of a release that differ from what was
served before it; a key that it no longer has gets a row of nulls. The row in force at a time is a key's last one up to
that time. Columns beside the table's own: `known_at` (equal to `as_of`, but a feature, so that a training set shows how
old its values are and can be checked), `published_at` (settles which of two releases of the same `as_of` counts: the
one that went live last) and `row_digest` (empty in a row of nulls).
"""

# Column names in the SQL below come from tasks.schema and file names from here; all values are parameters.
# ruff: noqa: S608
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd

from tasks import schema
from tasks.columns import Table
from tasks.errors import LeakError, ReleaseError, StoreUnavailable
from tasks.releases.manifest import Manifest
from tasks.releases.offline import DIGEST, ROW_GROUP, offline_path

MEMORY = "400MB"
"""Most that DuckDB may hold; it goes on on disk beyond that."""
_STAMP = "%Y%m%dT%H%M%S"


def folder_of(home: Path, table: Table) -> Path:
    """Where the history of `table` lies."""
    return home.resolve() / "releases" / "history" / table.name


def keep(home: Path, manifest: Manifest, *, published_at: datetime) -> bool:
    """Add what a release changed to the history of every table; whether anything was not there yet.

    Raises `ReleaseError` where an offline file is missing, `LeakError` where a row is of another time than its release.
    """
    added = [_keep(home, manifest, table, published_at) for table in schema.SERVED]
    return any(added)


def trim(home: Path, table: Table, before: datetime) -> None:
    """Forget what was served before a time; the rows in force at that time stay, so later labels lose nothing."""
    old = [path for path in files_of(home, table) if time_of(path) <= before]
    if len(old) < 2:
        return
    key = table.key[0]
    with _database(folder_of(home, table)) as run:
        _copy(run, old[-1], f"{_last(key, old)} WHERE {DIGEST} <> {_NONE}")
    for path in old[:-1]:
        path.unlink()


def erase(home: Path, entity: str, keys: Sequence[str]) -> int:
    """Remove every row of the keys of one entity (`user` or `item`), in every file; gives how many there were.

    Each file is replaced in one step; a call that was stopped is finished by calling again.
    """
    erased, gone = 0, pd.DataFrame({"gone": list(keys)})
    for table in (t for t in schema.SERVED if t.entity == entity):
        for path in files_of(home, table):
            with _database(path.parent) as run:
                run.register("gone", gone)
                of_theirs = f"FROM {_read([path])} WHERE {table.key[0]} IN (SELECT gone FROM gone)"
                count = int(run.execute(f"SELECT count(*) {of_theirs}").fetchall()[0][0])
                if count:
                    _copy(run, path, f"SELECT * {of_theirs.replace(' IN ', ' NOT IN ')}")
                erased += count
    return erased


def files_of(home: Path, table: Table) -> list[Path]:
    """The files of a table's history, oldest first."""
    return sorted(folder_of(home, table).glob("[!.]*.parquet"))


def time_of(path: Path) -> datetime:
    """The `as_of` in a history file's name, whole seconds."""
    return datetime.strptime(f"{path.name.split('_')[0]}+0000", f"{_STAMP}%z")


def _keep(home: Path, manifest: Manifest, table: Table, published_at: datetime) -> bool:
    folder = folder_of(home, table)
    target = folder / f"{manifest.as_of:{_STAMP}}_{manifest.name}.parquet"
    rows = offline_path(home, manifest.name, table)
    if target.exists():
        return False
    if not rows.is_file():
        raise ReleaseError(f"{rows} is missing; write the release again")
    folder.mkdir(parents=True, exist_ok=True)
    key, names = table.key[0], [column.name for column in (*table.features, schema.RELEASE)]
    before = [path for path in files_of(home, table) if time_of(path) <= time_of(target)]
    after = [path for path in files_of(home, table) if time_of(path) > time_of(target)]
    with _database(folder) as run:
        run.execute("CREATE TEMP TABLE moment AS SELECT $1::TIMESTAMPTZ AS as_of, $2::TIMESTAMPTZ AS published_at",
                    [manifest.as_of, published_at])  # fmt: skip
        strange = f"SELECT count(*) FROM {_read([rows])} r, moment WHERE r.as_of <> moment.as_of"
        if count := run.execute(strange).fetchall()[0][0]:
            raise LeakError(f"release {manifest.name}, {table.name}: {count} rows are of another time than the release")
        run.execute(f"CREATE TEMP TABLE last AS {_digests(key, before) if before else _NOTHING}")
        stamps = "moment.as_of, moment.as_of AS known_at, moment.published_at"
        aside = _copy(run, target, f"""
            SELECT s."{key}", {stamps}, {", ".join(names)}, s.{DIGEST} FROM {_read([rows])} s CROSS JOIN moment
              LEFT JOIN last ON last.key = s."{key}" WHERE last.digest IS DISTINCT FROM s.{DIGEST}
            UNION ALL
            SELECT last.key, {stamps}, {_nulls(names)}, {_NONE} FROM last CROSS JOIN moment
              WHERE last.digest <> {_NONE} AND last.key NOT IN (SELECT "{key}" FROM {_read([rows])})
        """, move=False)  # fmt: skip
        if after:
            _go_on(run, table, aside, before, after)
        aside.replace(target)
    return True


def _go_on(
    run: duckdb.DuckDBPyConnection, table: Table, added: Path, before: Sequence[Path], after: Sequence[Path]
) -> None:
    """Let what an older release changed end where the next newer one begins: a release may be published late."""
    key, upcoming = table.key[0], time_of(after[0])
    same = [path for path in after if time_of(path) == upcoming]
    target = same[0].with_name(f"{upcoming:{_STAMP}}_after_{added.name.split('.')[1]}.parquet")
    stamps = "$1::TIMESTAMPTZ AS as_of, $1::TIMESTAMPTZ AS known_at"
    changed = f'SELECT "{key}" FROM {_read([added])} WHERE "{key}" NOT IN (SELECT "{key}" FROM {_read(same)})'
    were = _last(key, before) if before else f"SELECT * FROM {_read([added])} WHERE false"
    _copy(run, target, f"""
        SELECT * REPLACE ($1::TIMESTAMPTZ AS as_of, $1::TIMESTAMPTZ AS known_at) FROM ({were})
          WHERE "{key}" IN ({changed})
        UNION ALL
        SELECT "{key}", {stamps}, published_at, {_nulls(_names(table))}, {_NONE} FROM {_read([added])}
          WHERE "{key}" IN ({changed}) AND "{key}" NOT IN (SELECT "{key}" FROM ({were}))
    """, [upcoming])  # fmt: skip


_NONE = "''::BLOB"
"""Digest of a row of nulls."""
_NOTHING = "SELECT NULL::VARCHAR AS key, NULL::BLOB AS digest WHERE false"


def _digests(key: str, paths: Sequence[Path]) -> str:
    """The digest in force after `paths`, by key; only the narrow columns are read."""
    return f'SELECT "{key}" AS key, arg_max({DIGEST}, (as_of, published_at)) AS digest FROM {_read(paths)} GROUP BY 1'


def _last(key: str, paths: Sequence[Path]) -> str:
    """The whole rows in force after `paths`, to be followed by WHERE or nothing."""
    newest = f'SELECT "{key}" AS k, max((as_of, published_at)) AS t FROM {_read(paths)} GROUP BY 1'
    rows = f'SELECT r.* FROM {_read(paths)} r JOIN ({newest}) n ON r."{key}" = n.k AND (r.as_of, r.published_at) = n.t'
    return f"SELECT * FROM ({rows})"


def _names(table: Table) -> list[str]:
    """The features and the release, quoted."""
    return [f'"{column.name}"' for column in (*table.features, schema.RELEASE)]


def _nulls(names: Sequence[str]) -> str:
    return ", ".join(f"NULL AS {name}" for name in names)


def _read(paths: Sequence[Path]) -> str:
    """Parquet files as a table of SQL; their names are ours, quotes are doubled all the same."""
    quoted = ", ".join("'{}'".format(str(path).replace("'", "''")) for path in paths)
    return f"read_parquet([{quoted}])"


def _copy(
    run: duckdb.DuckDBPyConnection, target: Path, query: str, values: Sequence[object] = (), *, move: bool = True
) -> Path:
    """Write the rows of a query aside and move them into place in one step; gives where they are."""
    aside = target.with_name(f".{target.stem}.{os.getpid()}")
    quoted = str(aside).replace("'", "''")
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    try:
        run.execute(f"COPY ({query}) TO '{quoted}' ({options})", list(values))
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        aside.unlink(missing_ok=True)
        raise StoreUnavailable(
            f"cannot write {target} ({type(error).__name__}); free or mend the disk and run again"
        ) from None
    return aside.replace(target) if move else aside


@contextmanager
def _database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of bounded memory, which goes on on the disk of `folder`."""
    with duckdb.connect() as run:
        run.execute(f"SET memory_limit = '{MEMORY}'")
        run.execute("SET TimeZone = 'UTC'")
        run.execute("SET preserve_insertion_order = false")
        run.execute("SET temp_directory = '{}'".format(str(folder / f".spill.{os.getpid()}").replace("'", "''")))
        yield run
