"""What a batch of events looks like as a whole: counts only, added up chunk by chunk, without any text, word or id.

A profile says how many rows there are per day, language, kind, rating, length of text and word. Words are counted in
4,096 buckets of a hash, so that none can be read back. Profiles of the pieces of a batch add up to that of the whole,
however it was cut, and a profile can be kept as JSON.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.schema import EVENTS, USER_ID

_KIND, _RATING, _TEXT, _LANGUAGE, _HASH, _TIME = (
    EVENTS[name].name for name in ("kind", "rating", "text", "language", "text_hash", "event_time")
)
WORD_BUCKETS = 4_096
"""Enough that a change of vocabulary moves many of them, few enough to keep with every batch (some 20 kB)."""
OCTAVE = 4
"""Buckets of text length per doubling: each is 19 % wide."""
STAR = 2
"""Buckets of rating per star."""
USER_BITS = 1 << 16
"""Width of the bit map of users: the count is within 1 % up to 300,000 users of a batch."""
CORE_DAY = 0.1
"""Days with a smaller share of the busiest day's rows are stragglers, and no part of the span of a batch."""

_WORD = re.compile(r"[^\W\d_]+")
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Profile:
    """Counts of one batch, or of a piece of it; `Profile()` is that of no rows.

    days: rows per UTC date. languages: texts. kinds: rows, by kind and by whether a rating and a text stand with it.
    ratings: by half stars. lengths: texts, by quarter octaves of their characters. words: by bucket. first, last: the
    range of event times. user_bits: one bit for each hash of a user id, for counting only; `sealed` drops it.
    """

    rows: int = 0
    days: Counts = field(default_factory=dict)
    languages: Counts = field(default_factory=dict)
    kinds: Counts = field(default_factory=dict)
    ratings: Counts = field(default_factory=dict)
    lengths: Counts = field(default_factory=dict)
    words: Counts = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    user_bits: int = 0
    user_count: int | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, *, word_share: float = 1.0) -> Profile:
        """The profile of accepted rows in the columns of `schema.EVENTS`.

        word_share: share of texts whose words are counted, chosen by the texts' hashes; words cost more than all else.
        """
        if frame.empty:
            return cls()
        texts = pa.array(frame[_TEXT], pa.large_string(), from_pandas=True)
        times = frame[_TIME]
        spoken = frame[_LANGUAGE][frame[_TEXT].notna()]
        characters = pc.utf8_length(texts.drop_null()).to_numpy(zero_copy_only=False)
        stars = np.rint(STAR * frame[_RATING].dropna().to_numpy(dtype=float)).astype(int)
        return cls(
            rows=len(frame),
            days=_counts(times.to_numpy("datetime64[D]")),
            languages=_counts(spoken.fillna("unknown").to_numpy()),
            kinds=_kinds(frame),
            ratings=_counts(stars),
            lengths=_counts((OCTAVE * np.log2(np.maximum(characters, 1))).astype(int)),
            words=_words(_sample(texts, frame[_HASH], word_share)),
            first=times.min().to_pydatetime(),
            last=times.max().to_pydatetime(),
            user_bits=_bits(frame[USER_ID.name].unique()),
        )

    def __add__(self, other: Profile) -> Profile:
        """The profile of both together; raises `ValueError` where one is sealed, whose users cannot be told apart."""
        if self.user_count is not None or other.user_count is not None:
            raise ValueError("a sealed profile takes no more rows; add before sealing")
        firsts = [time for time in (self.first, other.first) if time is not None]
        lasts = [time for time in (self.last, other.last) if time is not None]
        return Profile(
            rows=self.rows + other.rows,
            days=_sum(self.days, other.days),
            languages=_sum(self.languages, other.languages),
            kinds=_sum(self.kinds, other.kinds),
            ratings=_sum(self.ratings, other.ratings),
            lengths=_sum(self.lengths, other.lengths),
            words=_sum(self.words, other.words),
            first=min(firsts, default=None),
            last=max(lasts, default=None),
            user_bits=self.user_bits | other.user_bits,
        )

    @property
    def users(self) -> int:
        """How many users there are, counted by the bits that are still empty.

        Linear counting (Whang et al., 1990, https://doi.org/10.1145/78922.78925); where all bits are taken, the
        number that fills them on average.
        """
        if self.user_count is not None:
            return self.user_count
        empty = max(USER_BITS - self.user_bits.bit_count(), 1)
        return round(USER_BITS * math.log(USER_BITS / empty))

    @property
    def span(self) -> int:
        """Days from the first to the last, both counted, that hold more than stragglers; holes between them count."""
        busiest = max(self.days.values(), default=0)
        core = [date.fromisoformat(day) for day, rows in self.days.items() if rows >= CORE_DAY * busiest]
        return (max(core) - min(core)).days + 1 if core else 0

    def sealed(self) -> Profile:
        """The profile as it is kept in the history: the number of users instead of their bits."""
        return replace(self, user_bits=0, user_count=self.users)

    def to_json(self) -> dict[str, Any]:
        """The profile as a JSON document."""
        return {
            "rows": self.rows,
            **{name: dict(sorted(getattr(self, name).items())) for name in _HISTOGRAMS},
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "user_bits": f"{self.user_bits:x}",
            "user_count": self.user_count,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote."""
        times = {name: document[name] and datetime.fromisoformat(document[name]) for name in ("first", "last")}
        return cls(**{**document, **times, "user_bits": int(document["user_bits"], 16)})


_HISTOGRAMS = ("days", "languages", "kinds", "ratings", "lengths", "words")


def total(profiles: Iterable[Profile]) -> Profile:
    """The profile of all pieces together."""
    return sum(profiles, Profile())


def bucket(word: str) -> str:
    """The bucket that a word is counted in."""
    return str(int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=4).digest()) % WORD_BUCKETS)


def _counts(values: NDArray[Any]) -> dict[str, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return {str(value): int(count) for value, count in zip(distinct, counts, strict=True)}


def _sum(one: Counts, other: Counts) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))


def _kinds(frame: pd.DataFrame) -> dict[str, int]:
    """Rows by kind, such as `review`, `review with rating and text`: a column that runs dry shows here."""
    grouped = frame.groupby([frame[_KIND], frame[_RATING].notna(), frame[_TEXT].notna()]).size()
    names = {(True, True): " with rating and text", (True, False): " with rating", (False, True): " with text"}
    return {f"{kind}{names.get((rated, said), '')}": int(rows) for (kind, rated, said), rows in grouped.items()}


def _sample(texts: pa.Array, hashes: pd.Series, share: float) -> pa.Array:
    """Texts whose hash lies in the first `share` of all hashes: the same ones in whatever pieces they come."""
    if share >= 1:
        return texts.drop_null()
    limit = format(round(share * 16**8), "08x")
    chosen = pc.less(pa.array(hashes, pa.large_string(), from_pandas=True), limit)
    return texts.filter(pc.fill_null(chosen, False)).drop_null()


def _words(texts: pa.Array) -> dict[str, int]:
    """Words by bucket: runs of letters in lower case, Chinese characters one by one, which needs no segmenter."""
    apart = pc.replace_substring_regex(pc.utf8_lower(texts), r"(\p{Han})", r" \1 ")
    found: Counter[str] = Counter()
    for counted in pc.value_counts(pc.list_flatten(pc.utf8_split_whitespace(apart))).to_pylist():
        for word in _WORD.findall(counted["values"]):  # once for each distinct run between blanks
            found[bucket(word)] += counted["counts"]
    return dict(found)


def _bits(users: Iterable[str]) -> int:
    """A bit for each user, the place of which is a hash of the id; many ids share a bit."""
    taken = np.zeros(USER_BITS, dtype=bool)
    hashes = [int.from_bytes(blake2b(str(user).encode("utf-8", "replace"), digest_size=4).digest()) for user in users]
    taken[np.array(hashes, dtype=np.int64) % USER_BITS] = True
    return int.from_bytes(np.packbits(taken).tobytes())


def hours_before(when: datetime, as_of: datetime) -> float:
    """Hours from `when` to `as_of`, both with a time zone; negative where it lies after."""
    return (as_of.astimezone(UTC) - when.astimezone(UTC)).total_seconds() / 3600
