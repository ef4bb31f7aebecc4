"""History: what readers were served at any earlier time, for training without a look into the future.

`history_files` keeps the rows. Here they are known to Feast: one view a table, without an online part, and for each
service one of the same feature names. A key that a release no longer had is null from then on, so that nobody is taught
with values that no reader could have read; and every training set is checked for features from after their label.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
from feast import FeatureStore, FeatureView, FileSource
from feast.errors import FeatureViewNotFoundException

from feature_repo import features
from tasks import schema
from tasks.errors import LeakError, ReleaseError
from tasks.releases.history_files import files_of, folder_of, keep, time_of, trim
from tasks.releases.ledger import Release, Switch
from tasks.releases.publishing import history as all_switches
from tasks.releases.publishing import publishing, releases
from tasks.releases.stores import home_of, refresh

EVENT_TIME = "event_timestamp"
"""Column of a training set that says when the label was."""


def catch_up(store: FeatureStore, *, keep_days: float) -> list[str]:
    """Take every release that was ever live into the history; gives the names of those that were not there yet.

    Safe to repeat after a crash. What lies more than `keep_days` days before the newest release is forgotten.
    """
    home, added = home_of(store), []
    with publishing(store, "keep history"):
        known = _first_live(releases(store), all_switches(store))
        if not known:
            return []
        forgotten = max(release.manifest.as_of for release, _ in known) - timedelta(days=keep_days)
        trimmed = any(time_of(path) <= forgotten for path in files_of(home, schema.SERVED[0]))
        for release, switch in known:
            outlived = trimmed and release.manifest.as_of <= forgotten
            if not outlived and keep(home, release.manifest, published_at=switch.at):
                added.append(release.name)
        for table in schema.SERVED:
            trim(home, table, forgotten)
        register(store)
    return added


def register(store: FeatureStore) -> None:
    """Make the views `<table>_history` and services `<service>_history` known to Feast, where they are not yet."""
    home = home_of(store)
    views = {t.name: features.history_view(t, folder_of(home, t) / "*.parquet") for t in schema.SERVED}
    refresh(store)
    try:
        there = {view.name: store.get_feature_view(view.name) for view in views.values()}
    except FeatureViewNotFoundException:
        there = {}
    if all(view.name in there and _alike(there[view.name], view) for view in views.values()):
        return
    store.apply([features.USER, features.ITEM, *views.values(), *features.history_services(views)])
    refresh(store)


def features_at(store: FeatureStore, labels: pd.DataFrame, service: str) -> pd.DataFrame:
    """`labels` with what readers of `service` would have got at the time of each: a training set without a leak.

    `labels`: the service's key and `event_timestamp` (UTC), and any columns of the caller's. Features are named as in
    online reads (`user_topics__topic_mix`) and null where nothing was served. Raises `ReleaseError` where there is no
    such history, `LeakError` as `refuse_leaks`.
    """
    if service not in schema.SERVICES:
        raise ReleaseError(f"there is no service {service!r}; there are {', '.join(schema.SERVICES)}")
    if not files_of(home_of(store), schema.SERVICES[service][0]):
        raise ReleaseError("there is no history yet; it begins with the first release that goes live")
    wanted = store.get_feature_service(features.history_service_name(service))
    frame = store.get_historical_features(labels, wanted, full_feature_names=True).to_df()
    refuse_leaks(frame)
    return frame


def refuse_leaks(frame: pd.DataFrame, *, event_time: str = EVENT_TIME) -> None:
    """Raise `LeakError` where a feature was made after the label beside it, by the `known_at` columns of `frame`."""
    suffix = schema.KNOWN_AT.name
    times = pd.to_datetime(frame[event_time], utc=True)
    columns = [name for name in frame.columns if name == suffix or name.endswith(f"__{suffix}")]
    if not columns:
        raise LeakError(f"no column {suffix} says how old the features are; take the `…_history` services whole")
    late = {name: int((pd.to_datetime(frame[name], utc=True) > times).sum()) for name in columns}
    if wrong := {name: count for name, count in late.items() if count}:
        said = ", ".join(f"{name} ({count} of {len(frame)} rows)" for name, count in wrong.items())
        raise LeakError(f"features from after their label: {said}; join them as of the label's time")


def _first_live(known: Sequence[Release], switches: Sequence[Switch]) -> list[tuple[Release, Switch]]:
    """Releases that were ever live and are still on disk, in the order in which each first went live."""
    there = {release.name: release for release in known if release.ever_live and not release.retired_at}
    first = {switch.release: switch for switch in switches}  # newest first, so the oldest is what remains
    return sorted(((there[name], switch) for name, switch in first.items() if name in there), key=lambda p: p[1].at)


def _alike(one: FeatureView, other: FeatureView) -> bool:
    """Whether two views have the same fields over the same files."""
    paths = [view.batch_source.path if isinstance(view.batch_source, FileSource) else None for view in (one, other)]
    fields = [{field.name: str(field.dtype) for field in view.schema} for view in (one, other)]
    return paths[0] == paths[1] and fields[0] == fields[1]
