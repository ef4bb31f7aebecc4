"""Sources: files, PostgreSQL and the sample shop, read as a mapping says into chunks of our own columns."""

from tasks.sources.files import digest_files, read_files, read_rows
from tasks.sources.items import items_from_events
from tasks.sources.load import load_mapping
from tasks.sources.mapping import Mapping
from tasks.sources.query import QueryChunks, read_query

__all__ = [
    "Mapping",
    "QueryChunks",
    "digest_files",
    "items_from_events",
    "load_mapping",
    "read_files",
    "read_query",
    "read_rows",
]
