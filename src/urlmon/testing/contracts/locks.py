"""The contract of `Locks`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from urlmon.errors import InvalidValueError, LeaseLostError
from urlmon.testing.contracts._leases import (
    HOUR,
    MICROSECOND,
    MILLISECOND,
    PATIENCE_SECONDS,
    SECOND,
    TTL,
    is_held,
    leased,
    let_wait,
    result_of,
    waiter_for,
)
from urlmon.testing.contracts._locks_hold import HoldingContract
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS


class LocksContract(HoldingContract):
    """What every `Locks` must hold."""

    async def test_exclusive(self, working: WorkingStores) -> None:
        """A name is leased to one at a time, and anew after it was given back."""
        lease = await leased(working)
        assert lease.name == "job"
        assert lease.token not in repr(lease)
        assert await working.locks.acquire("job", ttl=TTL) is None
        assert not await is_held(working, "another job")
        await working.locks.release(lease)
        again = await leased(working)
        assert again.token != lease.token

    async def test_at_once(self, working: WorkingStores) -> None:
        """Of many that ask at once, one gets the name."""
        leases = await asyncio.gather(*(working.locks.acquire("job", ttl=TTL) for _ in range(20)))
        assert len([lease for lease in leases if lease is not None]) == 1

    async def test_fence(self, working: WorkingStores) -> None:
        """The fence grows with every acquisition, given back before or not."""
        fences = []
        for number in range(20):
            lease = await leased(working)
            fences.append(lease.fence)
            if number % 2:
                await working.locks.release(lease)
            else:
                await working.advance(TTL)
        assert fences == sorted(set(fences))

    async def test_end(self, working: WorkingStores) -> None:
        """A lease ends by itself, and is then neither renewed nor released for another."""
        lease = await leased(working)
        await working.advance(TTL - SECOND)
        assert await is_held(working)
        await working.advance(SECOND)
        error = await refusal_of(working.locks.renew(lease, ttl=TTL))
        assert isinstance(error, LeaseLostError)
        assert (error.name, error.operation) == ("job", "Locks.renew")
        other = await leased(working)
        await working.locks.release(lease)
        assert await working.locks.acquire("job", ttl=TTL) is None
        with pytest.raises(LeaseLostError):
            await working.locks.renew(lease, ttl=TTL)
        assert (await working.locks.renew(other, ttl=TTL)).token == other.token

    async def test_renew(self, working: WorkingStores) -> None:
        """A renewed lease lasts from now on, longer or shorter, with the same token and fence."""
        lease = await leased(working)
        for ttl in (TTL, 2 * TTL):
            await working.advance(TTL - SECOND)
            renewed = await working.locks.renew(lease, ttl=ttl)
            assert renewed == evolve(lease, expires_at=renewed.expires_at)
            assert renewed.expires_at > lease.expires_at
            assert (await working.locks.renew(lease, ttl=ttl)).fence == lease.fence
        await working.advance(2 * TTL - SECOND)
        assert await is_held(working)
        await working.locks.renew(lease, ttl=10 * MILLISECOND)
        await working.advance(10 * MILLISECOND)
        assert not await is_held(working)

    async def test_remaining(self, working: WorkingStores) -> None:
        """What is left of a lease is known without the store, and never more than there is."""
        locks = working.locks
        lease = await leased(working)
        assert TTL - SECOND < locks.remaining(lease) <= TTL
        await working.advance(TTL - 5 * SECOND)
        assert 4 * SECOND < locks.remaining(lease) <= 5 * SECOND
        renewed = await locks.renew(lease, ttl=TTL)
        assert TTL - SECOND < locks.remaining(renewed) <= TTL
        assert locks.remaining(lease) <= 5 * SECOND
        await working.advance(TTL)
        assert locks.remaining(lease) == locks.remaining(renewed) == timedelta(0)

    async def test_release(self, working: WorkingStores) -> None:
        """A lease may be given back again and again, and is over then."""
        lease = await leased(working)
        for _ in range(2):
            await working.locks.release(lease)
            assert not await is_held(working)
        with pytest.raises(LeaseLostError):
            await working.locks.renew(lease, ttl=TTL)
        other = await leased(working)
        await working.locks.release(lease)
        assert await is_held(working)
        await working.locks.release(other)

    async def test_forged(self, working: WorkingStores) -> None:
        """Only the token holds the lease."""
        lease = await leased(working)
        for token in ("", "0", *HOSTILE_TEXTS):
            forged = evolve(lease, token=token)
            await working.locks.release(forged)
            with pytest.raises(LeaseLostError):
                await working.locks.renew(forged, ttl=TTL)
            nobodys = evolve(forged, name="nobody's")
            await working.locks.release(nobodys)
            with pytest.raises(LeaseLostError):
                await working.locks.renew(nobodys, ttl=TTL)
        assert await is_held(working)

    async def test_waiter_is_woken(self, working: WorkingStores) -> None:
        """Who waits gets the name when it is given back, without any time passing."""
        lease = await leased(working)
        waiter = waiter_for(working, wait=HOUR)
        await let_wait(working)
        assert not waiter.done()
        await working.locks.release(lease)
        got = await result_of(waiter)
        assert got is not None
        assert got.fence > lease.fence
        assert await is_held(working)

    async def test_waiters_in_turn(self, working: WorkingStores) -> None:
        """All who wait get the name, one after the other."""
        fences, held = [(await leased(working)).fence], 0

        async def work() -> None:
            nonlocal held
            lease = await working.locks.acquire("job", ttl=HOUR, wait=HOUR)
            assert lease is not None
            held += 1
            assert held == 1
            fences.append(lease.fence)
            await asyncio.sleep(0)
            held -= 1
            await working.locks.release(lease)

        workers = [asyncio.create_task(work()) for _ in range(8)]
        await let_wait(working)
        await working.advance(TTL)  # the first holder has vanished
        await asyncio.wait_for(asyncio.gather(*workers), PATIENCE_SECONDS)
        assert len(fences) == 9
        assert fences == sorted(set(fences))

    async def test_waiter_gives_up(self, working: WorkingStores) -> None:
        """Who waited in vain for all of the time gets None, and has left nothing."""
        lease = await leased(working, ttl=HOUR)
        waiter = waiter_for(working, wait=TTL)
        await let_wait(working)
        await working.advance(TTL - SECOND)
        await let_wait(working)
        assert not waiter.done()
        await working.advance(SECOND)
        assert await result_of(waiter) is None
        await working.locks.release(lease)
        assert not await is_held(working)

    async def test_cancelled_waiter(self, working: WorkingStores) -> None:
        """Who was cancelled while waiting has left nothing, and no task."""
        lease, before = await leased(working), asyncio.all_tasks()
        waiter = waiter_for(working, wait=HOUR)
        await let_wait(working)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await result_of(waiter)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        await working.locks.release(lease)
        assert not await is_held(working)

    async def test_cancelled_acquire(self, working: WorkingStores) -> None:
        """Whenever an acquisition is cancelled, the name is free after `ttl`."""
        for turns in range(20):
            task = asyncio.create_task(working.locks.acquire("job", ttl=TTL))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await working.advance(TTL)
            assert not await is_held(working)

    async def test_names(self, working: WorkingStores) -> None:
        """Names are text of any kind, and differ however alike they look."""
        names = [
            *HOSTILE_TEXTS,
            *("a", "A", "a:b", "a%3Ab", "{a}", "{a}b", "}", "{}", "a b", "a+b", "a%20b", "*"),
            "\U0001f525" * 200,
        ]
        leases = [await leased(working, name) for name in names]
        assert [lease.name for lease in leases] == names
        for lease in leases:
            assert await is_held(working, lease.name)
            await working.locks.release(lease)
            assert not await is_held(working, lease.name)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        locks = working.locks
        assert await locks.acquire("shortest", ttl=10 * MILLISECOND) is not None
        lease = await leased(working, "longest", ttl=24 * HOUR)
        await locks.renew(lease, ttl=24 * HOUR)
        assert await locks.acquire("longest wait", ttl=TTL, wait=HOUR) is not None
        assert await locks.acquire("shortest wait", ttl=TTL, wait=MICROSECOND) is not None
        ttls = (timedelta(0), -TTL, 9 * MILLISECOND, 24 * HOUR + MILLISECOND, SECOND + MICROSECOND)
        refused = [
            *(("name", locks.acquire(text, ttl=TTL)) for text in ("", "x" * 201)),
            *(("name", locks.acquire(text, ttl=TTL)) for text in IMPOSSIBLE_TEXTS),
            *(("ttl", locks.acquire("job", ttl=ttl)) for ttl in ttls),
            *(("ttl", locks.renew(lease, ttl=ttl)) for ttl in ttls),
            *(
                ("wait", locks.acquire("job", ttl=TTL, wait=wait))
                for wait in (-MICROSECOND, HOUR + MICROSECOND)
            ),
            ("name", locks.hold("", ttl=TTL).__aenter__()),
            ("ttl", locks.hold("job", ttl=timedelta(0)).__aenter__()),
            ("wait", locks.hold("job", ttl=TTL, wait=-SECOND).__aenter__()),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        assert not await is_held(working)
