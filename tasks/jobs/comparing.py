"""A batch beside the recent ones: what a job needs to judge it as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.quality.batch_suite import BatchVerdict
    from tasks.quality.profile import Profile
    from tasks.quality.records import Rows
    from tasks.quality.rules import Severity


def compare_batch(
    profile: Profile,
    recent: Sequence[Mapping[str, Any]],
    *,
    rows: Rows,
    batch_id: str,
    source: str,
    as_of: datetime,
    settings: Settings,
    severities: Mapping[str, Severity] | None = None,
) -> BatchVerdict:
    """The verdict on a batch as a whole, from the profile of its accepted events.

    recent: JSON documents of the profiles of batches accepted before, oldest first; the last `recent_batches` count.
    rows: what became of the batch's events. severities: by rule, instead of `warning`. Call `stop_if_critical` on the
    verdict before anything is kept, and keep `profile.sealed().to_json()` with the batch.
    """
    from tasks.quality.batch_suite import judge
    from tasks.quality.drift import compare
    from tasks.quality.profile import Profile

    before = [Profile.from_json(document) for document in recent[-settings.recent_batches :]]
    findings = compare(
        profile,
        before,
        as_of=as_of,
        limits=settings.batch_limits,
        severities=severities,
        alarm_rate=settings.batch_alarm_rate,
    )
    return judge(findings, rows, batch_id=batch_id, source=source, as_of=as_of)
