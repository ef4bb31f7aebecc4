"""Items like this one, users like this one: searched in the vectors that were published with the release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks import schema
from tasks.errors import ReleaseError
from tasks.jobs.publication import open_features
from tasks.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.releases.vectors import Space

PRESENT, ABSENT = "PRESENT", "ABSENT"


def items(item_id: str, k: int = 10, release: str | None = None) -> dict[str, Any]:
    """The `k` items most like one, of the live release or the one named; status `ABSENT` where it is unknown."""
    settings = Settings()
    found = _near(settings, "items", item_id, k, release)
    titles = _titles(settings.home, found["release"], [item_id, *(row["item_id"] for row in found["similar"])])
    return {
        **found,
        "title": titles.get(item_id),
        "similar": [{**row, "title": titles[row["item_id"]]} for row in found["similar"]],
    }


def users(user_id: str, k: int = 10, release: str | None = None) -> dict[str, Any]:
    """The `k` users whose recent interest is most like one user's; status `ABSENT` where nothing is known of them."""
    return _near(Settings(), "users", user_id, k, release)


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The neighbours as text, nearest first."""
    key = result["key"]
    if result["status"] == ABSENT:
        yield f"{key}: {ABSENT} from release {result['release']}"
        return
    yield f"like {result.get('title') or key} in release {result['release']}"
    for row in result["similar"]:
        yield f"  {row['similarity']:.3f}  {row.get('item_id') or row['user_id']}  {row.get('title') or ''}".rstrip()


def _near(settings: Settings, space: Space, key: str, k: int, release: str | None) -> dict[str, Any]:
    from tasks.releases import publishing, vectors

    name = release or publishing.live(open_features(settings))
    if name is None:
        raise ReleaseError("no release is live yet; publish one")
    found = vectors.open_index(settings.home, name, space).like(key, k)
    column = vectors.SPACES[space][0].key[0]
    return {
        "release": name,
        "key": key,
        "status": ABSENT if found is None else PRESENT,
        "similar": [{column: n.key, "similarity": n.similarity} for n in found or []],
    }


def _titles(home: Path, release: str, ids: Sequence[str]) -> dict[str, str]:
    """Titles of some items, read from the release's own file."""
    import pyarrow.parquet as pq

    from tasks.releases.offline import offline_path

    key, title = schema.ITEM_ID.name, schema.ITEM_CONTENT["title"].name
    path = offline_path(home, release, schema.ITEM_CONTENT)
    found = pq.read_table(path, columns=[key, title], filters=[(key, "in", list(ids))])
    return dict(zip(found[key].to_pylist(), found[title].to_pylist(), strict=True))
