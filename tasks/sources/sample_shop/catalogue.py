"""What the sample shop sells: themes and items, read from `catalogue.yaml`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tasks.errors import SourceError
from tasks.schema import ITEMS, LANGUAGES

Array = NDArray[Any]
Entry = dict[str, Any]
CATALOGUE = "catalogue.yaml"
FEWEST_THEMES = 3
"""A user has up to three."""
_ITEM_KEYS = ("id", "title", "title_zh", "description", "description_zh", "brand", "price")


@dataclass(frozen=True)
class Catalogue:
    """Items as arrays (items,) and what is said about them by language.

    theme: index of each item's theme. follows: index of the item that people go on to, −1 for none. titles,
    features: (languages, items) of strings and of arrays of strings. words: (languages, themes) of arrays of strings.
    """

    themes: tuple[str, ...]
    ids: Array
    theme: Array
    follows: Array
    titles: tuple[Array, ...]
    features: tuple[tuple[Array, ...], ...]
    words: tuple[tuple[Array, ...], ...]
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.ids)


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue in `folder`; raises `SourceError` naming the entry that is wrong."""
    themes: list[Entry] = load_yaml(folder / CATALOGUE, list)
    if len(themes) < FEWEST_THEMES:
        raise SourceError(f"{CATALOGUE}: {len(themes)} themes; write at least {FEWEST_THEMES}")
    for theme in themes:
        need(theme, ("theme", "name_zh", "items", *(f"words_{code}" for code in LANGUAGES)), f"{CATALOGUE}: theme")
    rows = [(at, item) for at, theme in enumerate(themes) for item in theme["items"]]
    items = [item for _, item in rows]
    for item in items:
        need(item, (*_ITEM_KEYS, *(f"features_{code}" for code in LANGUAGES)), f"{CATALOGUE}: item")
    return Catalogue(
        themes=tuple(theme["theme"] for theme in themes),
        ids=np.array([item["id"] for item in items], dtype=object),
        theme=np.array([at for at, _ in rows]),
        follows=_follows(items),
        titles=tuple(_strings([item[key] for item in items]) for key in ("title", "title_zh")),
        features=tuple(tuple(_strings(item[f"features_{code}"]) for item in items) for code in LANGUAGES),
        words=tuple(tuple(_strings(theme[f"words_{code}"]) for theme in themes) for code in LANGUAGES),
        entries=tuple(item | {"categories": [themes[at]["theme"]]} for at, item in rows),
    )


def write_items(catalogue: Catalogue, path: Path, start: date) -> None:
    """The items as JSON lines under the names of `schema.ITEMS`, last changed when the shop opened."""
    names = [name for name in ITEMS.names if name != "batch_id"]
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for entry in catalogue.entries:
            row = entry | {"item_id": entry["id"], "updated_at": f"{start.isoformat()}T00:00:00Z"}
            out.write(json.dumps({name: row[name] for name in names}, ensure_ascii=False) + "\n")


def load_yaml(path: Path, kind: type) -> Any:
    """The one `kind` that a YAML file holds; raises `SourceError` where it cannot be read or holds something else."""
    try:
        with path.open(encoding="utf-8") as file:
            loaded = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise SourceError(f"{path.name}: cannot be read ({error.strerror}); is the package whole?") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise SourceError(f"{path.name}: is not YAML{where}; mend it") from None
    if not isinstance(loaded, kind) or not loaded:
        raise SourceError(f"{path.name}: holds no {kind.__name__}; see the format in the folder's description")
    return loaded


def need(entry: Entry, keys: tuple[str, ...], what: str) -> None:
    """Raise `SourceError` where `entry` lacks one of `keys`, or holds nothing under it."""
    lacking = [key for key in keys if entry.get(key) in (None, "", [])]
    if lacking:
        name = entry.get("id") or entry.get("theme") or "without a name"
        raise SourceError(f"{what} {name}: lacks {', '.join(lacking)}")


def _follows(items: list[Entry]) -> Array:
    """Index of each item's follower; raises `SourceError` for ids that come twice and followers that do not exist."""
    place = {item["id"]: at for at, item in enumerate(items)}
    if len(place) != len(items):
        raise SourceError(f"{CATALOGUE}: {len(items) - len(place)} item ids come twice; an id belongs to one item")
    unknown = sorted({item["follows"] for item in items if item.get("follows")} - set(place))
    if unknown:
        raise SourceError(f"{CATALOGUE}: follows names items that do not exist: {', '.join(unknown)}")
    return np.array([place[item["follows"]] if item.get("follows") else -1 for item in items])


def _strings(values: list[str]) -> Array:
    return np.array([str(value) for value in values], dtype=object)
