"""Every table Penchant keeps: its columns, keys, types, limits and meanings, written once.

Expectation suites, Feast fields, Parquet schemas, boundary checks and the README's data dictionary are computed
from this module; no other module spells a column type.
"""

from __future__ import annotations

from datetime import datetime

from tasks.columns import Column, Table

LANGUAGES = ("en", "zh")
TEXT_KINDS = ("review", "comment", "question", "chat", "search")
KINDS = (*TEXT_KINDS, "view", "click", "rating", "purchase")
RATING_MIN, RATING_MAX = 1.0, 5.0
"""Every rating is brought to this scale when it is taken in; a mapping names the scale it came in."""


def _id(name: str, meaning: str, *, nullable: bool = False, personal: bool = False) -> Column:
    return Column(name, "string", meaning, nullable=nullable, max_length=128, personal=personal)


def _mix(name: str, meaning: str) -> Column:
    return Column(name, "list<float32>", meaning)


BEGINNING = datetime.fromisoformat("1990-01-01T00:00:00+00:00")
AS_OF = Column("as_of", "timestamp", "end of the data interval that the row was computed from")
USER_ID = _id("user_id", "who wrote or acted; any stable name", personal=True)
ITEM_ID = _id("item_id", "what it was about")
TEXT_HASH = Column(
    "text_hash", "string", "128-bit hash of the normalised text; the same text has the same hash", max_length=32
)

EVENTS = Table(
    "accepted_events",
    "What people wrote and did, checked.",
    (
        _id("event_id", "made from the content where the source has none"),
        USER_ID,
        _id("item_id", "null for a search phrase or chat line", nullable=True),
        Column("kind", "string", "what was done", one_of=KINDS),
        Column("rating", "float32", "brought to 1–5", nullable=True, minimum=RATING_MIN, maximum=RATING_MAX),
        Column("text", "string", "normalised text", nullable=True, max_length=20_000, personal=True),
        Column("language", "string", "ISO 639-1 code, detected where not given", nullable=True, one_of=LANGUAGES),
        Column("text_hash", "string", TEXT_HASH.meaning, nullable=True, max_length=32),
        Column("event_time", "timestamp", "when it happened, UTC", minimum=BEGINNING),
        Column("batch_id", "string", "batch that brought the row"),
    ),
    key=("event_id",),
)
ITEMS = Table(
    "accepted_items",
    "What can be recommended, checked.",
    (
        ITEM_ID,
        Column("title", "string", "short name", max_length=1_000),
        Column("title_zh", "string", "short name in Chinese", nullable=True, max_length=1_000),
        Column("description", "string", "longer text", nullable=True, max_length=20_000),
        Column("description_zh", "string", "longer text in Chinese", nullable=True, max_length=20_000),
        Column("categories", "list<string>", "from broad to narrow"),
        Column("price", "float64", "in the shop's currency", nullable=True, minimum=0),
        Column("brand", "string", "maker", nullable=True, max_length=200),
        Column("updated_at", "timestamp", "when the shop last changed it, UTC", nullable=True, minimum=BEGINNING),
        Column("batch_id", "string", "batch that brought the row"),
    ),
    key=("item_id",),
)
QUARANTINE = Table(
    "quarantine",
    "Rows that were not accepted, one line per row and broken rule.",
    (
        Column("batch_id", "string", "batch that brought the row"),
        Column("table", "string", "table that the row was meant for"),
        Column("position", "int64", "1-based row among the batch's rows for that table"),
        Column("source", "string", "file or table it came from"),
        Column("rule", "string", "rule that it broke"),
        Column("column", "string", "column that broke it", nullable=True),
        Column("reason", "string", "what a person needs to know to mend it, without the value"),
        Column("row", "string", "the row as it came, as JSON, personal data blanked out", personal=True),
    ),
    key=("batch_id", "table", "position", "rule"),
)
REPLAYED = Table(
    "replayed",
    "Quarantined rows that went through the check again, and what became of them.",
    (
        Column("batch_id", "string", "batch that brought the row"),
        Column("table", "string", "table that the row was meant for"),
        Column("position", "int64", "its place there"),
        Column("replay", "string", "batch that brought it again"),
        Column("outcome", "string", "whether it is in now", one_of=("accepted", "quarantined")),
    ),
    key=("batch_id", "table", "position"),
)
LEDGER = Table(
    "quality_ledger",
    "One line per batch and rule: how many rows it saw and stopped.",
    (
        Column("batch_id", "string", "batch that was checked"),
        Column("table", "string", "table that the rows were meant for"),
        Column("rule", "string", "rule; `rows` for the batch itself"),
        Column("severity", "string", "what a failure does", one_of=("info", "warning", "critical")),
        Column("rows_in", "int64", "rows that came", minimum=0),
        Column("rows_failed", "int64", "rows that broke the rule", minimum=0),
        Column("rows_accepted", "int64", "rows of the batch that were accepted", minimum=0),
        Column("rows_quarantined", "int64", "rows of the batch that were quarantined", minimum=0),
        Column("rows_repeated", "int64", "exact repeats of accepted rows", minimum=0),
        AS_OF,
    ),
    key=("batch_id", "table", "rule"),
)
TOPICS = Table(
    "topics",
    "What people talk about.",
    (
        Column("topic_id", "int64", "keeps its meaning from refresh to refresh", minimum=0),
        Column("label", "string", "short English name made from its top words"),
        Column("label_zh", "string", "short Chinese name", nullable=True),
        Column("words_en", "list<string>", "top English words, best first"),
        Column("words_zh", "list<string>", "top Chinese words, best first"),
        Column("share", "float32", "share of all text", minimum=0, maximum=1),
        Column("coherence", "float32", "mean NPMI of its top words", minimum=-1, maximum=1),
        AS_OF,
    ),
    key=("topic_id",),
)
TEXT_TOPICS = Table(
    "text_topics",
    "Topic mix of each text.",
    (TEXT_HASH, _mix("topic_mix", "share of each topic, in order of topic_id; sums to 1")),
    key=("text_hash",),
)
TEXT_VECTORS = Table(
    "text_vectors",
    "Embedding of each text.",
    (
        TEXT_HASH,
        _mix("vector", "unit-length embedding"),
        Column("encoder", "string", "fingerprint of the encoder; vectors of two encoders never mix"),
    ),
    key=("text_hash",),
)

