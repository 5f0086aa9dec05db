"""What the fakes of the working state have beyond the contracts."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from tests.fixtures.working import in_memory
from tests.fixtures.working_calls import TTL, Calls

from urlmon.errors import LeaseLostError, UnavailableError
from urlmon.testing.clock import NOON, FakeClock
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
        )
    )
