"""False alarms of the checks on whole batches, and what size of shift they find.

    python -m benchmarks.quality_alarms --json

The sample shop in worlds of different seeds, cut into daily and weekly batches, each compared with the ten before it:
two hundred clean batches, of which at most one may raise an alarm. Then the same batches with a shift planted in each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.quality.drift import compare
from tasks.quality.profile import Profile
from tasks.schema import EVENTS

RECENT = 10
Batch = tuple[int, pd.DataFrame, Profile, list[Profile], datetime]
"""Days, rows, their profile, those of the ten batches before, and the end of the interval."""
Shift = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def rows(users: int, days: int, seed: int) -> pd.DataFrame:
    """The accepted rows of `days` days of a shop without faults, through the readers and the house's own languages."""
    import pyarrow as pa

    from tasks.quality.languages import languages
    from tasks.sources import load_mapping, read_files
    from tasks.sources.sample_shop import write_shop
    from tasks.text import text_hash

    with tempfile.TemporaryDirectory() as folder:
        path = write_shop(Path(folder), users=users, days=days, seed=seed)["paths"]["events.csv"]
        frame = pd.concat(read_files([path], load_mapping(None), EVENTS, chunk_rows=50_000), ignore_index=True)
    texts = pa.array(frame["text"], pa.large_string(), from_pandas=True)
    frame["language"] = languages(texts, pa.nulls(len(frame), pa.large_string())).to_pandas()
    frame["text_hash"] = [None if text is None else text_hash(text) for text in frame["text"]]
    return frame


def batches(frame: pd.DataFrame, days: int) -> Iterator[Batch]:
    """The shop's rows in batches of `days` days, from the first that has ten before it."""
    began = frame["event_time"].min().normalize()
    number = (frame["event_time"] - began) // timedelta(days=days)
    cut = [piece for _, piece in frame.groupby(number)]
    profiles = [Profile.of(piece).sealed() for piece in cut]
    for at in range(RECENT, len(cut)):
        yield days, cut[at], profiles[at], profiles[at - RECENT : at], began + timedelta(days=days * (at + 1))


def _fewer(share: float) -> Shift:
    return lambda frame, rng: frame[rng.random(len(frame)) >= share]


def _one_language(share: float) -> Shift:
    def shift(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        lost = (frame["language"] == "zh") & (rng.random(len(frame)) < share)
        return frame[~lost]

    return shift


def _stars(share: float) -> Shift:
    """A share of ratings drops by one star."""

    def shift(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        less = frame["rating"] - (rng.random(len(frame)) < share)
        return frame.assign(rating=less.clip(lower=1).astype("float32"))

    return shift


def _cut(characters: int) -> Shift:
    return lambda frame, _: frame.assign(text=frame["text"].str[:characters])


def _scrambled(share: float) -> Shift:
    """A share of texts in words that nobody used: every letter is moved by one."""
    moved = {at: at + 1 for at in (*range(97, 122), *range(0x4E00, 0x9FFF))}

    def shift(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        which = frame["text"].notna() & (rng.random(len(frame)) < share)
        return frame.assign(text=frame["text"].mask(which, frame["text"].str.translate(moved)))

    return shift


def _unrated(share: float) -> Shift:
    return lambda frame, rng: frame.assign(rating=frame["rating"].mask(rng.random(len(frame)) < share))


PLANTED: dict[str, tuple[str, Shift]] = {
    "half of the rows are lost": ("batch_row_count", _fewer(0.5)),
    "a quarter of the rows is lost": ("batch_row_count", _fewer(0.25)),
    "all Chinese rows are lost": ("batch_languages", _one_language(1.0)),
    "half of the Chinese rows are lost": ("batch_languages", _one_language(0.5)),
    "all ratings drop by a star": ("batch_ratings", _stars(1.0)),
    "half of the ratings drop by a star": ("batch_ratings", _stars(0.5)),
    "texts are cut at 20 characters": ("batch_text_length", _cut(20)),
    "texts are cut at 60 characters": ("batch_text_length", _cut(60)),
    "half of the texts are of other words": ("batch_vocabulary", _scrambled(0.5)),
    "a fifth of the texts is of other words": ("batch_vocabulary", _scrambled(0.2)),
    "all ratings are lost": ("batch_kinds", _unrated(1.0)),
}


def measure(users: int, worlds: int, daily: int, weekly: int) -> list[dict[str, Any]]:
    """Alarms on `daily` and `weekly` clean batches of each world, and the share of planted shifts that are found."""
    clean, size, found = Counter[int](), Counter[int](), Counter[tuple[str, int]]()
    for seed in range(worlds):
        frame = rows(users, max(RECENT + daily, 7 * (RECENT + weekly)), seed)
        began, rng = frame["event_time"].min().normalize(), np.random.default_rng(seed)
        short = frame[frame["event_time"] < began + timedelta(days=RECENT + daily)]
        for days, piece, profile, recent, as_of in (*batches(short, 1), *batches(frame, 7)):
            clean[days] += any(one.broken for one in compare(profile, recent, as_of=as_of))
            size[days] += profile.rows
            for name, (rule, shift) in PLANTED.items():
                spoilt = compare(Profile.of(shift(piece, rng)), recent, as_of=as_of)
                found[name, days] += rule in {one.rule for one in spoilt if one.broken}
    seen = {1: worlds * daily, 7: worlds * weekly}
    lines: list[dict[str, Any]] = [
        {
            "users": users,
            "planted": f"nothing, in {seen[1]} daily and {seen[7]} weekly batches",
            **{_column(d): clean[d] / seen[d] for d in seen},
        },
        {"users": users, "planted": "(rows of a batch)", **{_column(d): round(size[d] / seen[d]) for d in seen}},
    ]
    return lines + [
        {"users": users, "planted": name, **{_column(d): round(found[name, d] / seen[d], 3) for d in seen}}
        for name in PLANTED
    ]


def _column(days: int) -> str:
    return {1: "alarmed_daily", 7: "alarmed_weekly"}[days]


def main() -> None:
    """Run small and large worlds and print alarms."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, nargs="*", default=[500, 2_000], help="people in a world")
    parser.add_argument("--worlds", type=int, default=4, help="seeds for each number of people")
    parser.add_argument("--daily", type=int, default=15, help="clean daily batches of each world")
    parser.add_argument("--weekly", type=int, default=10, help="clean weekly batches of each world")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    began = time.process_time()
    lines = [x for users in options.users for x in measure(users, options.worlds, options.daily, options.weekly)]
    print(json.dumps(lines, indent=1) if options.json else pd.DataFrame(lines).to_string(index=False))
    print(f"{time.process_time() - began:.0f} CPU seconds", file=sys.stderr)


if __name__ == "__main__":
    main()
