"""Make Airflow's database and pools; run once before the components start, and again after every upgrade."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.components import POOLS
from deploy.credentials import passwords


def prepare() -> None:
    """Bring the database named by the environment to this version, and make logins and pools where they are missing."""
    passwords(Path(os.environ["PENCHANT_HOME"]))
    from airflow.models.pool import Pool
    from airflow.utils import db

    db.upgradedb()
    for name, (slots, meaning) in POOLS.items():
        if Pool.get_pool(name) is None:  # a number of slots chosen since is kept
            Pool.create_or_update_pool(name, slots, meaning, include_deferred=False)
