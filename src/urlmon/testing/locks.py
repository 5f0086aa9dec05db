"""The in-memory `Locks`."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

from attrs import evolve

from urlmon.domain.leases import Lease, check_lock_name, check_ttl, check_wait, remaining
from urlmon.errors import LeaseLostError
from urlmon.ports import Locks
from urlmon.services.leases import hold
from urlmon.testing.clock import sleep_until
from urlmon.testing.state import InMemoryState


class InMemoryLocks(Locks):
    """Leases names by the clock of the state; `Lease.expires_at` is its POSIX timestamp."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def acquire(
        self, name: str, *, ttl: timedelta, wait: timedelta = timedelta(0)
    ) -> Lease | None:
        check_lock_name(name)
        check_ttl(ttl)
        give_up_at = self._state.clock.now() + check_wait(wait)
        async with self._state.faults.call("Locks.acquire"):
            while (end := self._held_until(name)) is not None:
                if self._state.clock.now() >= give_up_at:
                    return None
                await self._given_back(before=min(end, give_up_at))
            end, token = self._state.clock.now() + ttl, secrets.token_hex(16)
            self._state.leases[name] = token, end
            fence = self._state.fences[name] = self._state.fences.get(name, 0) + 1
            return Lease(name=name, token=token, fence=fence, expires_at=end.timestamp())

    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        check_ttl(ttl)
        async with self._state.faults.call("Locks.renew"):
            end = self._state.clock.now() + ttl
            if self._held_until(lease.name) is None or not self._is_holder(lease):
                raise LeaseLostError("memory", "Locks.renew", name=lease.name)
            self._state.leases[lease.name] = lease.token, end
            return evolve(lease, expires_at=end.timestamp())

    async def release(self, lease: Lease) -> None:
        async with self._state.faults.call("Locks.release"):
            if self._is_holder(lease):
                del self._state.leases[lease.name]
                for waiter in self._state.lease_waiters:
                    if not waiter.done():
                        waiter.set_result(None)

    def remaining(self, lease: Lease) -> timedelta:
        return remaining(lease, self._state.clock.now().timestamp())

    def hold(
        self,
        name: str,
        *,
        ttl: timedelta,
        wait: timedelta = timedelta(0),
        lost: asyncio.Event | None = None,
    ) -> AbstractAsyncContextManager[Lease | None]:
        return hold(
            self,
            name,
            ttl=ttl,
            wait=wait,
            lost=lost,
            store="memory",
            monotonic=lambda: self._state.clock.now().timestamp(),
            sleep_until=lambda moment: sleep_until(
                self._state.clock, datetime.fromtimestamp(moment, UTC)
            ),
        )

    def _held_until(self, name: str) -> datetime | None:
        """Return the end of the lease on a name; None if nobody holds it."""
        _, end = self._state.leases.get(name, ("", None))
        return end if end is not None and self._state.clock.now() < end else None

    def _is_holder(self, lease: Lease) -> bool:
        token, _ = self._state.leases.get(lease.name, (None, None))
        return token == lease.token

    async def _given_back(self, *, before: datetime) -> None:
        """Return when some lease is given back, or when the clock shows `before`."""
        released = asyncio.get_running_loop().create_future()
        self._state.lease_waiters.append(released)
        timer = asyncio.create_task(sleep_until(self._state.clock, before))
        try:
            await asyncio.wait({released, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._state.lease_waiters.remove(released)
            timer.cancel()
