"""What every `Cache` must hold of loads."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from urlmon.domain.caching import SPREAD, TURN, Load
from urlmon.domain.ids import TenantId
from urlmon.errors import InvalidValueError, NotFoundError
from urlmon.ports import Cache
from urlmon.services.loads import LOOK_AGAIN
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores

TENANT: Final = TenantId.new()
MINUTE: Final = timedelta(minutes=1)
SECOND: Final = timedelta(seconds=1)
# Before this share of its time to live no value ends.
SURE: Final = 1 - SPREAD
# Of real time; less than `TURN`, so that what takes a turn to end is found.
PATIENCE_SECONDS: Final = 4


class Source:
    """Where values come from: counts its loads, and makes them wait until they are let go."""

    def __init__(self, value: bytes | None = b"loaded", *, waits: bool = False) -> None:
        self.value = value
        self.loads = 0
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        if not waits:
            self.let_go.set()

    async def load(self) -> bytes | None:
        self.loads += 1
        value = self.value
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return value


async def loaded(cache: Cache, load: Load, *, key: str = "key") -> bytes | None:
    """Get or load a value that is kept for a minute, or a second if there is nothing."""
    return await asyncio.wait_for(
        cache.get_or_load(TENANT, "pages", key, load=load, ttl=MINUTE, nothing_ttl=SECOND),
        PATIENCE_SECONDS,
    )


async def loading(cache: Cache, source: Source) -> asyncio.Task[bytes | None]:
    """Return a call whose load has begun, and waits."""
    task = asyncio.create_task(loaded(cache, source.load))
    await asyncio.wait_for(source.begun.wait(), PATIENCE_SECONDS)
    return task


async def kept(cache: Cache) -> bytes | None:
    return await cache.get(TENANT, "pages", "key")


class LoadingContract:
    """What every `Cache` must hold of loads."""

    async def test_loaded_once(self, working: WorkingStores) -> None:
        """What was loaded is kept, for every process, until its time is over."""
        source = Source()
        assert await loaded(working.cache, source.load) == b"loaded"
        await working.advance(MINUTE * SURE - SECOND)
        for cache in (working.cache, working.cache_elsewhere):
            assert await loaded(cache, source.load) == b"loaded"
            assert await kept(cache) == b"loaded"
        assert source.loads == 1
        await working.advance(MINUTE)
        source.value = b"changed"
        assert await loaded(working.cache, source.load) == b"changed"
        assert source.loads == 2

    async def test_nothing(self, working: WorkingStores) -> None:
        """That there is nothing is kept too, for its own time."""
        source = Source(None)
        for cache in (working.cache, working.cache_elsewhere):
            assert await loaded(cache, source.load) is None
            assert await kept(cache) is None
        assert source.loads == 1
        source.value = b"appeared"
        await working.advance(SECOND)
        assert await loaded(working.cache, source.load) == b"appeared"
        assert await kept(working.cache) == b"appeared"

    async def test_at_once(self, working: WorkingStores) -> None:
        """However many ask at once, one loads."""
        source = Source(waits=True)
        first = await loading(working.cache, source)
        others = [asyncio.create_task(loaded(working.cache, source.load)) for _ in range(20)]
        await asyncio.sleep(0)
        source.let_go.set()
        assert await asyncio.gather(first, *others) == [b"loaded"] * 21
        assert source.loads == 1
        assert await loaded(working.cache, source.load, key="other") == b"loaded"
        assert source.loads == 2

    async def test_cancelled(self, working: WorkingStores) -> None:
        """A caller that is cancelled fails no other; the load ends with the last of them."""
        source = Source(waits=True)
        first = await loading(working.cache, source)
        second, third = (asyncio.create_task(loaded(working.cache, source.load)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        third.cancel()
        await asyncio.wait([first, third])
        assert first.cancelled()
        assert source.cancelled == 0
        source.let_go.set()
        assert await second == b"loaded"
        assert source.loads == 1

    async def test_all_cancelled(self, working: WorkingStores) -> None:
        """A load that nobody waits for any more is cancelled, and another may load at once."""
        source = Source(waits=True)
        first = await loading(working.cache, source)
        second = asyncio.create_task(loaded(working.cache, source.load))
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        await asyncio.wait([first, second])
        assert (source.loads, source.cancelled) == (1, 1)
        source.let_go.set()
        assert await loaded(working.cache_elsewhere, source.load) == b"loaded"
        assert source.loads == 2

    async def test_failed(self, working: WorkingStores) -> None:
        """An error of the load is raised to all who wait; nothing is kept, the next one loads."""
        source, error = Source(waits=True), NotFoundError("here", "load", entity="page", key="key")

        async def load() -> bytes | None:
            await source.load()
            raise error

        tasks = [asyncio.create_task(loaded(working.cache, load)) for _ in range(3)]
        await source.begun.wait()
        source.let_go.set()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 3
        assert source.loads == 1
        assert await loaded(working.cache_elsewhere, Source().load) == b"loaded"

    async def test_cancelled_by_itself(self, working: WorkingStores) -> None:
        """A load that ends as cancelled is the failure of the one whose load it was."""
        source = Source(waits=True)

        async def load() -> bytes | None:
            await source.load()
            raise asyncio.CancelledError

        first = asyncio.create_task(loaded(working.cache, load))
        await source.begun.wait()
        second = asyncio.create_task(loaded(working.cache, Source(b"second").load))
        await asyncio.sleep(0)
        source.let_go.set()
        await asyncio.wait([first])
        assert first.cancelled()
        assert await second == b"second"

    async def test_no_value(self, working: WorkingStores) -> None:
        """What was loaded and is no value is refused, and keeps nobody waiting."""
        for value in (b"x" * 1_048_577, "text", bytearray(b"x"), 1):
            error = await refusal_of(loaded(working.cache, Source(value).load))  # type: ignore[arg-type]
            assert isinstance(error, InvalidValueError)
            assert error.field == "value"
        source = Source(b"\xff" * 1_048_576)
        assert await loaded(working.cache_elsewhere, source.load) == source.value
        assert await kept(working.cache) == source.value

    async def test_elsewhere(self, working: WorkingStores) -> None:
        """While one process loads, another waits, and gets what was loaded."""
        here, there = Source(waits=True), Source(b"there")
        first = await loading(working.cache, here)
        second = asyncio.create_task(loaded(working.cache_elsewhere, there.load))
        for _ in range(3):
            await working.advance(LOOK_AGAIN)
        assert not second.done()
        here.let_go.set()
        assert await first == b"loaded"
        await working.advance(LOOK_AGAIN)
        assert await second == b"loaded"
        assert there.loads == 0

    async def test_failed_elsewhere(self, working: WorkingStores) -> None:
        """When a load failed or was cancelled, another process loads at once."""
        for cancelled in (True, False):
            here, there = Source("no value", waits=True), Source(b"there")  # type: ignore[arg-type]
            first = await loading(working.cache, here)
            second = asyncio.create_task(loaded(working.cache_elsewhere, there.load))
            await working.advance(LOOK_AGAIN)
            assert not there.loads
            if cancelled:
                first.cancel()
            here.let_go.set()
            await asyncio.gather(first, return_exceptions=True)
            await working.advance(LOOK_AGAIN)
            assert await second == b"there"
            await working.cache.delete(TENANT, "pages", "key")

    @pytest.mark.parametrize("late", [False, True])
    async def test_slow(self, working: WorkingStores, *, late: bool) -> None:
        """A load that takes long is not waited for; of the two, the first to come is kept."""
        here, there = Source(b"here", waits=True), Source(b"there", waits=True)
        first = await loading(working.cache, here)
        await working.advance(TURN)
        second = await loading(working.cache_elsewhere, there)
        order = [(there, second), (here, first)] if late else [(here, first), (there, second)]
        for source, task in order:
            source.let_go.set()
            assert await task == source.value
        assert await kept(working.cache) == order[0][0].value

    @pytest.mark.parametrize("how", ["delete", "invalidate", "set"])
    async def test_changed_meanwhile(self, working: WorkingStores, how: str) -> None:
        """What was loaded before a change is not kept after it."""
        source = Source(b"old", waits=True)
        first = await loading(working.cache, source)
        await change(working.cache_elsewhere, how)
        source.let_go.set()
        assert await first == b"old"
        assert await kept(working.cache) == (b"set" if how == "set" else None)
        again = Source(b"new")
        assert await loaded(working.cache, again.load) == (b"set" if how == "set" else b"new")

    @pytest.mark.parametrize("how", ["delete", "invalidate", "set"])
    async def test_called_after_a_change(self, working: WorkingStores, how: str) -> None:
        """Who calls after a change gets nothing that was loaded before it."""
        old, new = Source(b"old", waits=True), Source(b"new")
        expected = b"set" if how == "set" else b"new"
        first = await loading(working.cache, old)
        await change(working.cache_elsewhere, how)
        here = [asyncio.create_task(loaded(working.cache, new.load)) for _ in range(5)]
        assert await loaded(working.cache_elsewhere, new.load) == expected
        old.let_go.set()
        assert await first == b"old"
        assert await asyncio.gather(*here) == [expected] * 5
        assert new.loads == (0 if how == "set" else 1)
        assert await kept(working.cache) == expected

    async def test_changed_and_loaded_again(self, working: WorkingStores) -> None:
        """A load from before a change does not end one from after it."""
        old, new = Source(b"old", waits=True), Source(b"new", waits=True)
        first = await loading(working.cache, old)
        await working.cache.delete(TENANT, "pages", "key")
        second = await loading(working.cache_elsewhere, new)
        old.let_go.set()
        assert await first == b"old"
        new.let_go.set()
        assert await second == b"new"
        assert await kept(working.cache) == b"new"


async def change(cache: Cache, how: str) -> None:
    """Change what is kept, or what is to be loaded."""
    if how == "set":
        assert await cache.set(TENANT, "pages", "key", value=b"set", ttl=MINUTE)
    elif how == "delete":
        await cache.delete(TENANT, "pages", "key")
    else:
        await cache.invalidate(TENANT, "pages")
