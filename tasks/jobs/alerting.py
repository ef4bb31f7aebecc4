"""Telling people: what a pipeline came to is noted, and where that is an edge, an alert goes out once.

First the decision is written down together with the alert and the targets it is for, then it is delivered, then each
delivery is written down. Nothing here fails a pipeline for a target's sake: what a target did not take stays in the
outbox, is shown by `status`, and is tried again at the next occasion.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.jobs.history import read_history
from tasks.jobs.workspace import open_store, parse_as_of
from tasks.settings import Settings
from tasks.store import Ref, Store

if TYPE_CHECKING:
    from tasks.alerts import Outbox, Target
    from tasks.alerts.alert import Condition
    from tasks.alerts.outbox import Entry

HEAD, DELIVERY = "alerts", "alerts-delivery"
TIMEOUT_S, ROUNDS_S = 10.0, 30.0
"""Seconds that one target may take for one alert, and after which no further alert is begun in the same call."""
WATCH = "watch_batches"


def report(
    pipeline: str,
    condition: Condition,
    *,
    source: str = "",
    at: datetime | None = None,
    targets: Sequence[str] = (),
    **facts: Any,
) -> None:
    """Note how a pipeline of a source stands; send an alert to every target where that has changed, then what waits.

    at: when it was so, now where not given; what is older than the last note is left out. targets: addresses beyond
    those in the settings. facts: fields of `tasks.alerts.Facts`. Raises `SchemaError` where a fact is no count, name
    or link.
    """
    from tasks.alerts import Facts, as_name

    known, when, everyone = Facts(**facts), at or datetime.now(UTC), _targets(targets)
    name, stream = as_name(pipeline), as_name(source)
    _change(lambda box: box.observe(name, stream, condition, at=when, facts=known, targets=everyone))
    deliver(targets)


def report_failure(pipeline: str, error: BaseException | None, **facts: Any) -> None:
    """Note that a run failed, with the class of its error and, where it is one of ours, its words.

    Further arguments are those of `report`.
    """
    from tasks.alerts import cause

    said: dict[str, Any] = dict(cause(error)) if error else {}
    report(pipeline, "failed", **{**said, **facts})


def report_batch(pipeline: str, batch: Mapping[str, Any], *, source: str = "", **facts: Any) -> None:
    """Note what became of a batch: stopped, taken in with more bad rows than the source's budget, or well.

    batch: `batch_id`, `counts` by table as `tasks.jobs.ingest` gives them, and `stopped` (why, where it was) and
    `users` (how many people's rows failed) where known. source: the stream of batches it belongs to; one that fails
    and one that goes well cancel out only within a source. A batch that was taken in before says nothing.
    """
    if batch.get("repeated"):
        return
    settings = Settings()
    counted, stopped = batch_facts(batch), batch.get("stopped")
    share = settings.warning_budgets.get(source, settings.warning_budget)
    over = counted["rows_failed"] > share * counted["rows"]
    if stopped:
        counted |= {"error": "BatchRefused", "reason": str(stopped)}
    elif over:
        counted["budget"] = share
    elif batch.get("alarms"):  # sentences about the batch as a whole, with nobody's words in them
        counted["reason"] = " ".join(batch["alarms"])
    unlike = bool(batch.get("alarms"))
    condition: Condition = "failed" if stopped else "budget" if over else "unlike" if unlike else "ok"
    report(pipeline, condition, source=source, **{**counted, **facts})


def batch_facts(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Counts and names of a batch, as `report` takes them."""
    from tasks.alerts import as_name

    rows: dict[str, int] = {"entered": 0, "quarantined": 0}
    rules: dict[str, int] = {}
    for table in batch.get("counts", {}).values():
        for name in rows:
            rows[name] += table["rows"][name]
        for rule, count in table["rules"].items():
            rules[rule] = rules.get(rule, 0) + count
    sources = [as_name(name.strip()) for name in str(batch.get("source") or "").split(",") if name.strip()]
    return {
        "batch": as_name(str(batch["batch_id"])),
        "rows": rows["entered"],
        "rows_failed": rows["quarantined"],
        "rules": rules,
        "sources": sources,
        "users": batch.get("users"),
    }


def question(batch: Mapping[str, Any], **facts: Any) -> tuple[str, str]:
    """Subject and Markdown body that ask a person about a stopped batch: counts by rule, never a value."""
    from tasks.alerts import Facts, as_name
    from tasks.alerts import question as ask

    return ask(Facts(**{**batch_facts(batch), **facts}), as_name(str(batch.get("source") or "")))


def check_overdue(as_of: str, *, targets: Sequence[str] = (), **facts: Any) -> dict[str, Any]:
    """Note whether the newest batch is older at `as_of` than `batch_every_hours` allows; deliver what waits.

    A batch's time is its `as_of`. Gives `hours` since it, None before the first batch, and `overdue`. Nothing is
    overdue where the setting is 0 or before the first batch.
    """
    settings, when = Settings(), parse_as_of(as_of)
    times = [parse_as_of(batch["as_of"]) for batch in read_history(open_store(settings))["batches"].values()]
    hours = (when - max(times)).total_seconds() / 3600 if times else None
    overdue = hours is not None and 0 < settings.batch_every_hours < hours
    waited = {"waited_hours": hours, "allowed_hours": settings.batch_every_hours} if overdue else {}
    report(WATCH, "overdue" if overdue else "ok", at=when, targets=targets, **{**waited, **facts})
    return {"hours": hours, "overdue": overdue}


def deliver(targets: Sequence[str] = ()) -> int:
    """Deliver what waits in the outbox, oldest first; gives how many deliveries succeeded.

    One process delivers at a time. A target that fails is left alone until the next call.
    """
    from tasks.alerts import deliver as send
    from tasks.alerts import message

    store, rest, delivered = open_store(Settings()), _targets(targets), 0
    if not _due(_read(store), rest):
        return 0
    with store.lock(DELIVERY):
        until = time.monotonic() + ROUNDS_S
        while (due := _due(_read(store), rest)) and time.monotonic() < until:
            wrong = send({t: message(e.alert, e.key) for t, e in due.items()}, timeout=TIMEOUT_S)
            _change(partial(_record, due=due, wrong=wrong, at=datetime.now(UTC)))
            delivered += sum(not error for error in wrong.values())
            rest = [target for target in due if not wrong[target]]
    return delivered


def status(targets: Sequence[str] = ()) -> dict[str, Any]:
    """Targets with their last success and error and what waits for them, open incidents, and the latest alerts.

    A target is shown by its scheme and host and by a mark, never by its address. JSON values throughout.
    """
    return _read(open_store(Settings())).summary(_targets(targets))


def send_test(targets: Sequence[str] = ()) -> dict[str, Any]:
    """Send a test alert to every target, without any incident; gives `status`."""
    from tasks.alerts import Alert

    everyone = _targets(targets)
    alert = Alert(kind="test", pipeline="alerts", at=datetime.now(UTC))
    _change(lambda box: box.say(alert, everyone))
    deliver(targets)
    return status(targets)


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """What `status` gives, as text."""
    for target in status["targets"]:
        last = f"last success {target['last_success'] or 'never'}"
        wrong = f", last error {target['last_error']} at {target['last_error_at']}" if target["last_error"] else ""
        waiting = f", {target['pending']} waiting, {target['given_up']} given up"
        yield f"{target['target']} ({target['mark']}): {last}{wrong}{waiting}"
    if not status["targets"]:
        yield "no target: set PENCHANT_ALERT_TARGETS"
    for incident in status["open"]:
        yield f"open: {incident['pipeline']} {incident['source']} {incident['condition']} since {incident['since']}"
    for alert in status["alerts"]:
        yield f"{alert['at']}  {alert['title']}  {alert['delivered']} of {alert['targets']} delivered"


def _targets(more: Iterable[str]) -> list[Target]:
    from tasks.alerts import read_targets

    return read_targets(" ".join([Settings().alert_targets.get_secret_value(), *more]))


def _due(box: Outbox, targets: Iterable[Target]) -> dict[Target, Entry]:
    return {target: entry for target in targets if (entry := box.due(target))}


def _record(box: Outbox, *, due: Mapping[Target, Entry], wrong: Mapping[Target, str], at: datetime) -> Outbox:
    for target, error in wrong.items():
        box = box.record(due[target].key, target, error, at=at)
    return box


def _read(store: Store) -> Outbox:
    with store.lock(HEAD):
        return _open(store, store.head(HEAD))


def _change(change: Callable[[Outbox], Outbox]) -> None:
    """Change the outbox in one step; the document before it is removed, for nothing refers to it."""
    store = open_store(Settings())
    with store.lock(HEAD):
        head = store.head(HEAD)
        ref = store.put_json(HEAD, change(_open(store, head)).model_dump(mode="json"))
        store.move_head(HEAD, ref)
        if head and head != ref:
            shutil.rmtree(store.folder(head), ignore_errors=True)


def _open(store: Store, head: Ref | None) -> Outbox:
    from tasks.alerts import Outbox

    return Outbox.model_validate(store.read_json(head)) if head else Outbox(salt=secrets.token_hex(16))
