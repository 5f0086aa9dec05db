"""Work that one of many processes does now and then for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from urlmon.domain.leases import Lease
from urlmon.errors import UnavailableError
from urlmon.ports import Locks


async def take_turn(
    locks: Locks, name: str, work: Callable[[], Awaitable[object]], *, every: timedelta
) -> bool:
    """Do something, unless another process took its turn less than `every` ago.

    This spares work and makes nothing safe: where the locks cannot be had, or the work takes longer
    than that, several do it at once.  A turn that fails is given back.

    Args:
        locks: Where turns are taken.
        name: What the turn is called, the same in every process.
        work: What to do.
        every: How long a turn lasts, and so how often one is taken at most.

    Returns:
        Whether it was done.
    """
    lease: Lease | None = None
    try:
        lease = await locks.acquire(name, ttl=every)
        if lease is None:
            return False
    except UnavailableError:
        pass  # then everybody works
    try:
        await work()
    except Exception:
        if lease is not None:
            with suppress(UnavailableError):
                await locks.release(lease)
        raise
    return True
