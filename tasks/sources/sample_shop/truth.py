"""What was planted, written down: of the shop, of each user, of each event and of each fault."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.schema import EVENTS, LANGUAGES, QUARANTINE, USER_ID
from tasks.sources.sample_shop import rates
from tasks.sources.sample_shop.catalogue import Catalogue
from tasks.sources.sample_shop.faults import FAULTS
from tasks.sources.sample_shop.people import NEVER, People

Array = NDArray[Any]
_ID, _POSITION = EVENTS["event_id"].name, QUARANTINE["position"].name
_MIX = pa.list_(pa.float32())
_USERS = pa.schema(
    [
        (USER_ID.name, pa.string()),
        ("language", pa.string()),
        ("themes_before", _MIX),
        ("themes_after", _MIX),
        ("drift_day", pa.int32()),
        ("pleased", pa.float32()),
        ("wordy", pa.float32()),
        ("loud", pa.float32()),
        ("curious", pa.float32()),
    ]
)
_EVENTS = pa.schema([(_ID, pa.string()), ("theme", pa.string()), ("sentiment", pa.float32())])
_FAULTS = pa.schema([(_POSITION, pa.int64()), ("fault", pa.string()), ("rule", pa.string())])


class TruthWriter:
    """Writes `truth_events.parquet` and `truth_faults.parquet` day by day; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._events = pq.ParquetWriter(folder / "truth_events.parquet", _EVENTS)
        self._faults = pq.ParquetWriter(folder / "truth_faults.parquet", _FAULTS)

    def __enter__(self) -> TruthWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._events.close()
        self._faults.close()

    def events(self, ids: Array, themes: Array, sentiment: Array) -> None:
        """Ids, themes (None for small talk) and sentiment (NaN where none is told) of a day's events, (n,) each."""
        told = pa.array(sentiment, pa.float32(), from_pandas=True)
        self._events.write_table(pa.table([pa.array(ids), pa.array(themes, pa.string()), told], schema=_EVENTS))

    def faults(self, positions: Array, classes: Array) -> None:
        """1-based data rows of faults, and their classes, (m,) each."""
        rules = [FAULTS[name].rule for name in classes]
        columns = [pa.array(positions, pa.int64()), pa.array(classes, pa.string()), pa.array(rules, pa.string())]
        self._faults.write_table(pa.table(columns, schema=_FAULTS))


def write_users(people: People, path: Path) -> None:
    """`truth_users.parquet`: a user's language, theme weights before and after the drift, its day, temperament."""
    columns = [
        pa.array(people.ids, pa.string()),
        pa.array(np.array(LANGUAGES, dtype=object)[people.language], pa.string()),
        _mixes(people.before),
        _mixes(people.after),
        pa.array(people.drift_day, pa.int32(), mask=people.drift_day == NEVER),
        *(pa.array(getattr(people, name), pa.float32()) for name in ("pleased", "wordy", "loud", "curious")),
    ]
    pq.write_table(pa.table(columns, schema=_USERS), path)


def planted(catalogue: Catalogue) -> dict[str, Any]:
    """Themes, the theme and the follower of each item, and every rate of `rates`, by name in lower case."""
    ids, themes = catalogue.ids, catalogue.themes
    return {
        "themes": list(themes),
        "item_themes": {item: themes[at] for item, at in zip(ids, catalogue.theme, strict=True)},
        "follows": {item: ids[at] for item, at in zip(ids, catalogue.follows, strict=True) if at >= 0},
        "rates": {name.lower(): value for name, value in vars(rates).items() if name.isupper()},
    }


def _mixes(weights: Array) -> pa.Array:
    """(n, themes) as one list per row."""
    n, width = weights.shape
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * width, pa.array(weights.ravel(), pa.float32()))
