"""The processes Penchant is made of, each as one command; `docker-compose.yml` runs the very same ones."""

from __future__ import annotations

Command = tuple[str, ...]

PREPARE: Command = ("python", "-m", "deploy", "prepare")

AIRFLOW: dict[str, Command] = {
    "api-server": ("airflow", "api-server"),
    # Log servers would listen on every interface; the API server reads the same log folder instead.
    "scheduler": ("airflow", "scheduler", "--skip-serve-logs"),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}


def worker(queue: str, concurrency: int) -> Command:
    """A Celery worker that takes tasks from one queue."""
    listening = ("--queues", queue, "--celery-hostname", f"{queue}@%h", "--concurrency", str(concurrency))
    return ("airflow", "celery", "worker", *listening, "--skip-serve-logs", "--without-mingle", "--without-gossip")


WORKERS: dict[str, Command] = {"worker-default": worker("default", 2), "worker-gpu": worker("gpu", 1)}

FEATURES: dict[str, Command] = {"feature-server": ("python", "-m", "deploy", "serve")}

TOPOLOGY: dict[str, Command] = {**AIRFLOW, **WORKERS, **FEATURES}
"""What runs where the work is spread over several machines."""

POOLS: dict[str, tuple[int, str]] = {
    "gpu": (1, "Neural work: as many slots as there are GPUs, or one on a machine without"),
}
"""Name → slots and meaning, beside Airflow's own `default_pool`; a task whose pool is missing waits for ever."""
