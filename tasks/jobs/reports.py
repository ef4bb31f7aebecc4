"""Reports on batches as files: written whole or not at all, listed in an index, and dropped when they grow too many.

`reports/<batch>/index.html` is the report, `card.json` beside it the same in short, and `reports/index.html` the list
of all that are kept. Everything can be opened without a server.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from tasks.errors import ArtifactError
from tasks.settings import Settings

PAGE, CARD = "index.html", "card.json"
ADDRESS = "/reports"
"""Where the plugin `pipeline_reports` serves them below Airflow's own address."""
_BATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def write_report(
    batch_id: str, parts: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], *, refused: str = "", run_url: str = ""
) -> Path:
    """Write the report on a batch, renew the index, drop the oldest reports; gives the path of the page.

    parts: (summary, suite) of each table that was checked and of the batch as a whole. refused: why nothing was kept.
    run_url: the run in Airflow. A report on the same batch is replaced. Raises `ArtifactError` for an id that is none.
    """
    from tasks.quality.docs import Part, build_report, card, expired, index_page

    settings, verdicts = Settings(), [Part(*part) for part in parts]
    path = report_path(batch_id, settings)
    page = build_report(verdicts, refused=refused, run_url=run_url)  # outside the lock: the slow part
    with _locked(settings.reports):
        short = card(verdicts, written_at=datetime.now(UTC).isoformat(), refused=bool(refused))
        _replace(path, page)
        _replace(path.with_name(CARD), json.dumps(short, ensure_ascii=False))  # last: what has a card has a page
        cards = list_reports(settings)
        dropped = expired(cards, settings.keep_reports)
        _replace(settings.reports / PAGE, index_page([one for one in cards if one["batch_id"] not in dropped]))
        for batch in dropped:
            shutil.rmtree(settings.reports / batch)
    return path


def list_reports(settings: Settings | None = None) -> list[dict[str, Any]]:
    """The cards of all reports that are kept: batch_id, source, as_of, written_at, refused, rows, broken, alarms."""
    folder = (settings or Settings()).reports
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*/{CARD}"))]


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The reports as text, one line each."""
    for card in result["reports"]:
        fate = "refused" if card["refused"] else "kept"
        yield f"{card['batch_id']}  as of {card['as_of']}  {fate}  {report_path(card['batch_id'])}"


def report_path(batch_id: str, settings: Settings | None = None) -> Path:
    """Where the report on a batch stands, written or not; raises `ArtifactError` for an id that is none."""
    if not _BATCH.fullmatch(batch_id):
        raise ArtifactError("the id of a batch is 1 to 64 letters, digits, hyphens and underscores; this is none")
    return (settings or Settings()).reports / batch_id / PAGE


def report_url(batch_id: str, airflow: str = "") -> str:
    """The address of the report on a batch; airflow: that of the Airflow UI, such as `http://127.0.0.1:8080`."""
    report_path(batch_id)
    return f"{airflow.rstrip('/')}{ADDRESS}/{batch_id}/{PAGE}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time, over processes; a killed one leaves no lock behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(path: Path, text: str) -> None:
    """Write aside and move into place, so that a reader finds the old file or the new one."""
    path.parent.mkdir(exist_ok=True)
    handle, aside = mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
