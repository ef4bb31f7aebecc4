"""Where rows lie in PostgreSQL: bases that releases share, rows of a release's own, and the SQL view that joins them.

Stock Feast reads a table `<project>_<view>` of one row per entity and feature. Here that name is an SQL view. Under it
rows lie whole, one per entity with a column per feature: in the **base**, a table that some release filled and later
ones share, never changed once that release is live; and in the release's **own** table, which holds what it has
otherwise than its base, marks what it has no longer (`gone`), and takes what is pushed over it while it is live
(`event_ts`, null for the release's own rows). Own rows hide the base's. The view adds what is the same for all rows:
the release's name and its time. So a release that changes little writes little, and readers look in two places, not
more, however many releases there were.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection, sql

from feature_repo import features
from tasks import schema
from tasks.columns import Table
from tasks.releases.encoding import constant
from tasks.releases.manifest import Manifest

KEY, EVENT_TS, GONE = "entity_key", "event_ts", "gone"
TUPLE = 8160
"""Bytes of a row up to which PostgreSQL keeps it in one piece (the most there is): parts of wide rows are not moved
elsewhere, which would cost a second look-up for each, nor compressed: floats do not compress."""


def base_table(release: str, table: Table) -> str:
    """The table of the base that `release` filled."""
    return f"penchant_base_{table.name}_{release}"


def own_table(release: str, table: Table) -> str:
    """The table of the rows that only `release` has."""
    return f"penchant_own_{table.name}_{release}"


def view(release: str, table: Table) -> str:
    """What Feast reads."""
    return f"{features.PROJECT}_{features.view_name(table, release)}"


def create(connection: Connection, manifest: Manifest, table: Table, base: str) -> None:
    """Make the empty tables and the view of `table` in a release whose base is release `base`, perhaps itself."""
    name = manifest.name
    names = [own_table(name, table)] + ([base_table(name, table)] if base == name else [])
    for made in names:
        own = sql.SQL(", event_ts timestamptz, gone boolean NOT NULL DEFAULT false" if made == names[0] else "")
        columns = sql.SQL(", ").join(sql.SQL("{} bytea").format(sql.Identifier(c.name)) for c in table.features)
        connection.execute(
            sql.SQL("CREATE TABLE {} (entity_key bytea PRIMARY KEY, {}{}) WITH (toast_tuple_target = {})").format(
                sql.Identifier(made), columns, own, sql.Literal(TUPLE)
            )
        )
        external = (
            sql.SQL("ALTER COLUMN {} SET STORAGE EXTERNAL").format(sql.Identifier(c.name)) for c in table.features
        )
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(made), sql.SQL(", ").join(external)))
    connection.execute(_view(manifest, table, base))


def drop(connection: Connection, release: str, table: Table, *, base: bool) -> None:
    """Remove the view and the own rows of a release, and with `base` the base that it filled; safe to repeat."""
    kind = connection.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [view(release, table)])
    if row := kind.fetchone():  # a table where an earlier version of Penchant published it
        kind_of = sql.SQL("VIEW" if row[0] in ("v", b"v") else "TABLE")
        connection.execute(sql.SQL("DROP {} {}").format(kind_of, sql.Identifier(view(release, table))))
    for name in [own_table(release, table)] + ([base_table(release, table)] if base else []):
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


def exists(connection: Connection, name: str) -> bool:
    """Whether there is a table or view of that name."""
    row = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
    return bool(row and row[0])


def columns(table: Table, of: str = "") -> sql.Composed:
    """The key and the features of `table`, after each other, each of the relation `of` where that is given."""
    names = [KEY, *(c.name for c in table.features)]
    return sql.SQL(", ").join(sql.Identifier(of, name) if of else sql.Identifier(name) for name in names)


def carry(table: Table, *, into: str, own: str, base: str | None) -> sql.Composed:
    """Copy the rows with keys `ANY(%(keys)s)` of the release with tables `own` and `base` into the table `into`.

    Gives the keys that were copied: rows that were pushed over the release are not its own and are left out.
    """
    parts = [
        sql.SQL("SELECT {} FROM {} o WHERE o.entity_key = ANY(%(keys)s) AND o.event_ts IS NULL AND NOT o.gone").format(
            columns(table, "o"), sql.Identifier(own)
        )
    ]
    if base:
        parts.append(
            sql.SQL("SELECT {} FROM {} b WHERE b.entity_key = ANY(%(keys)s) AND {}").format(
                columns(table, "b"), sql.Identifier(base), _not_own(own)
            )
        )
    return sql.SQL("INSERT INTO {} ({}) {} RETURNING entity_key").format(
        sql.Identifier(into), columns(table), sql.SQL(" UNION ALL ").join(parts)
    )


def push(table: Table, own: str) -> sql.Composed:
    """Put one row (`key, *features, event time`) over a live release, where it is newer than what is there.

    The last parameter is the release's time, which is that of rows that were not pushed.
    """
    names = [*(c.name for c in table.features), EVENT_TS]
    update = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in names)
    return sql.SQL(
        "INSERT INTO {own} AS o ({columns}, event_ts) VALUES ({values}) ON CONFLICT (entity_key) DO UPDATE"
        " SET {update}, gone = false WHERE EXCLUDED.event_ts > coalesce(o.event_ts, %s)"
    ).format(
        own=sql.Identifier(own),
        columns=columns(table),
        values=sql.SQL(", ").join([sql.Placeholder()] * (len(names) + 1)),
        update=update,
    )


def _not_own(own: str) -> sql.Composed:
    """A subquery per row, not a join: one look-up in the key's index, whatever the planner thinks of the tables."""
    return sql.SQL("(SELECT true FROM {} o WHERE o.entity_key = b.entity_key) IS NULL").format(sql.Identifier(own))


def _view(manifest: Manifest, table: Table, base: str) -> sql.Composed:
    """The statement that makes the view: own rows, then the base's that are not hidden, turned to a row a feature."""
    own = own_table(manifest.name, table)
    values: Sequence[sql.Composable] = [
        *(sql.SQL("({}, r.{})").format(sql.Literal(c.name), sql.Identifier(c.name)) for c in table.features),
        sql.SQL("({}, {})").format(sql.Literal(schema.RELEASE.name), sql.Literal(constant(manifest.name))),
    ]
    return sql.SQL(
        "CREATE VIEW {view} AS SELECT r.entity_key, f.feature_name, f.value, NULL::text AS value_text,"
        " NULL::bytea AS vector_value, coalesce(r.event_ts, {as_of}::timestamptz) AS event_ts,"
        " NULL::timestamptz AS created_ts FROM ("
        "SELECT {own_columns}, o.event_ts FROM {own} o WHERE NOT o.gone"
        " UNION ALL SELECT {base_columns}, NULL::timestamptz FROM {base} b WHERE {not_own}"
        ") r CROSS JOIN LATERAL (VALUES {values}) f (feature_name, value)"
    ).format(
        view=sql.Identifier(view(manifest.name, table)),
        as_of=sql.Literal(manifest.as_of.isoformat()),
        own_columns=columns(table, "o"),
        own=sql.Identifier(own),
        base_columns=columns(table, "b"),
        base=sql.Identifier(base_table(base, table)),
        not_own=_not_own(own),
        values=sql.SQL(", ").join(values),
    )
