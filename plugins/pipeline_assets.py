"""One asset per published table, and how a run hands references to the next one.

An asset event carries a bag, never data: `{"refs": {name: {"name", "version", "rows"}}, "as_of": "…"}`. Each bag holds
every reference made so far on its way, so the newest event alone is enough where several piled up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk import Asset, Metadata

from tasks.errors import ArtifactError

GROUP = "penchant"

ACCEPTED_EVENTS = Asset("accepted_events", group=GROUP)
ACCEPTED_ITEMS = Asset("accepted_items", group=GROUP)
USER_INTERESTS = Asset("user_interests", group=GROUP)
RECOMMENDATIONS = Asset("recommendations", group=GROUP)
LIVE_RELEASE = Asset("live_release", group=GROUP)

Bag = dict[str, Any]
"""What travels between tasks and runs: references and the moment they are about, as plain JSON."""


def publish(bag: Mapping[str, Any], *assets: Asset) -> Iterator[Metadata]:
    """Attach the references of `bag` to the coming event of each asset; `yield from` it in the task that owns them."""
    for asset in assets:
        yield Metadata(asset, extra={key: bag[key] for key in ("refs", "as_of", "release", "live") if key in bag})


def received(context: Mapping[str, Any], asset: Asset) -> Bag:
    """The bag this run works on: that of the newest event of `asset` that started it, else the one given by hand.

    Raises `ArtifactError` where the run was started by hand without a bag in its configuration.
    """
    started_by = context["triggering_asset_events"].get(asset, [])
    bag = max(started_by, key=lambda event: event.timestamp).extra if started_by else (context["dag_run"].conf or {})
    if "refs" not in bag:
        raise ArtifactError(
            f"this run was given no references: let an event of the asset {asset.name!r} start it, clear a run that "
            'one started, or give a configuration {"refs": {…}, "as_of": "…"} copied from the extra of such an event'
        )
    return dict(bag)
