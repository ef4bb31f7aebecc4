"""The report on a batch: Great Expectations' own Data Docs as one page that needs no network and no script.

What Great Expectations renders is the validation result of the suites, rebuilt from the summaries, which hold bounds
and counts and never a value. The page around it is ours, because GX's loads fonts, styles and scripts from six hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, Environment, PackageLoader

from tasks.quality.batch_suite import SUITE
from tasks.quality.expectations import GX_VERSION
from tasks.quality.rules import UNREADABLE

_REASONS = {UNREADABLE: "the source could not read these values; the quarantine says which, and why"}
"""Of rules that have no single reason, and so none in the suite."""
Card = dict[str, Any]
"""A report in short: batch_id, source, as_of, written_at, refused, rows, broken (rule → rows) and alarms (rules).

What is merely noted (`info`) counts as kept."""


@dataclass(frozen=True)
class Part:
    """The verdict of one suite, as the check writes it: summary and suite, JSON documents both."""

    summary: Mapping[str, Any]
    suite: Mapping[str, Any]


def build_report(parts: Sequence[Part], *, refused: str = "", run_url: str = "") -> str:
    """The page on one batch as HTML, complete in itself.

    parts: one for each table that was checked, and one for the batch as a whole where it was compared. refused: why
    nothing was kept, in the words of the error. run_url: the run in Airflow.
    """
    lines = [line for part in parts if part.summary["table"] != SUITE for line in _lines(part)]
    page: str = (
        _environment()
        .get_template("report.html")
        .render(
            card=card(parts, written_at="", refused=bool(refused)),
            version=GX_VERSION,
            refused=refused,
            run_url=run_url if run_url.startswith(("http://", "https://", "/")) else "",
            findings=[line for part in parts if part.summary["table"] == SUITE for line in _lines(part)],
            worst=sorted((line for line in lines if line["unexpected"]), key=lambda line: -line["unexpected"]),
            parts=[{"title": part.summary["table"], "sections": _sections(part)} for part in parts],
            renderer_type="ValidationResultsPageRenderer",
        )
    )
    return page


def card(parts: Sequence[Part], *, written_at: str, refused: bool) -> Card:
    """The report in short, for the list of reports."""
    summaries = [part.summary for part in parts]
    rows = dict.fromkeys(("in", "accepted", "quarantined", "repeated"), 0)
    broken: dict[str, int] = {}
    for part in parts:
        if part.summary["table"] == SUITE:
            continue
        for name in rows:
            rows[name] += part.summary["rows"][name]
        for line in _lines(part):
            if line["unexpected"] and line["severity"] != "info":
                broken[line["rule"]] = broken.get(line["rule"], 0) + line["unexpected"]
    alarms = [
        line["rule"] for s in summaries if s["table"] == SUITE for line in s["expectations"] if line["unexpected"]
    ]
    known = {name: summaries[0][name] for name in ("batch_id", "source", "as_of")}
    return {**known, "written_at": written_at, "refused": refused, "rows": rows, "broken": broken, "alarms": alarms}


def index_page(cards: Sequence[Card]) -> str:
    """The list of reports as HTML, newest first, complete in itself."""
    page: str = _environment().get_template("reports.html").render(cards=_newest_first(cards))
    return page


def expired(cards: Sequence[Card], keep: int) -> list[str]:
    """Batches of the reports beyond the `keep` newest."""
    return [card["batch_id"] for card in _newest_first(cards)[keep:]]


def _newest_first(cards: Sequence[Card]) -> list[Card]:
    return sorted(cards, key=lambda card: (card["written_at"], card["batch_id"]), reverse=True)


@cache
def _environment() -> Environment:
    """GX's templates and filters, and ours, which stand before them; ours escape all that is put into them."""
    environment: Environment = DefaultJinjaPageView().env
    environment.loader = ChoiceLoader([PackageLoader("tasks", "quality/pages"), environment.loader])  # type: ignore[list-item]
    return environment


def _lines(part: Part) -> list[dict[str, Any]]:
    """The lines of the summary, each with the reason that stands in the suite; what the source reported comes last."""
    reasons = {
        (found["meta"]["rule"], found["meta"]["column"]): found["meta"]["reason"]
        for found in part.suite["expectations"]
    }
    table, rows = part.summary["table"], part.summary["rows"]["in"]
    lines = [
        {
            **line,
            "table": table,
            "reason": reasons.get((line["rule"], line["column"])) or _REASONS.get(line["rule"], ""),
        }
        for line in part.summary["expectations"]
    ]
    lines += [
        {
            "rule": rule,
            "column": None,
            "table": table,
            "severity": "warning",
            "reason": f"one of the values counted as {UNREADABLE}",
            "unexpected": count,
            "unexpected_percent": 100 * count / rows if rows else 0.0,
        }
        for rule, count in part.summary["reported"].items()
    ]
    return lines


def _sections(part: Part) -> list[dict[str, Any]]:
    """What Great Expectations renders for the suite: its statistics, and its rows as one table, those failed first."""
    lines = {_key(line): line for line in _lines(part) if "measured" in line}
    results = [_result(key, line) for key, line in lines.items()]
    met = sum(bool(result.success) for result in results)
    validation = ExpectationSuiteValidationResult(
        success=met == len(results),
        results=results,
        suite_name=part.summary["table"],
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100 * met / len(results) if results else None,
        },
        meta={"great_expectations_version": GX_VERSION},
        suite_parameters={},
    )
    overview, *sections = ValidationResultsPageRenderer().render(validation).to_json_dict()["sections"]
    # Its header leads to pages of a site that is not built.
    overview["content_blocks"] = [
        block for block in overview["content_blocks"] if block["content_block_type"] == "table"
    ]
    sections.sort(key=lambda section: lines[section["section_name"]]["success"])
    for section in sections:
        section["content_blocks"][1]["table"][0].insert(1, _described(lines[section["section_name"]]))
    table = sections[0]["content_blocks"][1]
    rows = [row for section in sections for row in section["content_blocks"][1]["table"]]
    table |= {"table": rows, "header_row": ["Status", "Rule", "Expectation", "Observed Value"]}
    return [overview, {"section_name": "Expectations", "content_blocks": [table]}]


def _key(line: Mapping[str, Any]) -> str:
    return f"{line['rule']} {line['column'] or ''}".strip()


def _described(line: Mapping[str, Any]) -> str:
    """A cell that names the rule and says what it measures; GX puts strings into its pages as they are."""
    return f"<b>{escape(_key(line))}</b><br>{escape(line['measured'])}"


def _result(key: str, line: Mapping[str, Any]) -> ExpectationValidationResult:
    """One line of a summary as Great Expectations keeps it: counts, and no value."""
    config = ExpectationConfiguration(
        type=line["expectation"],
        kwargs={"column": key, "min_value": line["minimum"], "max_value": line["maximum"]},
        severity=FailureSeverity(line["severity"]),
    )
    result = {
        "element_count": line["rows"],
        "unexpected_count": line["unexpected"],
        "unexpected_percent": line["unexpected_percent"],
    }
    return ExpectationValidationResult(success=line["success"], expectation_config=config, result=result)
