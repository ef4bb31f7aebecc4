"""Reports on batches inside the Airflow UI: behind its login, for whoever may read the DAG that made them.

Airflow loads this module in every process, tasks included, so all that serving takes is imported on the first request.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI

ADDRESS, DAG = "/reports", "ingest_events"
HEADERS = {
    # Pages hold their own style and nothing else: whatever slipped into one could neither load nor run.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_REPORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/index\.html")
"""Of the files below the folder of reports, the pages; nothing else is served, and no name can lead out of it."""


def page(path: str) -> Path | None:
    """The file that stands for `path` below the address; None where there is none."""
    from tasks.settings import Settings

    if path not in ("", "index.html") and not _REPORT.fullmatch(path):
        return None
    found = Settings().reports / (path or "index.html")
    return found if found.is_file() else None


@cache
def application() -> FastAPI:
    """The application: every path asks for the login first, even one that leads nowhere."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

    allowed = Depends(requires_access_dag(method="GET", param_dag_id=DAG))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[allowed])

    @app.get("/{path:path}")
    def report(path: str) -> Response:
        """The list of reports, or one of them."""
        found = page(path)
        if found is None:
            raise HTTPException(404, "there is no such report; it may be older than the reports that are kept")
        return HTMLResponse(found.read_bytes(), headers=HEADERS)

    @app.exception_handler(HTTPException)
    def refuse(request: Any, error: HTTPException) -> Response:
        """A person who is not logged in is sent to the login and comes back; a program is told."""
        if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(get_auth_manager().get_url_login(next_url=request.url.path), headers=HEADERS)
        return JSONResponse({"detail": error.detail}, error.status_code, headers=HEADERS)

    return app


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """The application as Airflow mounts it, built on the first request."""
    await application()(scope, receive, send)


class ReportsPlugin(AirflowPlugin):
    """Mounts the reports and shows them in the navigation."""

    name = "pipeline_reports"
    fastapi_apps = [{"name": "Reports on batches", "app": serve, "url_prefix": ADDRESS}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Data quality",
            "href": f"{ADDRESS}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "data-quality",
        }
    ]
