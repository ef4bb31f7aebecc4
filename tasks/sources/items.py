"""Items of a data set that has none of its own."""

from __future__ import annotations

import pandas as pd

from tasks.columns import empty
from tasks.schema import ITEM_ID, ITEMS


def items_from_events(events: pd.DataFrame) -> pd.DataFrame:
    """One item of `schema.ITEMS` for each `item_id` in `events`, in the order they come, titled by its id.

    Everything else is empty, but for `batch_id`, which is that of the first event on the item.
    """
    item, batch = ITEM_ID.name, ITEMS["batch_id"].name
    first = events.loc[events[item].notna(), [item, batch]].drop_duplicates(item)
    items = empty(ITEMS).reindex(range(len(first)))
    items[item] = first[item].to_numpy()
    items[ITEMS["title"].name] = first[item].to_numpy()
    items[batch] = first[batch].to_numpy()
    items[ITEMS["categories"].name] = pd.Series([[] for _ in range(len(first))], dtype=object)
    texts = [c.name for c in ITEMS.columns if c.type == "string" and c.nullable]
    items[texts] = None
    return items
