"""The environment of every Airflow process, as one dictionary: local processes and `docker-compose.yml` share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from deploy.credentials import Credentials

USERS = "admin:admin,viewer:viewer"
"""Names and roles of the logins; their passwords stand in the file `passwords.json`."""


@dataclass(frozen=True)
class Place:
    """Where a set of Airflow processes runs and what it reaches."""

    project: str
    """Folder that holds `dags/`, `plugins/` and `tasks/`."""
    home: str
    """Folder of everything that is kept: artifacts, logs, passwords."""
    host: str
    """Interface that the API server listens on."""
    port: int
    api: str
    """Address by which the other components reach the API server."""
    database: str
    """libpq URI of Airflow's own database."""
    broker: str = ""
    """Redis URL of the Celery queue; empty: tasks run beside the scheduler."""
    settings: dict[str, str] = field(default_factory=dict)
    """`PENCHANT_` settings beyond the home."""
    features_port: int = 6566
    """Port of the feature server, which listens on `host` too."""


def environment(place: Place, credentials: Credentials) -> dict[str, str]:
    """All that an Airflow process at `place` must find in its environment."""
    return {
        **_core(place),
        **_secrets(credentials),
        **_pace(),
        **(_celery(place) if place.broker else {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}),
        "FEATURE_SERVER": f"{place.host}:{place.features_port}",
        "PENCHANT_HOME": place.home,
        "PENCHANT_READ_TOKENS": credentials.read_token,
        **place.settings,
    }


def shared_stores(postgres: str, redis: str) -> dict[str, str]:
    """Settings that put features where every machine reaches them: registry in PostgreSQL, online features in Redis."""
    return {"PENCHANT_ONLINE_STORE": "redis", "PENCHANT_POSTGRES_DSN": postgres, "PENCHANT_REDIS_URL": redis}


def with_driver(uri: str, driver: str) -> str:
    """A libpq URI as an SQLAlchemy one for `driver`."""
    return urlunsplit(urlsplit(uri)._replace(scheme=f"postgresql+{driver}"))


def with_database(uri: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(uri)._replace(path=f"/{database}"))


def _core(place: Place) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": f"{place.home}/airflow",
        "PYTHONPATH": place.project,  # for `tasks`; DAGs and plugins have folders of their own
        "AIRFLOW__CORE__DAGS_FOLDER": f"{place.project}/dags",
        "AIRFLOW__CORE__PLUGINS_FOLDER": f"{place.project}/plugins",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": f"{place.home}/passwords.json",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{place.api}/execution/",
        "AIRFLOW__API__HOST": place.host,
        "AIRFLOW__API__PORT": str(place.port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{place.port}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": with_driver(place.database, "psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": with_driver(place.database, "asyncpg"),
    }


def _secrets(credentials: Credentials) -> dict[str, str]:
    return {
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.jwt_secret,
        "AIRFLOW__API__SECRET_KEY": credentials.secret_key,
        "AIRFLOW__CORE__FERNET_KEY": credentials.fernet_key,
    }


def _pace() -> dict[str, str]:
    """How often Airflow looks and how long it waits, in seconds; its defaults suit a cluster and cost 1 s a task."""
    return {
        "AIRFLOW__CORE__PARALLELISM": "4",  # the default forks 32 workers
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "3600",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
        # A dead task is found after a minute, yet a task outlives a restart of the API server.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "3600",  # the GPU worker may be away for an hour
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    }


def _celery(place: Place) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": place.broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{with_driver(place.database, 'psycopg2')}",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",  # longer tasks run twice
    }
