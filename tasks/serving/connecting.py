"""Connections of the read service, and one sentence for a store that is down or slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import psycopg.errors
import psycopg_pool
import redis.exceptions
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from tasks.errors import StoreUnavailable

PATIENCE_S = 2.0
"""Seconds that a store has for one answer; a reader that waits longer has given up."""
Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]
_SESSION = (
    f"-c statement_timeout={int(PATIENCE_S * 1000)} -c default_transaction_read_only=on"
    # one statement over nine tables is planned once: planning takes longer than reading
    " -c plan_cache_mode=force_generic_plan -c jit=off"
)


class ViewsGone(Exception):
    """A table that the registry named is not there any more."""


def postgres_pool(conninfo: str, *, most: int) -> Pool:
    """Up to `most` connections that only read; they are made when the pool is opened."""
    return AsyncConnectionPool(
        make_conninfo(conninfo, options=_SESSION, connect_timeout=int(PATIENCE_S)),
        min_size=1,
        max_size=most,
        open=False,
        timeout=PATIENCE_S,
        reconnect_timeout=30,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )


@asynccontextmanager
async def answered(what: str) -> AsyncIterator[None]:
    """Turn a store's ways of being down or slow into `StoreUnavailable`, within `PATIENCE_S`.

    The sentence says what happened and no more: a driver's own text may quote addresses and values.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except psycopg.errors.UndefinedTable as error:
        raise ViewsGone(what) from error
    except (
        TimeoutError,
        redis.exceptions.TimeoutError,
        psycopg_pool.PoolTimeout,
        psycopg.errors.QueryCanceled,
    ) as error:
        raise StoreUnavailable(f"{what} did not answer within {PATIENCE_S:.0f} seconds; try again") from error
    except redis.exceptions.AuthenticationError as error:
        raise StoreUnavailable(f"{what} refuses the password; mend the settings of the read service") from error
    except (psycopg.Error, redis.exceptions.RedisError, OSError) as error:
        raise StoreUnavailable(f"{what} cannot be read ({type(error).__name__}); try again") from error
