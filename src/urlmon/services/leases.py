"""Holds a lease while a block runs, whatever keeps the leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from urlmon.domain.leases import Lease
from urlmon.errors import LeaseLostError, StoreError
from urlmon.ports import Locks


class _Holder:
    """Keeps a lease alive; when that fails, cancels the task that holds it, or sets an event."""

    def __init__(
        self, locks: Locks, lease: Lease, ttl: timedelta, told_by: asyncio.Event | None
    ) -> None:
        self.lease = lease
        self.lost = False
        self.cancelled = False
        self._told_by = told_by
        self._locks = locks
        self._ttl = ttl
        self.body = _current_task()

    async def renew(
        self, monotonic: Callable[[], float], sleep_until: Callable[[float], Awaitable[None]]
    ) -> None:
        """Renew the lease every third of its time, and try more often after a failure."""
        renew_at = self.lease.expires_at - self._ttl.total_seconds() * 2 / 3
        while True:
            await sleep_until(renew_at)
            try:
                self.lease = await self._locks.renew(self.lease, ttl=self._ttl)
            except LeaseLostError:
                self._lose()
                return
            except StoreError:
                # The lease is ours until its end: `watch` decides, and needs no store for that.
                renew_at = monotonic() + self._ttl.total_seconds() / 10
            else:
                renew_at = self.lease.expires_at - self._ttl.total_seconds() * 2 / 3

    async def watch(
        self, monotonic: Callable[[], float], sleep_until: Callable[[float], Awaitable[None]]
    ) -> None:
        """Wait for the end of the lease, which every renewal puts off."""
        while monotonic() < self.lease.expires_at:
            await sleep_until(self.lease.expires_at)
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            if self._told_by is not None:
                self._told_by.set()
            else:
                self.cancelled = True
                self.body.cancel()


@asynccontextmanager
async def hold(
    locks: Locks,
    name: str,
    *,
    ttl: timedelta,
    wait: timedelta,
    lost: asyncio.Event | None,
    store: str,
    monotonic: Callable[[], float],
    sleep_until: Callable[[float], Awaitable[None]],
) -> AsyncIterator[Lease | None]:
    """Do what `Locks.hold` says, by the other methods of a port.

    Args:
        locks: What keeps the leases.
        name: What to lock.
        ttl: How long a lease lasts that is not renewed.
        wait: How long to wait for it.
        lost: Is set when the lease is lost, in place of cancelling the block.
        store: Names the store in the error.
        monotonic: The clock that `Lease.expires_at` is measured by.
        sleep_until: Returns once `monotonic` shows a moment.

    Raises:
        LeaseLostError: The lease was lost while the block ran.
    """
    lease = await locks.acquire(name, ttl=ttl, wait=wait)
    if lease is None:
        yield None
        return
    holder = _Holder(locks, lease, ttl, lost)
    keepers = [
        asyncio.create_task(keep(monotonic, sleep_until)) for keep in (holder.renew, holder.watch)
    ]
    cancels = holder.body.cancelling()
    loss = LeaseLostError(store, "Locks.hold", name=name)
    try:
        try:
            yield lease
        finally:
            for keeper in keepers:
                keeper.cancel()  # from here on the lease is not lost any more
            if holder.cancelled:
                holder.body.uncancel()
    except asyncio.CancelledError:
        if not holder.cancelled or holder.body.cancelling() > cancels:
            raise  # the caller's own, which wins
        raise loss from None
    finally:
        await asyncio.gather(*keepers, return_exceptions=True)
        if not holder.lost:
            with suppress(StoreError):  # the lease ends by itself
                await locks.release(lease)
    # Here comes a block that swallowed its cancellation, or left the event loop no time for it.
    if holder.lost or monotonic() >= holder.lease.expires_at:
        raise loss


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a lock is held by a task")
    return task
