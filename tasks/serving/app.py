"""The read service over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tasks import schema
from tasks.columns import Column
from tasks.errors import ReleaseError, RequestError
from tasks.releases.freshness import Freshness
from tasks.releases.reading import ITEM_SERVICES, USER_SERVICES
from tasks.serving import answers
from tasks.serving.access import Guard
from tasks.serving.reader import Found, Reader

MOST_IDS = 1_000
"""Ids in one request: a thousand profiles are some ten megabytes."""
_KEYS = {name: schema.ITEM_ID if name in ITEM_SERVICES else schema.USER_ID for name in schema.SERVICES}
_SETTINGS = {"feature_service", "features", "entities", "full_feature_names", "include_feature_view_version_metadata"}


def create_app(
    reader: Reader, fresh: Callable[[], Freshness], *, tokens: Sequence[str], routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """The application; `fresh` is asked for the clock at every request, `routes` are added to its own.

    Without `tokens` it answers requests to a loopback address only.
    """
    service = ReadService(reader, fresh)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await reader.open()
        try:
            yield
        finally:
            await reader.close()

    own = [
        Route("/health", _health),
        Route("/release", service.release),
        Route("/get-online-features", service.get_online_features, methods=["POST"]),
        Route("/users", service.users),
        Route("/users/{id:path}", service.user),
        Route("/items", service.items),
        Route("/items/{id:path}", service.item),
    ]
    return Starlette(
        routes=[*own, *routes],
        middleware=[Middleware(Guard, tokens=tokens)],
        exception_handlers={HTTPException: _refused},
        lifespan=lifespan,
    )


class ReadService:
    """One handler for each address."""

    def __init__(self, reader: Reader, fresh: Callable[[], Freshness]) -> None:
        self._reader = reader
        self._fresh = fresh

    async def user(self, request: Request) -> Response:
        """`GET /users/{id}`: interests and recommendations of one user."""
        return _json((await self._profiles(request, [request.path_params["id"]], schema.USER_ID, USER_SERVICES))[0])

    async def users(self, request: Request) -> Response:
        """`GET /users?id=…&id=…`: the same of many, in the order asked."""
        ids = request.query_params.getlist("id")
        return _json({"users": await self._profiles(request, ids, schema.USER_ID, USER_SERVICES)})

    async def item(self, request: Request) -> Response:
        """`GET /items/{id}`: content of one item."""
        return _json((await self._profiles(request, [request.path_params["id"]], schema.ITEM_ID, ITEM_SERVICES))[0])

    async def items(self, request: Request) -> Response:
        """`GET /items?id=…&id=…`: the same of many, in the order asked."""
        ids = request.query_params.getlist("id")
        return _json({"items": await self._profiles(request, ids, schema.ITEM_ID, ITEM_SERVICES)})

    async def release(self, _: Request) -> Response:
        """`GET /release`: what is live, how old and large each block is, and its evaluation card."""
        live = (await self._reader.registry.live()).release
        manifest, since = await self._reader.registry.describe(live)
        return _json(answers.release(manifest, since, self._fresh()))

    async def get_online_features(self, request: Request) -> Response:
        """`POST /get-online-features`: the request and the answer of `feast serve`, for the three services."""
        asked = _object(await request.body())
        name, release = _service(asked.get("feature_service"))
        key, full_names = _KEYS[name], asked.get("full_feature_names", False)
        entities = asked.get("entities")
        if not isinstance(entities, dict) or list(entities) != [key.name] or not isinstance(entities[key.name], list):
            raise RequestError(f'entities must be {{"{key.name}": [...]}} for {name}')
        if asked.get("features") or not isinstance(full_names, bool):
            raise RequestError("ask by feature_service, not by features; full_feature_names is true or false")
        ids = entities[key.name]
        found = await self._found([name], key, ids, release)
        return _json(answers.columns(found, key, ids, self._fresh(), full_names=full_names))

    async def _profiles(
        self, request: Request, ids: list[str], key: Column, services: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Profiles of `ids`; the query may narrow `service` and name a `release`."""
        known = {"id", "service", "release"}
        if unknown := sorted(set(request.query_params) - known):
            raise RequestError(f"unknown parameter {unknown[0][:40]!r}; there are {', '.join(sorted(known))}")
        chosen = request.query_params.getlist("service") or services
        if not set(chosen) <= set(services):
            raise RequestError(f"service is one of {', '.join(services)}")
        found = await self._found(tuple(dict.fromkeys(chosen)), key, ids, request.query_params.get("release"))
        return answers.profiles(found, key, ids, self._fresh())

    async def _found(self, services: Sequence[str], key: Column, ids: list[Any], release: str | None) -> Found:
        """One read; a release that was asked for by name and is not there is the asker's error, not ours."""
        try:
            return await self._reader.read(services, key, _bounded(ids), release=release or None)
        except ReleaseError as error:
            if not release:
                raise
            raise HTTPException(404, str(error)) from None


def _service(name: Any) -> tuple[str, str | None]:
    """A service's fixed name, and the release that was asked for by `service__release`."""
    service, _, release = name.partition("__") if isinstance(name, str) else ("", "", "")
    if service not in schema.SERVICES:
        raise RequestError(f"feature_service is one of {', '.join(schema.SERVICES)}")
    return service, release or None


def _bounded(ids: list[Any]) -> list[Any]:
    if not ids:
        raise RequestError("no id is asked for; name at least one")
    if len(ids) > MOST_IDS:
        raise RequestError(f"{len(ids):,} ids are asked for; at most {MOST_IDS:,} at a time")
    return ids


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestError("the body is no JSON") from None
    if not isinstance(asked, dict):
        raise RequestError("the body is no JSON object")
    if unknown := sorted(set(asked) - _SETTINGS):
        raise RequestError(f"unknown field {unknown[0][:40]!r}; there are {', '.join(sorted(_SETTINGS))}")
    return asked


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


async def _health(_: Request) -> Response:
    """`GET /health`: the process is up; whether stores are is told by `/release`."""
    return _json({"status": "ok"})


async def _refused(_: Request, error: Exception) -> Response:
    """Starlette's own refusals, such as of an unknown address, in our form."""
    assert isinstance(error, HTTPException)
    body = orjson.dumps({"error": error.detail})
    return Response(body, error.status_code, headers=error.headers, media_type="application/json")
