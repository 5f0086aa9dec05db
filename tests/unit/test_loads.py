"""A load that ends badly gives its right to load back, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from urlmon.domain.caching import Cached, Entry, Turn
from urlmon.domain.ids import TenantId
from urlmon.services.loads import SharedLoads, Shelf

ENTRY = Entry(TenantId.new(), "pages", "key")
SECOND = timedelta(seconds=1)


class SlowShelf(Shelf):
    """Keeps nothing, and takes its time to take a right to load back."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()
        self.abandoned = False

    async def begin(self, entry: Entry, token: str) -> Cached | Turn | None:  # noqa: ARG002
        """Let everybody load."""
        return Turn(token)

    async def finish(
        self,
        entry: Entry,  # noqa: ARG002
        token: str,  # noqa: ARG002
        *,
        value: bytes | None,  # noqa: ARG002
        ttl: timedelta,  # noqa: ARG002
    ) -> bool:
        """Keep nothing, whatever comes."""
        return True

    async def abandon(self, entry: Entry, token: str) -> None:  # noqa: ARG002
        """Take the right back as soon as the test lets it."""
        self.asked.set()
        await self.answered.wait()
        self.abandoned = True


async def _sleep_until(moment: float) -> None:
    raise AssertionError(moment)  # nobody else loads


async def _fail() -> bytes:
    raise LookupError("no such page")


async def test_a_caller_that_goes_does_not_interrupt_it() -> None:
    """A call cancelled while its failed load is being given back leaves that to its end."""
    shelf = SlowShelf()
    loads = SharedLoads(shelf, monotonic=time.monotonic, sleep_until=_sleep_until)
    call = asyncio.create_task(loads.get(ENTRY, _fail, ttl=SECOND, nothing_ttl=SECOND))
    await shelf.asked.wait()
    call.cancel()
    await asyncio.sleep(0)
    shelf.answered.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert shelf.abandoned
