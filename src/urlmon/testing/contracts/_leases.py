"""What the contracts of locks share."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from urlmon.domain.leases import Lease
from urlmon.testing.contracts.stores import WorkingStores

TTL: Final = timedelta(seconds=30)
SECOND: Final = timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)
MILLISECOND: Final = timedelta(milliseconds=1)
MICROSECOND: Final = timedelta(microseconds=1)
# Of real time, for what takes none: a waiter that nobody wakes fails the test and not the run.
PATIENCE_SECONDS: Final = 10


async def leased(working: WorkingStores, name: str = "job", *, ttl: timedelta = TTL) -> Lease:
    """Lease a name that must be free."""
    lease = await working.locks.acquire(name, ttl=ttl)
    assert lease is not None
    return lease


async def is_held(working: WorkingStores, name: str = "job") -> bool:
    """Say whether somebody holds a name, without holding it afterwards."""
    lease = await working.locks.acquire(name, ttl=TTL)
    if lease is not None:
        await working.locks.release(lease)
    return lease is None


def waiter_for(working: WorkingStores, *, wait: timedelta) -> asyncio.Task[Lease | None]:
    return asyncio.create_task(working.locks.acquire("job", ttl=TTL, wait=wait))


async def let_wait(working: WorkingStores) -> None:
    """Give those who want a held name the time to find that out."""
    for _ in range(5):
        assert await is_held(working)


async def result_of(task: asyncio.Task[Lease | None]) -> Lease | None:
    return await asyncio.wait_for(task, PATIENCE_SECONDS)


async def outlive(working: WorkingStores) -> None:
    """Go on for longer than a lease may."""
    await working.advance(TTL)
    await asyncio.sleep(PATIENCE_SECONDS)


def assert_not_cancelled() -> None:
    """Assert that no cancellation of this task is left over."""
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
