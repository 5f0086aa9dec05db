"""The Redis `Cache`."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from urlmon.domain.caching import (
    LONGEST_LOAD,
    TURN,
    Cached,
    Entry,
    Load,
    Turn,
    check_namespace,
    check_time_to_live,
    check_value,
    spread,
)
from urlmon.domain.ids import TenantId, require_tenant
from urlmon.errors import StoreError, UnavailableError
from urlmon.ports import Cache
from urlmon.services.loads import SharedLoads, Shelf
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Argument, Reply
from urlmon_adapters.redis._replies import body, decoding, items, number, text
from urlmon_adapters.redis._scripts import load as load_script

_log = logging.getLogger("urlmon.cache")

_MICROSECOND: Final = timedelta(microseconds=1)
_UNDO_SECONDS: Final = 0.25
_TELL_AGAIN_SECONDS: Final = 60.0


class RedisCache(Cache, Shelf):
    """Keeps values by the server's clock."""

    def __init__(self, client: RedisClient, *, chance: Callable[[], float] = random.random) -> None:
        """Keep values in Redis.

        Args:
            client: The way there.
            chance: Decides how early a value ends: from 0, not at all, to 1.
        """
        self._client = client
        self._chance = chance
        self._loads = SharedLoads(
            self, monotonic=client.time.monotonic, sleep_until=client.time.sleep_until
        )
        self._failures = 0
        self._tell_at = float("-inf")

    async def get(self, tenant_id: TenantId, namespace: str, key: str) -> bytes | None:
        entry = Entry(tenant_id, namespace, key)
        try:
            reply = await self._run("Cache.get", "cache_get", entry)
            with decoding("Cache.get"):
                return body(reply) if reply != [] else None
        except StoreError as exc:
            self._failed(exc)
            return None

    async def set(
        self, tenant_id: TenantId, namespace: str, key: str, *, value: bytes, ttl: timedelta
    ) -> bool:
        entry = Entry(tenant_id, namespace, key)
        check_value(value)
        lasts = self._lasts(check_time_to_live("ttl", ttl))
        try:
            generation = secrets.token_hex(16)
            await self._run("Cache.set", "cache_set", entry, generation, lasts, value)
        except StoreError as exc:
            self._failed(exc)
            return False
        return True

    async def delete(self, tenant_id: TenantId, namespace: str, key: str) -> None:
        await self._run("Cache.delete", "cache_delete", Entry(tenant_id, namespace, key))

    async def get_or_load(
        self,
        tenant_id: TenantId,
        namespace: str,
        key: str,
        *,
        load: Load,
        ttl: timedelta,
        nothing_ttl: timedelta = timedelta(seconds=5),
    ) -> bytes | None:
        entry = Entry(tenant_id, namespace, key)
        check_time_to_live("ttl", ttl)
        check_time_to_live("nothing_ttl", nothing_ttl)
        return await self._loads.get(entry, load, ttl=ttl, nothing_ttl=nothing_ttl)

    async def invalidate(self, tenant_id: TenantId, namespace: str) -> None:
        require_tenant(tenant_id)
        check_namespace(namespace)
        key = self._client.keys.generation(tenant_id, namespace)
        await self._client.run("Cache.invalidate", load_script("cache_invalidate"), (key,))

    async def begin(self, entry: Entry, token: str) -> Cached | Turn | None:
        """Answer as `Shelf` says."""
        operation = "Cache.get_or_load"
        durations = TURN // _MICROSECOND, LONGEST_LOAD // _MICROSECOND
        try:
            reply = items(await self._run(operation, "cache_begin", entry, token, *durations))
            with decoding(operation):
                return _begun(reply)
        except StoreError as exc:
            self._failed(exc)
            # If only the answer was lost, the token may be good: `finish` will tell.
            applied = isinstance(exc, UnavailableError) and exc.maybe_applied
            return Turn(token if applied else None)

    async def finish(
        self, entry: Entry, token: str, *, value: bytes | None, ttl: timedelta
    ) -> bool:
        """Answer as `Shelf` says."""
        operation, kept = "Cache.get_or_load", () if value is None else (value,)
        try:
            lasts = self._lasts(ttl)
            reply = await self._run(operation, "cache_finish", entry, token, lasts, *kept)
            with decoding(operation):
                return number(reply) == 1
        except StoreError as exc:
            self._failed(exc)
            return False

    async def abandon(self, entry: Entry, token: str) -> None:
        """Do as `Shelf` says; without that, others would wait for a while."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_UNDO_SECONDS):
                await self._run("Cache.get_or_load", "cache_abandon", entry, token)

    async def _run(self, operation: str, name: str, entry: Entry, *arguments: Argument) -> Reply:
        """Run a script on an entry."""
        keys = self._client.keys.cached(entry.tenant_id, entry.namespace, entry.key)
        script = load_script("clock", "cache", name)
        return await self._client.run(operation, script, keys, *arguments)

    def _lasts(self, ttl: timedelta) -> int:
        """Return for how many microseconds to keep a value."""
        return spread(ttl, self._chance()) // _MICROSECOND

    def _failed(self, error: StoreError) -> None:
        """Note that a call went on without the store; tell about it now and then."""
        self._failures += 1
        now = self._client.time.monotonic()
        if now >= self._tell_at:
            _log.warning("%d calls of the cache went without it: %s", self._failures, error)
            self._failures, self._tell_at = 0, now + _TELL_AGAIN_SECONDS


def _begun(reply: list[Reply]) -> Cached | Turn | None:
    """Read the answer of `cache_begin`."""
    kind, rest = text(reply[0]), reply[1:]
    if kind == "value":
        return Cached(body(rest[0]))
    if kind == "load":
        return Turn(text(rest[0]))
    if kind not in {"nothing", "wait"}:
        raise ValueError("no such answer")
    return Cached(None) if kind == "nothing" else None
