"""The report says what was found, nothing that a person wrote, and needs neither network nor script."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks.quality.docs import Part, build_report, card, expired, index_page
from tests.quality.frames import batch_check, chunk, run
from tests.quality.test_drift import judged

SECRETS = ("ann@example.com", "+44 20 7946 0958", "4111111111111111", "Warm tone")


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    rows: list[dict[str, Any]] = [{} for _ in range(20)]
    rows[3] = {"rating": 9.0, "text": f"{SECRETS[0]} {SECRETS[1]} {SECRETS[2]}"}
    rows[7] = {"text": None}
    rows[9] = {"user_id": SECRETS[0], "text": None}
    _, quarantine, verdict = run(batch_check(source="<script>alert(1)</script>.csv"), chunk(*rows))
    assert SECRETS[0] not in str(verdict.summary)
    assert len(quarantine) == 3
    batch = judged("warning")
    return [Part(verdict.summary, verdict.suite), Part(batch.summary, batch.suite)]


class Assets(HTMLParser):
    """What a page would load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in named if name.startswith("on") or name == "srcset"]
        if tag != "a":
            self.found += [str(named[n]) for n in ("src", "href") if named.get(n) and named[n] != "data:,"]


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_it_says_what_was_found(parts: list[Part]) -> None:
    said = plain(build_report(parts, run_url="http://127.0.0.1:8080/dags/ingest_events/runs/r1"))
    assert "Batch b1 accepted" in said
    assert "20 rows in" in said
    assert "17 rows accepted" in said
    assert "3 rows quarantined" in said
    assert "rating_scale accepted_events warning rating must be 1 to 5; check its scale 1 5.00 %" in said
    assert "missing_text accepted_events warning this kind of event needs a text 2 10.00 %" in said
    assert re.search(r"✗ batch_languages .*? of the texts beside", said)
    # As Great Expectations renders it:
    assert "values must be greater than or equal to 1.0 and less than or equal to 5.0 ." in said
    assert "2 unexpected values found. 10% of 20 total rows." in said


def test_nothing_that_a_person_wrote_stands_in_it(parts: list[Part]) -> None:
    page = build_report(parts)
    assert not [secret for secret in SECRETS if secret in page]


def test_it_loads_nothing_and_runs_nothing(parts: list[Part]) -> None:
    hostile = "javascript:alert(1)"
    for page in (
        build_report(parts, refused="<script>", run_url=hostile),
        index_page([card(parts, written_at="1", refused=True)]),
    ):
        assert Assets(page).found == []
        assert hostile not in page
        assert "&lt;script&gt;" in page
        assert not re.search(r"url\(|@import", page)


def test_a_refused_batch_says_why(parts: list[Part]) -> None:
    said = plain(build_report(parts[:1], refused="more than 20% of the rows are bad"))
    assert "Batch b1 refused" in said
    assert "more than 20% of the rows are bad" in said
    assert "beside recent ones" not in said


def test_what_the_source_reported_is_told_too(parts: list[Part]) -> None:
    summary = {**parts[0].summary, "reported": {"unbalanced_quotes": 4}}
    assert re.search(
        r"unbalanced_quotes accepted_events warning .*? 4 20.00 %", plain(build_report([Part(summary, parts[0].suite)]))
    )
    assert card([Part(summary, parts[0].suite)], written_at="", refused=False)["broken"]["unbalanced_quotes"] == 4


def test_a_card_is_the_report_in_short(parts: list[Part]) -> None:
    short = card(parts, written_at="2026-03-01T00:00:00+00:00", refused=False)
    broken = short.pop("broken")
    assert (broken["missing_text"], broken["rating_scale"]) == (2, 1)
    assert short == {
        "batch_id": "b1",
        "source": "<script>alert(1)</script>.csv",
        "as_of": "2026-03-01T00:00:00+00:00",
        "written_at": "2026-03-01T00:00:00+00:00",
        "refused": False,
        "rows": {"in": 20, "accepted": 17, "quarantined": 3, "repeated": 0},
        "alarms": ["batch_languages"],
    }


def test_the_newest_reports_are_kept_and_listed_first(parts: list[Part]) -> None:
    cards = [{**card(parts, written_at=f"2026-03-0{day}", refused=False), "batch_id": f"b{day}"} for day in (2, 3, 1)]
    assert expired(cards, 2) == ["b1"]
    assert expired(cards, 3) == []
    assert re.findall(r'href="(b\d)/index.html"', index_page(cards)) == ["b3", "b2", "b1"]


@pytest.mark.slow
def test_a_browser_asks_for_nothing_but_the_page(parts: list[Part], tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium is installed")
    from playwright.sync_api import sync_playwright

    page = tmp_path / "report.html"
    page.write_text(build_report(parts))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened, asked, said = browser.new_page(), [], []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("console", lambda message: said.append(message.text))
        opened.goto(page.as_uri())
        opened.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        shown = opened.inner_text("body")
        browser.close()
    assert (asked, said) == ([page.as_uri()], [])
    assert "2 unexpected values found" in shown
