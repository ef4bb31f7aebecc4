"""Alerts in words: a title, plain text, Slack's markup and HTML, all of the same lines."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime

from tasks.alerts.alert import Alert, Facts

RULES_SHOWN, SOURCES_SHOWN = 8, 5
WHAT_HAPPENED = {
    "failed": "failed",
    "budget": "let in a batch with too many bad rows",
    "unlike": "let in a batch unlike the recent ones",
    "overdue": "is overdue",
    "stale": "is stale",
    "recovered": "has recovered",
    "test": "sends a test",
}
WHAT_TO_DO = {
    "failed": "Open the run: its log ends with the reason. Mend the cause and run it again; a batch that was refused "
    "changed nothing.",
    "budget": "The good rows are in. Look at the rules below in the quarantine, mend at the source or replay the rows.",
    "unlike": "The rows are in. Look at the report; mend at the source what you did not expect.",
    "overdue": "See whether the source still delivers and whether the run that takes it in is stuck or paused.",
    "stale": "Readers still get the old release. See which pipeline before it failed or did not start.",
    "recovered": "Nothing.",
    "test": "Nothing: this target works.",
}


@dataclass(frozen=True)
class Message:
    """One alert, ready for every kind of target; `key` is the same each time it is sent."""

    key: str
    title: str
    text: str
    slack: str
    html: str


def message(alert: Alert, key: str) -> Message:
    """The alert in every form."""
    head, lines = title(alert), _lines(alert)
    plain = "\n".join([head, "", *(f"{label}: {value}" for label, value in lines)])
    slack = "\n".join([f"*{_slack(head)}*", *(f"{label}: {_slack(value)}" for label, value in lines)])
    rows = "".join(f"<tr><th align=left>{label}</th><td>{_html(value)}</td></tr>" for label, value in lines)
    return Message(key, head, plain, slack, f"<p><b>{html.escape(head)}</b></p><table>{rows}</table>")


def title(alert: Alert) -> str:
    """One short line: which pipeline, what happened, how many rows."""
    subject = f"{alert.pipeline} ({alert.source})" if alert.source else alert.pipeline
    rows = f": {_rows(alert.facts)}" if alert.facts.rows_failed and alert.kind != "recovered" else ""
    return f"[Penchant] {subject} {WHAT_HAPPENED[alert.kind]}{rows}"


def question(facts: Facts, source: str) -> tuple[str, str]:
    """Subject and Markdown body that ask a person whether a stopped batch is let in all the same."""
    batch = f"`{facts.batch}`" + (f" of `{source}`" if source else "")
    rules = [f"| `{rule}` | {count:,} |" for rule, count in _by_count(facts)]
    people = "" if facts.users is None else f" They belong to {facts.users:,} users."
    body = [
        f"Batch {batch} was stopped before anything downstream started; nothing has changed.",
        f"**{_rows(facts)}** failed.{people}",
        *(["\n| rule | rows |\n|---|---|", *rules] if rules else []),
        *([f"\n[Quality report]({facts.report_url})"] if facts.report_url else []),
        "\n**Accept** takes in its good rows and keeps your name and reason in the ledger. **Refuse** leaves it out; "
        "mend it at the source and run it again.",
    ]
    return f"Let in batch {facts.batch}?", "\n".join(body)


def _lines(alert: Alert) -> list[tuple[str, str]]:
    """Label and value of everything that is known, in the order in which one asks."""
    facts, shown = alert.facts, alert.kind != "recovered"
    rules = _by_count(facts)
    more = f" and {len(rules) - RULES_SHOWN} more" if len(rules) > RULES_SHOWN else ""
    others = f" and {len(facts.sources) - SOURCES_SHOWN} more" if len(facts.sources) > SOURCES_SHOWN else ""
    lines = [
        ("When", _time(alert.at)),
        ("Ended", f"{alert.was}, seen {alert.times}× since {_time(alert.since)}" if alert.since and not shown else ""),
        ("Why", ": ".join(word for word in (facts.error, facts.reason) if word)),
        ("Waited", _hours(facts)),
        ("Rows", _rows(facts)),
        ("Budget", f"{facts.budget:.1%} of rows" if facts.budget is not None else ""),
        ("Rules", ", ".join(f"{rule} {count:,}" for rule, count in rules[:RULES_SHOWN]) + more),
        ("Users affected", "" if facts.users is None else f"{facts.users:,}"),
        ("Sources", ", ".join(facts.sources[:SOURCES_SHOWN]) + others),
        ("Batch", facts.batch),
        ("Task", facts.task),
        ("Run", facts.run_url or facts.run),
        ("Report", facts.report_url),
        ("Incident", alert.incident),
        ("What to do", WHAT_TO_DO[alert.kind]),
    ]
    return [(label, value) for label, value in lines if value]


def _by_count(facts: Facts) -> list[tuple[str, int]]:
    return sorted(facts.rules.items(), key=lambda pair: (-pair[1], pair[0]))


def _rows(facts: Facts) -> str:
    if facts.rows_failed is None:
        return "" if facts.rows is None else f"{facts.rows:,} rows"
    if not facts.rows:
        return f"{facts.rows_failed:,} rows"
    return f"{facts.rows_failed:,} of {facts.rows:,} rows ({facts.rows_failed / facts.rows:.1%})"


def _hours(facts: Facts) -> str:
    if facts.waited_hours is None or facts.allowed_hours is None:
        return ""
    return f"{facts.waited_hours:.1f} hours; {facts.allowed_hours:g} are allowed"


def _time(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else ""


def _slack(text: str) -> str:
    """Slack reads three characters as markup: https://api.slack.com/reference/surfaces/formatting#escaping."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{escaped}>" if text.startswith(("http://", "https://")) else escaped


def _html(text: str) -> str:
    escaped = html.escape(text)
    return f'<a href="{escaped}">{escaped}</a>' if text.startswith(("http://", "https://")) else escaped
