"""What the fakes of the working state have beyond the contracts."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from tests.fixtures.working import in_memory
from tests.fixtures.working_calls import TTL, Calls

from urlmon.domain.caching import TURN, Entry
from urlmon.domain.ids import TenantId
from urlmon.errors import LeaseLostError, UnavailableError
from urlmon.testing.cache import InMemoryCache
from urlmon.testing.clock import NOON, FakeClock
from urlmon.testing.contracts._cache_loads import Source
from urlmon.testing.locks import InMemoryLocks
from urlmon.testing.state import InMemoryState
from urlmon_adapters.clock import SystemClock

LOCK_TTL = timedelta(milliseconds=10)


@pytest.mark.parametrize("lost_reply", [False, True])
@pytest.mark.parametrize("name", Calls.WRITES + Calls.READS)
async def test_faults(name: str, lost_reply: bool) -> None:  # noqa: FBT001
    """Each call fails on demand, under its own name, before it did anything or after."""
    state = InMemoryState()
    calls = Calls(in_memory(state))
    call = await calls.prepare(name)
    before = _rows(state)
    with state.faults.fail(name, lost_reply=lost_reply), pytest.raises(UnavailableError) as caught:
        await call()
    assert caught.value.operation == name
    assert caught.value.maybe_applied is lost_reply
    assert (_rows(state) != before) is (lost_reply and name in Calls.WRITES)
    if name != "Locks.acquire":
        await call()


@pytest.mark.parametrize("lost_reply", [False, True])
@pytest.mark.parametrize("name", Calls.OPEN)
async def test_faults_that_are_hidden(name: str, lost_reply: bool) -> None:  # noqa: FBT001
    """A call of the cache that fails on demand answers as if nothing were kept."""
    state = InMemoryState()
    call = await Calls(in_memory(state)).prepare(name)
    before = _rows(state)
    with state.faults.fail(name, lost_reply=lost_reply):
        assert await call() == {"Cache.get_or_load": b"loaded", "Cache.set": False}.get(name)
    assert (_rows(state) != before) is (lost_reply and name != "Cache.get")
    assert await call() == {"Cache.get_or_load": b"loaded", "Cache.set": True}.get(name, b"kept")


async def test_a_load_that_others_keep_putting_off() -> None:
    """Who waited for loads of other processes for long enough loads too, and keeps nothing."""
    state, entry = InMemoryState(), Entry(TenantId.new(), "pages", "key")
    working, source = in_memory(state), Source()
    state.loads[entry] = "another's", NOON + 10 * TURN
    task = asyncio.create_task(
        working.cache.get_or_load(
            entry.tenant_id, entry.namespace, entry.key, load=source.load, ttl=TTL
        )
    )
    await working.advance(timedelta(0))
    await working.advance(TURN - timedelta(milliseconds=1))
    assert not source.loads
    await working.advance(timedelta(milliseconds=1))
    assert await task == b"loaded"
    assert not state.cached
    assert state.loads[entry] == ("another's", NOON + 10 * TURN)


async def test_values_end_by_chance() -> None:
    """By how much a value ends early can be decided by a test."""
    tenant_id, tenth = TenantId.new(), TTL / 10
    for chance, early in ((0.0, 0 * tenth), (0.5, tenth / 2), (1.0, tenth)):
        state = InMemoryState()
        cache = InMemoryCache(state, chance=lambda value=chance: value)  # type: ignore[misc]
        await cache.set(tenant_id, "pages", "key", value=b"kept", ttl=TTL)
        assert [end for _, end in state.cached.values()] == [NOON + TTL - early]


async def test_locks_by_a_real_clock() -> None:
    """By a clock that is not pushed, a lease ends when its time is over."""
    locks = InMemoryLocks(InMemoryState(clock=SystemClock()))
    assert await locks.acquire("job", ttl=LOCK_TTL) is not None
    started = time.monotonic()
    assert await locks.acquire("job", ttl=LOCK_TTL, wait=timedelta(seconds=10)) is not None
    assert time.monotonic() - started < 5
    async with locks.hold("job", ttl=TTL, wait=timedelta(seconds=10)) as lease:
        assert lease is not None


async def test_hold_that_blocks_the_loop() -> None:
    """A block that left the event loop no time to cancel it still ends with the loss."""
    clock = FakeClock()
    locks = InMemoryLocks(InMemoryState(clock=clock))

    async def block() -> None:
        async with locks.hold("job", ttl=TTL):
            clock.advance(TTL)

    with pytest.raises(LeaseLostError):
        await block()


async def test_hold_lost_and_cancelled() -> None:
    """A cancellation from outside that meets a loss is not taken for it."""
    clock, begun = FakeClock(), asyncio.Event()
    locks = InMemoryLocks(InMemoryState(clock=clock))

    async def block() -> None:
        async with locks.hold("job", ttl=TTL):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await begun.wait()
    await asyncio.sleep(0)
    clock.advance(TTL)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_reached() -> None:
    """A fake clock wakes those whose moment has come, and no others."""
    clock = FakeClock()
    early, late = (
        asyncio.create_task(clock.reached(NOON + minutes * timedelta(minutes=1)))
        for minutes in (1, 2)
    )
    await asyncio.sleep(0)
    for seconds, done in ((59, (False, False)), (1, (True, False)), (60, (True, True))):
        clock.advance(timedelta(seconds=seconds))
        for _ in range(3):
            await asyncio.sleep(0)
        assert (early.done(), late.done()) == done


async def test_fences_of_a_vanished_holder() -> None:
    """A name whose holder vanished has the next fence."""
    working = in_memory()
    first = await working.locks.acquire("job", ttl=TTL)
    await working.advance(TTL)
    second = await working.locks.acquire("job", ttl=TTL)
    assert first is not None
    assert second is not None
    assert (first.fence, second.fence) == (1, 2)


def _rows(state: InMemoryState) -> str:
    """Return everything that a call could change."""
    outbox = state.outbox
    return repr(
        (
            state.alert_states,
            outbox._live,
            outbox._dead,
            outbox._settled,
            outbox._claims,
            state.leases,
            state.failure_counts,
            state.sessions,
            state.denied,
            state.denied_since,
            state.cached,
            state.scheduled,
            state.runs,
            state.unscheduled,
            state.whole,
            state.repair,
            state.check_requests,
        )
    )


async def test_waiters_of_several_locks() -> None:
    """Who waits is woken once, also when two names are given back at once, and leaves no row."""
    state = InMemoryState()
    locks = InMemoryLocks(state)
    leases = [await locks.acquire(name, ttl=TTL) for name in ("a", "b")]
    waiter = asyncio.create_task(locks.acquire("a", ttl=TTL, wait=TTL))
    while not state.lease_waiters:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.gather(*(locks.release(lease) for lease in leases if lease is not None))
    assert await waiter is not None
    assert not state.lease_waiters


async def test_a_lock_that_cannot_be_given_back() -> None:
    """A block is not failed because its lease could not be given back: that ends by itself."""
    state = InMemoryState()
    locks, reached = InMemoryLocks(state), False
    with state.faults.fail("Locks.release"):
        async with locks.hold("job", ttl=TTL):
            reached = True
    assert reached
    assert await locks.acquire("job", ttl=TTL) is None
