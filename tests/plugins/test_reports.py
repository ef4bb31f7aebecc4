"""Reports are served to whoever is logged in, and to nobody else; no path leads out of their folder."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pipeline_reports import ADDRESS, HEADERS, page

from tasks.jobs.reports import report_path, report_url, write_report
from tests.jobs.test_reports import SUMMARY

PROJECT = Path(__file__).parents[2]
ESCAPES = (
    "../../secret.html",
    "..%2f..%2fsecret.html",
    "%2e%2e/%2e%2e/secret.html",
    "b1/../../../secret.html",
    "b1/card.json",
    ".lock",
    "b1/",
    "..%5csecret.html",
    "b1%00/index.html",
    "%2fetc/index.html",
)


def planted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report, its list, and a file that nobody may reach."""
    monkeypatch.setenv("PENCHANT_HOME", str(home))
    write_report("b1", [({**SUMMARY, "batch_id": "b1"}, {"expectations": []})])
    (home / "secret.html").write_text("secret")


def test_the_plugin_serves_what_the_job_writes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(tmp_path, monkeypatch)
    assert page("b1/index.html") == report_path("b1")
    assert page("") == page("index.html") == tmp_path / "reports" / "index.html"
    assert page("b2/index.html") is None
    assert report_url("b1") == f"{ADDRESS}/b1/index.html"
    for path in ("../../secret.html", "b1/card.json", "b1/../index.html", "/etc/passwd", "..", "b1\n/index.html"):
        assert page(path) is None, path


def test_the_plugin_loads_nothing_heavy() -> None:
    script = (
        "import airflow.sdk, airflow.plugins_manager, sys; before = set(sys.modules);"
        "import pipeline_reports; print(*set(sys.modules) - before)"
    )
    environ = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}"}
    ran = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in ran.stdout.split()} - {"pipeline_reports"}


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A real API server with the plugin, on a database of its own."""
    planted(tmp_path, monkeypatch)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": "admin-password", "viewer": "viewer-password"}))
    address = f"http://127.0.0.1:{port}"
    environ = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        "AIRFLOW__API__SECRET_KEY": "fedcba9876543210" * 4,
        "AIRFLOW__API__BASE_URL": address,
    }
    command = [sys.executable, "-m", "airflow"]
    subprocess.run([*command, "db", "migrate"], env=environ, check=True, capture_output=True)
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            env=environ, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
                deadline = time.monotonic() + 120
                while True:
                    try:
                        client.get("/api/v2/version").raise_for_status()
                        break
                    except httpx.TransportError:
                        assert server.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                        assert time.monotonic() < deadline
                        time.sleep(0.5)
                yield client
        finally:
            server.terminate()
            server.wait(30)


def status_and_body(client: httpx.Client, path: str, **headers: str) -> tuple[int, str]:
    """The answer to a GET of exactly `path`: httpx would resolve its dots before sending."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def token(client: httpx.Client, user: str) -> str:
    answer = client.post("/auth/token", json={"username": user, "password": f"{user}-password"})
    return str(answer.raise_for_status().json()["access_token"])


@pytest.mark.topology
@pytest.mark.slow
def test_a_real_airflow_shows_reports_to_those_who_are_logged_in(airflow: httpx.Client) -> None:
    report = f"{ADDRESS}/b1/index.html"
    # Nobody: refused, a browser by way of the login, and told nothing of what there is.
    for path in ("b1/index.html", "", "nothing", *ESCAPES):
        assert status_and_body(airflow, f"{ADDRESS}/{path}") == (401, '{"detail":"Not authenticated"}'), path
    browser = airflow.get(report, headers={"Accept": "text/html,*/*"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/auth/login?next=%2Freports%2Fb1%2Findex.html")
    assert airflow.get(report, headers={"Authorization": "Bearer forged"}).status_code == 403
    assert airflow.get(report, cookies={"_token": "forged"}).status_code in (401, 403)

    # A viewer, by token as a program and by cookie as the UI.
    key = token(airflow, "viewer")
    shown = airflow.get(report, headers={"Authorization": f"Bearer {key}"})
    assert shown.status_code == 200
    assert "Batch b1" in shown.text
    assert {name: shown.headers[name] for name in HEADERS} == HEADERS
    airflow.cookies.set("_token", key)
    assert airflow.get(report).text == shown.text
    listed = airflow.get(f"{ADDRESS}/")
    assert re.findall(r'href="([^"]+)/index.html"', listed.text) == ["b1"]

    # No path leads anywhere else.
    for escape in ESCAPES:
        status, body = status_and_body(airflow, f"{ADDRESS}/{escape}", Authorization=f"Bearer {key}")
        assert status == 404, escape
        assert body.startswith('{"detail":"there is no such report'), escape
    assert airflow.post(report).status_code == 405

    # The UI links to it.
    (plugin,) = [p for p in airflow.get("/api/v2/plugins").json()["plugins"] if p["name"] == "pipeline_reports"]
    assert [(view["href"], view["destination"]) for view in plugin["external_views"]] == [(f"{ADDRESS}/", "nav")]
    assert airflow.get("/api/v2/plugins/importErrors").json()["import_errors"] == []
