"""Feast's own feature server over the live release."""

from __future__ import annotations

import os

from tasks.releases import stores
from tasks.settings import Settings


def serve() -> None:
    """Answer HTTP on the address that `FEATURE_SERVER` names (`host:port`; 127.0.0.1:6566 where unset) until ended."""
    settings = Settings()
    host, port = os.environ.get("FEATURE_SERVER", "127.0.0.1:6566").rsplit(":", 1)
    store = stores.open_store(
        settings.home,
        kind=settings.online_store,
        postgres_dsn=settings.postgres_dsn,
        redis_url=settings.redis_url,
    )
    stores.engine_of(store).dispose()  # the server forks, and a connection must not be shared by two processes
    # Feast replaces a worker every 1,000 requests by default, and requests wait over a second for the new one.
    store.serve(host, int(port), max_requests=0, max_requests_jitter=0, registry_ttl_sec=stores.REGISTRY_TTL)
