"""Reports as files: whole, listed, limited in number, whoever writes at the same time."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ArtifactError
from tasks.jobs.reports import list_reports, report_path, report_url, write_report

SUMMARY: dict[str, Any] = {
    "table": "accepted_events",
    "source": "shop.csv",
    "as_of": "2026-03-01T00:00:00+00:00",
    "rows": {"in": 2, "accepted": 2, "quarantined": 0, "repeated": 0},
    "expectations": [
        {
            "expectation": "expect_measurement_to_be_between",
            "rule": "missing_text",
            "column": "text",
            "severity": "warning",
            "measured": "absent texts",
            "minimum": None,
            "maximum": 0,
            "success": True,
            "rows": 2,
            "unexpected": 0,
            "unexpected_percent": 0.0,
        }
    ],
    "reported": {},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENCHANT_HOME", str(tmp_path))
    return tmp_path


def write(batch: str) -> Path:
    return write_report(batch, [({**SUMMARY, "batch_id": batch}, {"expectations": []})])


def listed(home: Path) -> list[str]:
    return re.findall(r'href="([^"]+)/index.html"', (home / "reports" / "index.html").read_text())


def test_a_report_stands_where_its_path_and_its_address_say(home: Path) -> None:
    path = write("b1")
    assert path == report_path("b1") == home / "reports" / "b1" / "index.html"
    assert "Batch b1" in path.read_text()
    assert report_url("b1", "http://127.0.0.1:8080/") == "http://127.0.0.1:8080/reports/b1/index.html"
    assert {file.name for file in path.parent.iterdir()} == {"index.html", "card.json"}
    assert listed(home) == ["b1"]


def test_a_second_report_on_a_batch_replaces_the_first(home: Path) -> None:
    write("b1")
    write_report("b1", [({**SUMMARY, "batch_id": "b1"}, {"expectations": []})], refused="too many bad rows")
    assert [card["refused"] for card in list_reports()] == [True]
    assert listed(home) == ["b1"]


def test_the_oldest_reports_are_dropped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENCHANT_KEEP_REPORTS", "2")
    for batch in ("b3", "b1", "b2"):
        write(batch)
    assert listed(home) == ["b2", "b1"]
    assert not (home / "reports" / "b3").exists()


@pytest.mark.parametrize("name", ["..", "../b1", "a/b", "", "b1\n", "b1.html", "x" * 65, "%2e%2e"])
def test_what_is_no_batch_has_no_report(home: Path, name: str) -> None:
    with pytest.raises(ArtifactError):
        write(name)
    with pytest.raises(ArtifactError):
        report_url(name)
    assert list(home.rglob("*.html")) == []


def test_a_report_that_cannot_be_built_changes_nothing(home: Path) -> None:
    write("b1")
    before = {path: path.read_bytes() for path in home.rglob("*.*")}
    with pytest.raises(KeyError):
        write_report("b2", [({"batch_id": "b2"}, {"expectations": []})])
    assert {path: path.read_bytes() for path in home.rglob("*.*")} == before


def _write_five(number: int) -> None:
    for at in range(5):
        write(f"b{number}-{at}")
        write("shared")


@pytest.mark.slow
def test_eight_processes_write_at_once(home: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.map(_write_five, range(8))
    expected = {"shared", *(f"b{number}-{at}" for number in range(8) for at in range(5))}
    assert set(listed(home)) == expected == {card["batch_id"] for card in list_reports()}
    for batch in expected:
        assert (home / "reports" / batch / "index.html").read_text().rstrip().endswith("</html>")
    assert not list(home.rglob(".writing-*"))
