"""A cache of JSON values, over one of bytes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

from urlmon.domain.ids import TenantId
from urlmon.errors import InvalidValueError
from urlmon.ports import Cache

JsonValue: TypeAlias = (
    "bool | int | float | str | list[JsonValue | None] | dict[str, JsonValue | None]"
)
"""What JSON can say, but for a bare null: that is nothing."""


class JsonCache:
    """Does what `Cache` says, with JSON values in place of bytes.

    A value is kept exactly, or refused: a tuple, a key that is no text, NaN and the like are no
    JSON.  A namespace should hold JSON alone; what cannot be read is as good as not there.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def get(self, tenant_id: TenantId, namespace: str, key: str) -> JsonValue | None:
        """Do what `Cache.get` does."""
        body = await self._cache.get(tenant_id, namespace, key)
        return None if body is None else _decoded(body)

    async def set(
        self, tenant_id: TenantId, namespace: str, key: str, *, value: JsonValue, ttl: timedelta
    ) -> bool:
        """Do what `Cache.set` does.

        Raises:
            InvalidValueError: It is no JSON value, or takes more than 1 MiB.
        """
        return await self._cache.set(tenant_id, namespace, key, value=_encoded(value), ttl=ttl)

    async def get_or_load(
        self,
        tenant_id: TenantId,
        namespace: str,
        key: str,
        *,
        load: Callable[[], Awaitable[JsonValue | None]],
        ttl: timedelta,
        nothing_ttl: timedelta = timedelta(seconds=5),
    ) -> JsonValue | None:
        """Do what `Cache.get_or_load` does; a value that cannot be read is dropped and loaded.

        Raises:
            InvalidValueError: What was loaded is no JSON value; it is not kept.
            UnavailableError: What cannot be read could not be dropped.
        """

        async def load_body() -> bytes | None:
            value = await load()
            return None if value is None else _encoded(value)

        async def ask() -> bytes | None:
            return await self._cache.get_or_load(
                tenant_id, namespace, key, load=load_body, ttl=ttl, nothing_ttl=nothing_ttl
            )

        body = await ask()
        if body is not None and _decoded(body) is None:
            await self._cache.delete(tenant_id, namespace, key)
            body = await ask()
        return None if body is None else _decoded(body)


def _encoded(value: object) -> bytes:
    """Write a value as JSON.

    Raises:
        InvalidValueError: It would not come back as it is.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        body = text.encode()
        if value is not None and json.loads(text) == value:
            return body
    except (TypeError, ValueError, RecursionError):
        pass
    raise InvalidValueError("value", "must be a JSON value, and not null")


def _decoded(body: bytes) -> JsonValue | None:
    """Read a value; None where it is none."""
    try:
        value: JsonValue | None = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value
