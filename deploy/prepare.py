"""Make Airflow's database and pools; run once before the components start, and again after every upgrade."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.components import POOLS
from deploy.credentials import passwords
from deploy.stores import make_database


def prepare() -> None:
    """Bring the databases that the environment names to this version, and make logins and pools where missing."""
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "PENCHANT_POSTGRES_DSN"):
        if uri := os.environ.get(name):
            make_database(uri.replace("+psycopg2", "", 1))
    passwords(Path(os.environ["PENCHANT_HOME"]))
    from airflow.models.pool import Pool
    from airflow.utils import db

    db.upgradedb()
    for name, (slots, meaning) in POOLS.items():
        if Pool.get_pool(name) is None:  # a number of slots chosen since is kept
            Pool.create_or_update_pool(name, slots, meaning, include_deferred=False)
