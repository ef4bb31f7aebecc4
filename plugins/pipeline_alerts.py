"""Airflow's callbacks as alerts: who calls, what may be said, and which Airflow connections alerts go to.

A failed task tells of itself where it ran, with its error's class. A run tells of its end in the DAG processor, also
where its task was killed and could not tell. The two are one alert: `tasks.jobs.alerting` speaks at edges only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Connection, DeadlineAlert, DeadlineReference, SyncCallback, conf

from tasks.settings import Settings

log = logging.getLogger(__name__)
Context = Mapping[str, Any]


def task_failed(context: Context) -> None:
    """A task has failed for good: its error's class is told, and its words where they are ours."""
    from tasks.jobs import alerting

    ti, error = context["ti"], context.get("exception")
    where = {"task": ti.task_id, "run": ti.run_id, "run_url": run_url(ti.dag_id, ti.run_id, ti.task_id)}
    known = error if isinstance(error, BaseException) else None
    alerting.report_failure(ti.dag_id, known, source=_source(context), targets=connected(), **where)


def run_failed(context: Context) -> None:
    """A run has failed, whatever became of its tasks."""
    from tasks.jobs import alerting

    dag, run = context["dag"].dag_id, context["run_id"]
    where = {"run": run, "run_url": run_url(dag, run), "at": _ended(context)}
    alerting.report_failure(dag, None, source=_source(context), targets=connected(), **where)


def run_succeeded(context: Context) -> None:
    """A run has gone well: the end of an incident, where there was one."""
    from tasks.jobs import alerting

    dag, run = context["dag"].dag_id, context["run_id"]
    where = {"run": run, "run_url": run_url(dag, run), "at": _ended(context)}
    alerting.report(dag, "ok", source=_source(context), targets=connected(), **where)


def tell_batch(batch: dict[str, Any], context: Context, *, when_stopped: bool = False) -> dict[str, Any]:
    """Tell what became of a batch, and give it back; only where it is stopped, if `when_stopped`."""
    from tasks.jobs import alerting
    from tasks.jobs.reports import report_url

    if batch.get("stopped") or not when_stopped:
        ti = context["ti"]
        base = conf.get("api", "base_url", fallback="")
        report = report_url(batch["batch_id"], base) if base and not batch.get("repeated") else ""
        where = {"run": ti.run_id, "run_url": run_url(ti.dag_id, ti.run_id), "report_url": report}
        alerting.report_batch(ti.dag_id, batch, source=_source(context), targets=connected(), **where)
    return batch


def run_late(context: Context) -> None:
    """A run has not ended by its deadline; Airflow gives the run and the deadline as plain JSON values."""
    from tasks.jobs import alerting

    run, allowed = context["dag_run"], Settings().batch_deadline_minutes / 60
    if run["state"] not in ("queued", "running"):  # Airflow keeps the deadline of a run that has failed
        return
    missed = _time(context["deadline"]["deadline_time"])
    waited = (datetime.now(UTC) - missed).total_seconds() / 3600 + allowed
    where = {"run": run["dag_run_id"], "run_url": run_url(run["dag_id"], run["dag_run_id"]), "at": missed}
    source = (run.get("conf") or {}).get("source") or ""
    facts = {"waited_hours": waited, "allowed_hours": allowed, **where}
    alerting.report(run["dag_id"], "overdue", source=source, targets=connected(), **facts)


def watch(as_of: datetime) -> dict[str, Any]:
    """Whether the newest batch is too old at `as_of`; also delivers what waits. The body of the DAG `watch_batches`."""
    from tasks.jobs import alerting

    return alerting.check_overdue(as_of.isoformat(), targets=connected())


def hourly_if_watched() -> str | None:
    """The schedule of `watch_batches`: hourly where batches are waited for or alerts may wait for a target."""
    settings = Settings()
    told = settings.alert_targets.get_secret_value() or settings.alert_connections
    return "@hourly" if settings.batch_every_hours or told else None


def deadline() -> dict[str, DeadlineAlert]:
    """The argument that gives a DAG's runs `batch_deadline_minutes` from when they are queued; none where that is 0."""
    minutes = Settings().batch_deadline_minutes
    if not minutes:
        return {}
    interval = timedelta(minutes=minutes)
    return {"deadline": DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, interval, SyncCallback(run_late))}


def run_url(dag: str, run: str, task: str = "") -> str:
    """Where a run, or a task in it, is seen in the Airflow UI; empty where `[api] base_url` is not set."""
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    page = f"{base}/dags/{quote(dag)}/runs/{quote(run, safe='')}" + (f"/tasks/{quote(task)}" if task else "")
    return page if base else ""


def connected() -> list[str]:
    """The addresses in the Airflow connections that `alert_connections` names.

    One that is missing or of a kind that cannot be written to becomes an address that fails, so that `status` shows it.
    """
    addresses = []
    for name in Settings().alert_connections.split():
        try:
            addresses += addresses_of(Connection.get(name))
        except Exception as error:  # whatever a secrets backend raises may quote the secret
            log.error("alerts cannot go to the Airflow connection %r: %s", name, type(error).__name__)
            addresses.append(f"connection://{quote(name, safe='')}")
    return addresses


def addresses_of(connection: Any) -> list[str]:
    """The addresses in a connection of type `smtp`, `slackwebhook` or `apprise`; `ValueError` for any other type.

    `smtp` takes `from_email`, `disable_ssl` and `disable_tls` from the extra as Airflow's own hook does, and `to`,
    the recipients between commas. `slackwebhook` has the webhook's address or token as its password.
    """
    extra = connection.extra_dejson
    match connection.conn_type:
        case "smtp":
            login, password = (quote(word or "", safe="") for word in (connection.login, connection.password))
            plain = bool(extra.get("disable_ssl"))
            query = {"from": extra.get("from_email", ""), "to": extra.get("to", "")}
            query |= {"tls": "none" if extra.get("disable_tls") else "required"} if plain else {}
            port = f":{connection.port}" if connection.port else ""
            who = f"{login}:{password}@" if login else ""
            return [f"{'smtp' if plain else 'smtps'}://{who}{connection.host or ''}{port}/?{urlencode(query)}"]
        case "slackwebhook":
            token, host = connection.password or "", connection.host or "https://hooks.slack.com/services"
            base = host if "://" in host else f"{connection.schema or 'https'}://{host}"
            return [token if "://" in token else f"{base.rstrip('/')}/{token}"]
        case "apprise":
            config = extra.get("config", [])
            config = [config] if isinstance(config, str | dict) else config
            return [one if isinstance(one, str) else one["path"] for one in config]
    raise ValueError(f"alerts cannot go to a connection of type {connection.conn_type!r}")


def _source(context: Context) -> str:
    return (context.get("params") or {}).get("source") or ""


def _ended(context: Context) -> datetime | None:
    """When the run ended: a callback may come late, after the next run has told of itself."""
    return getattr(context.get("dag_run"), "end_date", None)


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


TASK_ALERTS = {"on_failure_callback": task_failed}
"""Arguments of every task."""
RUN_ALERTS = {"on_failure_callback": run_failed, "on_success_callback": run_succeeded}
"""Arguments of every DAG whose run that goes well means that all is well."""
