"""Entities, and the feature views and services of one release, computed from `tasks.schema`.

Every view carries the release in its name (`user_topics__r20260301_ab12cd34`) and as a feature. Three feature
services with fixed names and fixed feature names (`user_topics__topic_mix`) point at the views of the live release;
each release has the same three under its own name, through which it is verified before anyone else reads it.

Beside them, one view a table without an online part (`user_topics_history`) holds what was served at any earlier
time, for point-in-time joins; its services (`user_interest_history`) give features the same names as the live ones.

The views come and go with releases, so `feast apply` on this folder would delete them all: it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String, UnixTimestamp

from tasks import schema
from tasks.columns import Column, Table

if __name__ == "features":  # the name under which Feast's command line imports this file
    raise RuntimeError(
        "`feast apply` and `feast plan` are not for this repository: they would delete the views of every release. "
        "Publish with `python -m tasks publish`; `feast serve`, `feast ui` and the SDK work as they are."
    )

PROJECT = "penchant"
OWNER = "penchant"
IDENTIFIER = 63
"""Longest name in PostgreSQL, in bytes; a longer one is cut silently and may clash."""
_TYPES: dict[str, FeastType] = {
    "string": String,
    "int64": Int64,
    "float32": Float32,
    "float64": Float64,
    "bool": Bool,
    "timestamp": UnixTimestamp,
    "list<string>": Array(String),
    "list<float32>": Array(Float32),
    "list<int64>": Array(Int64),
}
SERVICES = {
    "user_interest": "What a user cares about, how they write, and how both move.",
    "item_content": "What an item is about.",
    "recommendations": "Items for a user, best first, with scores, their parts and reasons.",
}

USER = Entity(
    name="user",
    join_keys=[schema.USER_ID.name],
    value_type=ValueType.STRING,
    description=schema.USER_ID.meaning,
    owner=OWNER,
    tags={"personal": "true"},
)
ITEM = Entity(
    name="item",
    join_keys=[schema.ITEM_ID.name],
    value_type=ValueType.STRING,
    description=schema.ITEM_ID.meaning,
    owner=OWNER,
)
_ENTITIES = {"user": USER, "item": ITEM}


def fields(table: Table) -> list[Field]:
    """The features of `table` and the release, as Feast fields."""
    return [_field(column) for column in (*table.features, schema.RELEASE)]


def view_name(table: Table, release: str) -> str:
    """Name of the view over `table` in `release`."""
    return f"{table.name}__{release}"


def service_name(service: str, release: str) -> str:
    """Name of the service that reads `release`, live or not."""
    return f"{service}__{release}"


def view(table: Table, release: str, path: Path) -> FeatureView:
    """The view over `table` in `release`, whose rows lie in the Parquet file at `path`.

    Values never expire inside a release (`ttl` 0): Feast does not enforce a limit on online reads, and point-in-time
    joins ask for the last value, however old. Raises `ValueError` where the name is too long for PostgreSQL.
    """
    name = view_name(table, release)
    if len(f"{PROJECT}_{name}_fts_idx") > IDENTIFIER:
        raise ValueError(f"view {name!r} is too long a name for PostgreSQL's {IDENTIFIER} bytes")
    entity, tags = _ENTITIES[table.entity or "user"], {"release": release, "table": table.name}
    source = FileSource(
        name=name,
        path=str(path),
        timestamp_field=schema.AS_OF.name,
        description=f"{table.meaning} Rows of release {release}.",
        owner=OWNER,
        tags=tags,
    )
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=timedelta(0),
        schema=[_field(table[key]) for key in table.key] + fields(table),
        source=source,
        description=table.meaning,
        owner=OWNER,
        tags=tags,
    )


def views(release: str, paths: Mapping[str, Path]) -> dict[str, FeatureView]:
    """By table name, the views of `release`; `paths` maps table names to Parquet files."""
    return {table.name: view(table, release, paths[table.name]) for table in schema.SERVED}


def services(release: str, of: Mapping[str, FeatureView]) -> list[FeatureService]:
    """The services that read `release` and no other, with the same feature names as the live ones."""
    return [
        FeatureService(
            name=service_name(name, release),
            features=[of[table.name].with_name(table.name) for table in tables],
            description=SERVICES[name],
            owner=OWNER,
            tags={"release": release, "service": name},
        )
        for name, tables in schema.SERVICES.items()
    ]


def history_service_name(service: str) -> str:
    """Name of the service that gives what `service` gave at an earlier time."""
    return f"{service}_history"


def history_view(table: Table, path: Path) -> FeatureView:
    """The view over all that was ever served of `table`, in the Parquet files of the glob `path`; offline only."""
    name, tags = f"{table.name}_history", {"table": table.name, "history": "true"}
    source = FileSource(
        name=name,
        path=str(path),
        timestamp_field=schema.AS_OF.name,
        created_timestamp_column="published_at",
        description=f"{table.meaning} What readers were served, release after release.",
        owner=OWNER,
        tags=tags,
    )
    return FeatureView(
        name=name,
        entities=[_ENTITIES[table.entity or "user"]],
        ttl=timedelta(0),
        schema=[_field(column) for column in (*(table[key] for key in table.key), *table.features, *_OF_HISTORY)],
        source=source,
        online=False,
        description=f"{table.meaning} At any earlier time, for training.",
        owner=OWNER,
        tags=tags,
    )


def history_services(of: Mapping[str, FeatureView]) -> list[FeatureService]:
    """The services over `of` (history views by table name), with the same feature names as the live ones."""
    return [
        FeatureService(
            name=history_service_name(name),
            features=[of[table.name].with_name(table.name) for table in tables],
            description=f"{SERVICES[name]} At any earlier time, for training.",
            owner=OWNER,
            tags={"service": name, "history": "true"},
        )
        for name, tables in schema.SERVICES.items()
    ]


_OF_HISTORY = (replace(schema.RELEASE, meaning="release that brought these values"), schema.KNOWN_AT)


def _field(column: Column) -> Field:
    tags = {"nullable": "true"} if column.nullable else {}
    if column.personal:
        tags["personal"] = "true"
    return Field(name=column.name, dtype=_TYPES[column.type], description=column.meaning, tags=tags)