USER_TOPICS = Table(
    "user_topics",
    "What a user writes and cares about.",
    (
        USER_ID,
        AS_OF,
        _mix("topic_mix", "time-decayed share of each topic; sums to 1"),
        Column("top_topics", "list<string>", "labels of the largest topics, largest first"),
    ),
    key=("user_id",),
    entity="user",
)
USER_SENTIMENT = Table(
    "user_sentiment",
    "How pleased a user sounds.",
    (
        USER_ID,
        AS_OF,
        Column("sentiment", "float32", "probability that a text is favourable, mean", minimum=0, maximum=1),
        _mix("topic_sentiment", "the same per topic, in order of topic_id; the mean where nothing was said"),
    ),
    key=("user_id",),
    entity="user",
)
USER_STYLE = Table(
    "user_style",
    "How a user writes: named axes, each from 0 to 1 (see `tasks/interests/style.py`).",
    (
        USER_ID,
        AS_OF,
        _mix("style", "value of each axis, in the order of `axes`"),
        Column("axes", "list<string>", "names of the axes"),
    ),
    key=("user_id",),
    entity="user",
)
USER_KEYWORDS = Table(
    "user_keywords",
    "Words that set a user apart.",
    (
        USER_ID,
        AS_OF,
        Column("keywords", "list<string>", "most telling first"),
        _mix("weights", "weight of each keyword"),
    ),
    key=("user_id",),
    entity="user",
)
USER_VECTORS = Table(
    "user_vectors",
    "Long- and short-term interest in the encoder's space.",
    (
        USER_ID,
        AS_OF,
        _mix("long_term", "unit vector, long half-life"),
        _mix("short_term", "unit vector, short half-life"),
        Column("drift", "float32", "1 − cosine of the two", minimum=0, maximum=2),
        Column("encoder", "string", "fingerprint of the encoder"),
    ),
    key=("user_id",),
    entity="user",
)
USER_EVOLUTION = Table(
    "user_evolution",
    "How a user's interest moves: h* = [h; v].",
    (
        USER_ID,
        AS_OF,
        _mix("evolution", "LSTM state h followed by the short-term text vector v"),
        Column("state_size", "int64", "length of h", minimum=1),
        Column("model", "string", "version of the sequence model"),
    ),
    key=("user_id",),
    entity="user",
)
USER_ACTIVITY = Table(
    "user_activity",
    "How much is known of a user.",
    (
        USER_ID,
        AS_OF,
        Column("events", "int64", "events so far", minimum=0),
        Column("texts", "int64", "texts so far", minimum=0),
        Column("language", "string", "language the user writes in most", nullable=True),
        Column("last_event", "timestamp", "time of the latest event"),
    ),
    key=("user_id",),
    entity="user",
)
ITEM_CONTENT = Table(
    "item_content",
    "What an item is about, from its own text and what people wrote about it.",
    (
        ITEM_ID,
        AS_OF,
        Column("title", "string", "short name"),
        Column("categories", "list<string>", "from broad to narrow"),
        _mix("topic_mix", "share of each topic"),
        _mix("vector", "unit vector"),
        Column("encoder", "string", "fingerprint of the encoder"),
        Column("keywords", "list<string>", "most telling first"),
        Column("sentiment", "float32", "mean of its reviews, 0.5 where there are none", minimum=0, maximum=1),
        Column("popularity", "float32", "time-decayed share of all events", minimum=0, maximum=1),
    ),
    key=("item_id",),
    entity="item",
)
SCORERS = ("collaborative", "content", "sequence", "popularity")
RECOMMENDATIONS = Table(
    "user_recommendations",
    "Items for a user, best first; a score is the sum of its parts.",
    (
        USER_ID,
        AS_OF,
        Column("item_ids", "list<string>", "best first"),
        Column("titles", "list<string>", "in the user's language"),
        _mix("scores", "blended score"),
        *(_mix(name, f"part of each score that the {name} scorer gave") for name in SCORERS),
        Column("reasons", "list<string>", "a sentence for each item, in the user's language"),
    ),
    key=("user_id",),
    entity="user",
)

USER_BLOCKS = (USER_TOPICS, USER_SENTIMENT, USER_STYLE, USER_KEYWORDS, USER_VECTORS, USER_EVOLUTION, USER_ACTIVITY)
SERVICES: dict[str, tuple[Table, ...]] = {
    "user_interest": USER_BLOCKS,
    "item_content": (ITEM_CONTENT,),
    "recommendations": (RECOMMENDATIONS,),
}
"""Feast feature services: fixed names, each over the views of the live release."""
SERVED = tuple(table for tables in SERVICES.values() for table in tables)
TABLES = {t.name: t for t in (EVENTS, ITEMS, QUARANTINE, REPLAYED, LEDGER, TOPICS, TEXT_TOPICS, TEXT_VECTORS, *SERVED)}
EVERYONE = "*"
"""User id whose recommendations are for anyone of whom nothing is known."""
RELEASE = Column("release", "string", "release that the row belongs to; the same in every view a reader sees")
KNOWN_AT = Column("known_at", "timestamp", "since when readers were served these values, for checking training sets")
