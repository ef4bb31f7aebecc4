"""What a release is: a name computed from its content, and the exact version of everything it serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks import schema
from tasks.columns import Table
from tasks.errors import ReleaseError

DIGEST = 8
"""Hexadecimal digits of content in a release's name: 32 bits beside the day."""


@dataclass(frozen=True)
class Block:
    """One served table of a release: its rows, and the SHA-256 of its Parquet file."""

    rows: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """A release: what it serves, what it was made from, and how well it did."""

    name: str
    as_of: datetime
    refs: Mapping[str, str]
    """Artifact address (`name@version`) of each served table and model."""
    blocks: Mapping[str, Block]
    """By name of served table."""
    parents: tuple[str, ...] = ()
    """Releases that may be live when this one takes over; empty where none was."""
    encoder: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    """Evaluation card."""
    schema: str = ""
    code: str = ""
    """Version of the package and of its computation."""
    indexes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By searched space: encoder, rows, kind, measured recall and digests of its index."""

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        return {**asdict(self), "as_of": self.as_of.isoformat(), "parents": list(self.parents)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """The manifest that `to_json` wrote; raises `ReleaseError` where it is of another make."""
        try:
            known = {name: value[name] for name in cls.__dataclass_fields__ if name in value or name != "indexes"}
            known["as_of"] = datetime.fromisoformat(value["as_of"])
            known["blocks"] = {table: Block(**block) for table, block in value["blocks"].items()}
            known["parents"] = tuple(value["parents"])
            return cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReleaseError(
                f"not a release manifest of this version of Penchant ({type(error).__name__}: {error}); "
                "publish the release again"
            ) from None


def release_name(as_of: datetime, refs: Mapping[str, str]) -> str:
    """`r<day>_<digest>`: the same content as of the same moment has the same name; `as_of` is timezone-aware."""
    if as_of.tzinfo is None:
        raise ReleaseError("as_of has no timezone; give it in UTC")
    moment = as_of.astimezone(UTC)
    content = json.dumps([moment.isoformat(), sorted(refs.items()), schema_digest()])
    return f"r{moment:%Y%m%d}_{hashlib.sha256(content.encode()).hexdigest()[:DIGEST]}"


def schema_digest() -> str:
    """Digest of the served tables' columns and types: 12 hexadecimal digits."""
    columns = [[table.name, [[c.name, c.type, c.nullable] for c in table.columns]] for table in schema.SERVED]
    return hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:12]


def served(name: str) -> Table:
    """The served table called `name`; raises `ReleaseError` naming those there are."""
    for table in schema.SERVED:
        if table.name == name:
            return table
    raise ReleaseError(f"{name!r} is not served; the served tables are {', '.join(t.name for t in schema.SERVED)}")
