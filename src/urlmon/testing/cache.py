"""The in-memory `Cache`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from urlmon.domain.caching import (
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
from urlmon.errors import UnavailableError
from urlmon.ports import Cache
from urlmon.services.loads import SharedLoads, Shelf
from urlmon.testing.clock import sleep_until
from urlmon.testing.state import InMemoryState


class InMemoryCache(Cache, Shelf):
    """Keeps values by the clock of the state.  Two of them on one state are as two processes."""

    __slots__ = ("_chance", "_loads", "_state")

    def __init__(
        self, state: InMemoryState, *, chance: Callable[[], float] = random.random
    ) -> None:
        """Keep values in a state.

        Args:
            state: What the fakes share.
            chance: Decides how early a value ends: from 0, not at all, to 1.
        """
        self._state = state
        self._chance = chance
        self._loads = SharedLoads(
            self,
            monotonic=lambda: state.clock.now().timestamp(),
            sleep_until=lambda moment: sleep_until(
                state.clock, datetime.fromtimestamp(moment, UTC)
            ),
        )

    async def get(self, tenant_id: TenantId, namespace: str, key: str) -> bytes | None:
        entry = Entry(tenant_id, namespace, key)
        try:
            async with self._state.faults.call("Cache.get"):
                cached = self._find(entry)
        except UnavailableError:
            return None
        return cached.value if cached is not None else None

    async def set(
        self, tenant_id: TenantId, namespace: str, key: str, *, value: bytes, ttl: timedelta
    ) -> bool:
        entry = Entry(tenant_id, namespace, key)
        check_value(value)
        check_time_to_live("ttl", ttl)
        try:
            async with self._state.faults.call("Cache.set"):
                self._keep(entry, value, ttl)
        except UnavailableError:
            return False
        return True

    async def delete(self, tenant_id: TenantId, namespace: str, key: str) -> None:
        entry = Entry(tenant_id, namespace, key)
        async with self._state.faults.call("Cache.delete"):
            self._drop(entry)

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
        async with self._state.faults.call("Cache.invalidate"):
            for entry in (*self._state.cached, *self._state.loads):
                if (entry.tenant_id, entry.namespace) == (tenant_id, namespace):
                    self._drop(entry)

    async def begin(self, entry: Entry, token: str) -> Cached | Turn | None:
        """Answer as `Shelf` says."""
        try:
            async with self._state.faults.call("Cache.get_or_load"):
                return self._find(entry) or self._turn(entry, token)
        except UnavailableError as exc:
            return Turn(token if exc.maybe_applied else None)

    async def finish(
        self, entry: Entry, token: str, *, value: bytes | None, ttl: timedelta
    ) -> bool:
        """Answer as `Shelf` says."""
        try:
            async with self._state.faults.call("Cache.get_or_load"):
                if self._state.loads.get(entry, ("", None))[0] != token:
                    return False
                self._keep(entry, value, ttl)
        except UnavailableError:
            return False
        return True

    async def abandon(self, entry: Entry, token: str) -> None:
        """Do as `Shelf` says; needs no time that a fault could fall into."""
        if self._state.loads.get(entry, ("", None))[0] == token:
            self._state.loads[entry] = token, self._state.clock.now()

    def _find(self, entry: Entry) -> Cached | None:
        value, end = self._state.cached.get(entry, (None, None))
        return Cached(value) if end is not None and self._state.clock.now() < end else None

    def _turn(self, entry: Entry, token: str) -> Turn | None:
        """Give the turn to who asks, unless another has it and is in time."""
        now = self._state.clock.now()
        token, end = self._state.loads.get(entry, (token, now))
        if now < end:
            return None
        self._state.loads[entry] = token, now + TURN
        return Turn(token)

    def _keep(self, entry: Entry, value: bytes | None, ttl: timedelta) -> None:
        self._drop(entry)
        self._state.cached[entry] = value, self._state.clock.now() + spread(ttl, self._chance())

    def _drop(self, entry: Entry) -> None:
        self._state.cached.pop(entry, None)
        self._state.loads.pop(entry, None)
