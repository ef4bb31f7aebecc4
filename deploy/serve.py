"""Answering feature requests over HTTP: Penchant's read service, or Feast's own feature server."""

from __future__ import annotations

import os

from tasks.settings import Settings


def address() -> str:
    """Where to listen: what `FEATURE_SERVER` names (`host:port`), 127.0.0.1:6566 where unset."""
    return os.environ.get("FEATURE_SERVER", "127.0.0.1:6566")


def serve(*, is_open: bool, workers: int) -> None:
    """Run the read service until ended; see `tasks.jobs.serving`."""
    from tasks.jobs import serving

    serving.serve(address(), workers=workers, is_open=is_open)


def serve_feast() -> None:
    """Run Feast's own feature server until ended: the same features, slower, with no login and no age limits."""
    from tasks.releases import stores

    settings = Settings()
    host, port = address().rsplit(":", 1)
    store = stores.open_store(
        settings.home,
        kind=settings.online_store,
        postgres_dsn=settings.postgres_dsn,
        redis_url=settings.redis_url,
    )
    stores.engine_of(store).dispose()  # the server forks, and a connection must not be shared by two processes
    # Feast replaces a worker every 1,000 requests by default, and requests wait over a second for the new one.
    store.serve(host, int(port), max_requests=0, max_requests_jitter=0, registry_ttl_sec=stores.REGISTRY_TTL)
