"""Where a release's rows lie, in Feast's own words: for readers that ask the stores themselves.

A feature service's definition says which views it reads and which features of each; it is read from the registry's
table as it stands there, so a reader needs no knowledge of the schema that the release was published with.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feast import FeatureStore
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.infra.utils.postgres.connection_utils import _get_conninfo
from feast.protos.feast.core.FeatureService_pb2 import FeatureService
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from psycopg.conninfo import make_conninfo

from feature_repo import features
from tasks import schema
from tasks.errors import ReleaseError
from tasks.releases.stores import engine_of

SERVICES_QUERY = (
    "SELECT feature_service_name, feature_service_proto FROM feature_services"
    " WHERE project_id = %s AND feature_service_name = ANY(%s)"
)
"""Read by one statement, services are of one moment and so of one release: a switch is one transaction."""
RETIRED_QUERY = "SELECT name, retired_at IS NOT NULL FROM penchant_releases WHERE name = %s"


@dataclass(frozen=True)
class StoredView:
    """One table of a release online: Feast's view over it and its features, the release among them."""

    table: str
    view: str
    features: tuple[str, ...]

    @property
    def postgres_table(self) -> str:
        """Name of its table, or SQL view, in PostgreSQL."""
        return f"{features.PROJECT}_{self.view}"

    def redis_field(self, feature: str) -> bytes:
        """Field of `feature` in a key's hash in Redis."""
        return bytes(_mmh3(f"{self.view}:{feature}"))

    @property
    def redis_time(self) -> bytes:
        """Field of the event time in a key's hash in Redis."""
        return f"_ts:{self.view}".encode()


@dataclass(frozen=True)
class Pointer:
    """Which release the services read, and where its rows are."""

    release: str
    services: Mapping[str, tuple[StoredView, ...]]
    """By fixed name of service, its views in order."""


def service_names(release: str | None) -> list[str]:
    """Names of the services in the registry, of the live release or of the one named."""
    return [features.service_name(name, release) if release else name for name in schema.SERVICES]


def pointer(rows: Iterable[tuple[str, bytes]], release: str | None) -> Pointer:
    """Read what `SERVICES_QUERY` gave for `service_names(release)`.

    Raises `ReleaseError` where a service is missing, unreadable or of another release than the others.
    """
    stored = {name: bytes(proto) for name, proto in rows}
    names = service_names(release)
    if not stored:
        raise ReleaseError(f"there is no release {release!r}" if release else "no release is live yet; publish one")
    if missing := [name for name in names if name not in stored]:
        raise ReleaseError(f"the registry lacks {', '.join(missing)}; publish the release again")
    try:
        read = {
            name: FeatureService.FromString(stored[full]) for name, full in zip(schema.SERVICES, names, strict=True)
        }
    except DecodeError:
        raise ReleaseError(
            "the registry was written by another version of Feast; use the version that wrote it"
        ) from None
    serving = {proto.spec.tags.get("release", "") for proto in read.values()}
    services = {name: tuple(_view(projection) for projection in proto.spec.features) for name, proto in read.items()}
    if len(serving) != 1 or not all(
        views and all(v.table and v.features for v in views) for views in services.values()
    ):
        raise ReleaseError(
            f"the registry's services are of {len(serving)} releases or not of this version of Penchant; "
            "use the version that wrote them, or publish again"
        )
    return Pointer(serving.pop(), services)


class EntityKeys:
    """The keys of one entity as bytes, in Feast's own layout (serialization version 3), computed by it once."""

    def __init__(self, join_key: str) -> None:
        empty = EntityKey(join_keys=[join_key], entity_values=[Value(string_val="")])
        self._head = serialize_entity_key(empty, entity_key_serialization_version=3)[:-4]  # without the length

    def __call__(self, ids: Sequence[str], tail: bytes = b"") -> list[bytes]:
        """The key of each id, then `tail`; ids are UTF-8."""
        texts = [text.encode() for text in ids]
        return [self._head + struct.pack("<I", len(text)) + text + tail for text in texts]


REDIS_TAIL = features.PROJECT.encode()
"""What Feast adds to an entity's key in Redis."""


def registry_conninfo(store: FeatureStore) -> str:
    """The registry's database, for libpq."""
    url = engine_of(store).url
    options: dict[str, Any] = {"host": url.host, "port": url.port, **url.query}  # a socket's folder is in the query
    return make_conninfo("", **options, user=url.username, password=url.password, dbname=url.database)


def online_conninfo(store: FeatureStore) -> str:
    """The online store's database, for libpq, where online features are in PostgreSQL."""
    online = store.config.online_store
    return make_conninfo(_get_conninfo(online), sslmode=online.sslmode) if online.sslmode else _get_conninfo(online)


def redis_options(store: FeatureStore) -> dict[str, Any]:
    """Arguments of a Redis client, where online features are in Redis."""
    nodes, options = RedisOnlineStore._parse_connection_string(store.config.online_store.connection_string)
    return {"host": nodes[0]["host"], "port": int(nodes[0]["port"]), **options}


def _view(projection: Any) -> StoredView:
    names = tuple(column.name for column in projection.feature_columns)
    if schema.RELEASE.name not in names:
        raise ReleaseError(f"view {projection.feature_view_name} does not name its release; publish the release again")
    return StoredView(projection.feature_view_name_alias, projection.feature_view_name, names)
