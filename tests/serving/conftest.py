"""The read service over the real stores of the release tests, called in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.releases.conftest import (  # noqa: F401
    embedded_home,
    folder,
    pg_store,
    put_online,
    redis_store,
    redis_url,
    rooms,
    store,
)
from tests.releases.planted import FRESH

TOKEN = "a-token-for-the-tests-0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def reader_of(store: Any) -> Any:  # noqa: F811
    """A reader of `store` that asks the stores itself."""
    from tasks.releases import locating
    from tasks.serving.reader import Reader
    from tasks.serving.registry import Registry
    from tasks.serving.rows import PostgresRows, RedisRows

    if store.config.online_store.type == "redis":
        online: Any = RedisRows(locating.redis_options(store))
    else:
        online = PostgresRows(locating.online_conninfo(store))
    return Reader(Registry(locating.registry_conninfo(store)), online)


@pytest.fixture(scope="session")
def feast_of() -> Iterator[Callable[[Any], Any]]:
    """Feast's own server over a store; one for the session, because its Redis client belongs to one event loop."""
    from contextlib import ExitStack

    from feast.feature_server import get_app
    from starlette.testclient import TestClient

    made: dict[int, Any] = {}
    with ExitStack() as stack:

        def make(store: Any) -> Any:
            if id(store) not in made:
                made[id(store)] = stack.enter_context(TestClient(get_app(store, 0)))
            store.refresh_registry()
            return made[id(store)]

        yield make


@pytest.fixture
def client_of() -> Iterator[Callable[..., Any]]:
    """Make clients of services over a store; they are closed after the test."""
    from contextlib import ExitStack

    from starlette.testclient import TestClient

    from tasks.serving.app import create_app

    with ExitStack() as stack:

        def make(store: Any, fresh: Any = FRESH, *, reader: Any = None) -> Any:
            app = create_app(reader or reader_of(store), lambda: fresh, tokens=[TOKEN])
            return stack.enter_context(TestClient(app, headers=BEARER))

        yield make
