"""The production topology as local processes: the commands and environment of `docker-compose.yml`, without Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.components import TOPOLOGY
from deploy.environment import shared_stores, with_database
from deploy.stack import Say, Stack, free_port, local_place, only_one, running

DATABASE_URL = "postgresql://postgres@127.0.0.1:5432/airflow"
REDIS_URL = "redis://127.0.0.1:6379"


@contextmanager
def topology(home: Path, port: int, say: Say) -> Iterator[Stack]:
    """Airflow on Celery with two workers and a feature server, on a PostgreSQL and a Redis that run already.

    `DATABASE_URL` names Airflow's database (features go to the database `penchant` beside it, or to that of
    `PENCHANT_POSTGRES_DSN`), `REDIS_URL` the queue's Redis database (0 where it names none); online features go to
    the next one, or to `PENCHANT_REDIS_URL`.
    """
    database = os.environ.get("DATABASE_URL", DATABASE_URL)
    features = os.environ.get("PENCHANT_POSTGRES_DSN") or with_database(database, "penchant")
    redis = urlsplit(os.environ.get("REDIS_URL", REDIS_URL))
    number = int(redis.path.strip("/") or 0)
    online = os.environ.get("PENCHANT_REDIS_URL") or urlunsplit(redis._replace(path=f"/{number + 1}"))
    with only_one(home):
        place = local_place(
            home,
            free_port(port, say),
            database,
            broker=urlunsplit(redis._replace(path=f"/{number}")),
            settings=shared_stores(features, online),
            features_port=free_port(6566, say),
        )
        with running(place, TOPOLOGY, say) as stack:
            yield stack
