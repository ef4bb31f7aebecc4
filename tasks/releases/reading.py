"""Reading the live release through Feast: values, their age, whether they are there and fresh, all of one release."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feast import FeatureService, FeatureStore
from feast.errors import FeastObjectNotFoundException, FeatureViewNotFoundException
from psycopg.errors import UndefinedTable

from feature_repo import features
from tasks import schema
from tasks.columns import Column, Table
from tasks.errors import ReleaseError, RequestError
from tasks.releases.freshness import Freshness, Status, stale_inputs
from tasks.releases.stores import reaching, refresh

USER_SERVICES = ("user_interest", "recommendations")
ITEM_SERVICES = ("item_content",)
_UNFIT = re.compile("[\0\ud800-\udfff]")
"""What no store can hold in a text: a NUL, and half of a UTF-16 pair."""


@dataclass(frozen=True)
class BlockRead:
    """One table's values for one key: none where it is `ABSENT`, outlived ones where it is `STALE`."""

    status: Status
    values: Mapping[str, Any]
    as_of: datetime | None
    age: float | None
    """Seconds."""


@dataclass(frozen=True)
class Profile:
    """What the live release knows of one user or item, by name of served table."""

    key: str
    release: str
    blocks: Mapping[str, BlockRead]

    @property
    def known(self) -> bool:
        """Whether any block is there, be it stale."""
        return any(block.status != "ABSENT" for block in self.blocks.values())

    @property
    def stale_inputs(self) -> list[str]:
        """Which of the blocks that the recommendations are made from are stale."""
        return stale_inputs({name: block.status for name, block in self.blocks.items()})


@dataclass(frozen=True)
class Answer:
    """What Feast answered: by full feature name, one value and one event time (UTC) per key."""

    values: Mapping[str, list[Any]]
    times: Mapping[str, list[datetime]]


def read_user(
    store: FeatureStore, user_ids: Sequence[str], fresh: Freshness, *, release: str | None = None
) -> list[Profile]:
    """Interests and recommendations of each user, in the order asked; of the live release, or of the one named.

    Each block says how old it is and whether that is too old by `fresh`; one of which nothing is known is `ABSENT`.
    Raises `RequestError` for an id that cannot be, `ReleaseError` where there is no release or where blocks are of
    different ones, `StoreUnavailable` where a store does not answer.
    """
    return _read(store, USER_SERVICES, schema.USER_ID, user_ids, fresh, release)


def read_item(
    store: FeatureStore, item_ids: Sequence[str], fresh: Freshness, *, release: str | None = None
) -> list[Profile]:
    """Content of each item, in the order asked; as `read_user`."""
    return _read(store, ITEM_SERVICES, schema.ITEM_ID, item_ids, fresh, release)


def check_ids(column: Column, ids: Sequence[Any]) -> None:
    """Raise `RequestError` with the first place, from 0, of an id that no row can have; the id itself is not told."""
    for place, key in enumerate(ids):
        where = f"{column.name}[{place}]"
        if not isinstance(key, str):
            raise RequestError(f'{where} is no text; ids are texts, such as "42"')
        if _UNFIT.search(key):
            raise RequestError(f"{where} holds a NUL or half a character; no id does")
        if len(key) > (column.max_length or 0):
            raise RequestError(f"{where} has {len(key)} characters; ids have at most {column.max_length}")


def ask(store: FeatureStore, service: FeatureService, join_key: str, keys: Sequence[str]) -> Answer:
    """Read `keys` through one service, with full feature names."""
    response = store.get_online_features(features=service, entity_rows={join_key: list(keys)}, full_feature_names=True)
    names = list(response.proto.metadata.feature_names.val)
    times = {
        name: [stamp.ToDatetime(UTC) for stamp in result.event_timestamps]
        for name, result in zip(names, response.proto.results, strict=True)
        if name != join_key
    }
    return Answer(response.to_dict(), times)


def _read(
    store: FeatureStore, of: Sequence[str], key: Column, keys: Sequence[str], fresh: Freshness, release: str | None
) -> list[Profile]:
    check_ids(key, keys)
    join_key = key.name
    if not keys:
        return []  # Feast answers an empty request with an IndexError
    with reaching("the online store"):
        try:
            answers, serving = _answers(store, of, join_key, keys, release)
        except (FeatureViewNotFoundException, UndefinedTable):
            answers, serving = {}, set()
        if len(serving) != 1:  # the release changed, or an old one was removed, since this copy of the registry
            refresh(store)
            try:
                answers, serving = _answers(store, of, join_key, keys, release)
            except (FeatureViewNotFoundException, UndefinedTable):
                raise ReleaseError(
                    f"release {release or 'that is live'} has lost its views; publish it again"
                ) from None
    if len(serving) != 1:
        raise ReleaseError(f"one read was answered by releases {', '.join(sorted(serving))}; read again")
    name = serving.pop()
    return [_profile(asked, row, answers, name, fresh) for row, asked in enumerate(keys)]


def _answers(
    store: FeatureStore, of: Sequence[str], join_key: str, keys: Sequence[str], release: str | None
) -> tuple[dict[str, Answer], set[str]]:
    """What each service answers, and the releases that the services and the stored rows name."""
    services = _services(store, of, release)
    answers = {name: ask(store, service, join_key, keys) for name, service in services.items()}
    return answers, {service.tags["release"] for service in services.values()} | _serving(answers)


def _serving(answers: Mapping[str, Answer]) -> set[str]:
    """The releases that stored rows name."""
    tables = {name: schema.SERVICES[name] for name in answers}
    columns = (answers[n].values[f"{t.name}__{schema.RELEASE.name}"] for n, of in tables.items() for t in of)
    return {name for column in columns for name in column if name is not None}


def _profile(key: str, row: int, answers: Mapping[str, Answer], release: str, fresh: Freshness) -> Profile:
    blocks = {t.name: _block(answer, t, row, fresh) for name, answer in answers.items() for t in schema.SERVICES[name]}
    return Profile(key, release, blocks)


def _services(store: FeatureStore, names: Sequence[str], release: str | None) -> dict[str, FeatureService]:
    """The services called `names`, from the cached registry: one copy, so one release."""
    found = {}
    for name in names:
        try:
            full = features.service_name(name, release) if release else name
            found[name] = store.get_feature_service(full, allow_cache=True)
        except FeastObjectNotFoundException:
            missing = f"there is no release {release!r}" if release else "no release is live yet; publish one"
            raise ReleaseError(missing) from None
    return found


def _block(answer: Answer, table: Table, row: int, fresh: Freshness) -> BlockRead:
    """One block of one key. A stored row always names its release, so a row without one is absent.

    Feast's own status cannot tell: Redis answers PRESENT, with nulls, for a key that was never written.
    """
    prefix = f"{table.name}__"
    if answer.values[prefix + schema.RELEASE.name][row] is None:
        return BlockRead("ABSENT", {}, None, None)
    values = {c.name: answer.values[prefix + c.name][row] for c in table.features}
    as_of = answer.times[prefix + schema.RELEASE.name][row]
    return BlockRead(fresh.status(table.name, as_of), values, as_of, fresh.age(as_of))
