"""The place that `docker-compose.yml` describes; a test compares the two."""

from __future__ import annotations

from deploy.credentials import Credentials
from deploy.environment import Place, shared_stores

POSTGRES = "postgresql://penchant:${POSTGRES_PASSWORD}@postgres:5432"
REDIS = "redis://:${REDIS_PASSWORD}@redis:6379"

CONTAINERS = Place(
    project="/opt/penchant",
    home="/var/lib/penchant",
    host="0.0.0.0",  # inside the containers' own network; docker-compose.yml publishes on loopback
    port=8080,
    api="http://api-server:8080",
    database=f"{POSTGRES}/airflow",
    broker=f"{REDIS}/0",
    settings=shared_stores(f"{POSTGRES}/penchant", f"{REDIS}/1"),
)

SECRETS = Credentials(
    jwt_secret="${AIRFLOW_JWT_SECRET:?set it in .env}",
    secret_key="${AIRFLOW_SECRET_KEY:?set it in .env}",
    fernet_key="${AIRFLOW_FERNET_KEY:?set it in .env}",
    read_token="${READ_TOKEN:?set it in .env}",
)
"""Docker Compose fills these in from `.env`."""
