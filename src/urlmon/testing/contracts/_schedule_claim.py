"""What every `Schedule.claim` must hold, and what ends a claim."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from functools import partial

import pytest
from attrs import evolve

from urlmon.domain.scheduling import ScheduleBacklog
from urlmon.errors import LeaseLostError
from urlmon.testing.contracts._checks import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    SECOND,
    Dues,
    Requests,
    Scheduled,
)
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS


class ClaimingChecksContract:
    """What every `Schedule.claim` must hold, and what ends a claim."""

    async def test_claim(self, working: WorkingStores) -> None:
        """A check that is due is leased to one, and when the lease has ended to another."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        first = await requests.one()
        assert (first.tenant_id, first.monitor_id) == monitor.key
        assert (first.scheduled_at, first.attempt, first.version) == (monitor.first, 1, 1)
        assert first.scheduled_at.tzinfo is first.leased_until.tzinfo is UTC
        assert first.token not in repr(first)
        await working.advance(LEASE - SECOND)
        assert await requests.none()
        await working.advance(SECOND)
        second = await requests.one()
        assert second == evolve(first, attempt=2, token=second.token)
        assert second.token != first.token
        assert second.leased_until >= first.leased_until + LEASE

    async def test_lost(self, working: WorkingStores) -> None:
        """A claim that another has replaced can end nothing, and the other's still holds."""
        dues = await Dues.on(working)
        await dues.add()
        requests, schedule = Requests(working), working.schedule
        old = await requests.one()
        await working.advance(LEASE)
        new = await requests.one()
        for _ in range(2):
            for call, operation in (
                (schedule.complete(old), "Schedule.complete"),
                (schedule.release(old, delay=SECOND), "Schedule.release"),
            ):
                error = await refusal_of(call)
                assert isinstance(error, LeaseLostError)
                assert error.operation == operation
                assert str(old.monitor_id) in error.name
            assert await schedule.renew([old, new], lease=LEASE) == (new,)
        await schedule.complete(new)

    async def test_late(self, working: WorkingStores) -> None:
        """A claim whose lease has ended still holds while nobody has claimed anew."""
        dues = await Dues.on(working)
        for _ in range(3):
            await dues.add()
        requests = Requests(working)
        renewed, completed, released = await requests.claim()
        await working.advance(2 * LEASE)
        assert await working.schedule.renew([renewed], lease=LEASE) == (renewed,)
        await working.schedule.complete(completed)
        await working.schedule.release(released, delay=SECOND)
        assert await requests.none()

    async def test_complete_and_release(self, working: WorkingStores) -> None:
        """A claim is ended in one way, which may be repeated, and in no other after that."""
        dues = await Dues.on(working)
        await dues.add()
        requests, schedule = Requests(working), working.schedule
        released = await requests.one()
        for _ in range(2):
            await schedule.release(released, delay=MINUTE)
            await working.advance(MINUTE / 2 - SECOND)
            assert await requests.none()
        with pytest.raises(LeaseLostError):
            await schedule.complete(released)
        await working.advance(2 * SECOND)  # the repeat has not put it off any further
        completed = await requests.one()
        assert completed == evolve(released, attempt=2, token=completed.token)
        for _ in range(2):
            assert await schedule.complete(completed) is None
        with pytest.raises(LeaseLostError):
            await schedule.release(completed, delay=SECOND)
        assert await schedule.renew([released, completed], lease=LEASE) == ()
        await working.advance(DAY)
        again = await requests.one()
        assert again.attempt == 1
        await schedule.release(again, delay=timedelta(0))
        assert (await requests.one()).attempt == 2

    async def test_renew(self, working: WorkingStores) -> None:
        """A renewed lease lasts from now on, longer or shorter; lost ones are left out."""
        dues = await Dues.on(working)
        for _ in range(5):
            await dues.add()
        requests, schedule = Requests(working), working.schedule
        claims = await requests.claim()
        await schedule.complete(claims[1])
        await schedule.remove(claims[2].tenant_id, claims[2].monitor_id)
        await working.advance(LEASE - SECOND)
        held = await schedule.renew(claims, lease=HOUR)
        assert held == (claims[0], claims[3], claims[4])
        for renewed, claimed in zip(held, (claims[0], claims[3], claims[4]), strict=True):
            assert renewed.leased_until >= claimed.leased_until + HOUR - 2 * SECOND
        assert set(claims) - set(held) == {claims[1], claims[2]}
        await working.advance(HOUR - SECOND)
        assert await requests.none()
        assert await schedule.renew(held[:1], lease=SECOND) == held[:1]
        assert await schedule.renew([], lease=SECOND) == ()
        await working.advance(SECOND)
        assert len(await requests.claim()) == 3

    async def test_forged(self, working: WorkingStores) -> None:
        """Only the token holds a claim, before it is ended and after."""
        dues = await Dues.on(working)
        await dues.add()
        (waiting, requests) = await dues.add(), Requests(working)
        claims, schedule = await requests.claim(), working.schedule
        (claimed,) = [each for each in claims if each.monitor_id != waiting[1]]
        (other,) = [each for each in claims if each.monitor_id == waiting[1]]
        await schedule.complete(other)
        await schedule.remove(*waiting)
        await working.schedule.upsert(*waiting, interval=DAY, version=1)
        for token in ("", "-", " ", "0", "x y", "None", *HOSTILE_TEXTS):
            for forged in (evolve(claimed, token=token), evolve(other, token=token), other):
                for call in (schedule.complete(forged), schedule.release(forged, delay=SECOND)):
                    assert isinstance(await refusal_of(call), LeaseLostError)
                assert await schedule.renew([forged], lease=LEASE) == ()
        stolen = evolve(claimed, tenant_id=other.tenant_id)
        assert isinstance(await refusal_of(schedule.complete(stolen)), LeaseLostError)
        await schedule.complete(claimed)

    async def test_longest_first(self, working: WorkingStores) -> None:
        """What has been due for longest is claimed first, wherever it is kept."""
        dues = await Dues.on(working)
        requests, expected = Requests(working), []
        for _ in range(40):
            expected.append((await dues.add())[1])
            await working.advance(SECOND)
        given = []
        for limit in (1, 2, 5, 30, 30):
            claims = await requests.claim(limit)
            assert len(claims) <= limit
            given += [each.monitor_id for each in claims]
        assert given == expected

    async def test_limit(self, working: WorkingStores) -> None:
        """By default a claim gives ten, for thirty seconds."""
        dues = await Dues.on(working)
        for _ in range(12):
            await dues.add()
        assert len(await working.schedule.claim(request_id="1")) == 10
        assert len(await working.schedule.claim(request_id="2")) == 2
        await working.advance(LEASE)
        assert len(await working.schedule.claim(request_id="3", limit=100)) == 12

    async def test_repeated_claim(self, working: WorkingStores) -> None:
        """The same request gets the same again, less what it no longer holds, and no others."""
        dues = await Dues.on(working)
        for _ in range(20):
            await dues.add()
        requests, schedule = Requests(working), working.schedule
        again = partial(schedule.claim, request_id="again", limit=7, lease=LEASE)
        first = await again()
        assert len(first) == 7
        assert await again() == first
        assert await again(limit=100) == first
        await working.advance(LEASE - SECOND)
        assert await again() == first
        await schedule.complete(first[0])
        await schedule.release(first[2], delay=timedelta(0))
        await schedule.remove(first[3].tenant_id, first[3].monitor_id)
        rest = tuple(first[each] for each in (1, 4, 5, 6))
        assert await again() == rest
        assert len(await requests.claim()) == 14
        assert await again() == rest
        (renewed,) = await schedule.renew(first[1:2], lease=HOUR)
        assert (await again())[0].leased_until == renewed.leased_until
        await working.advance(SECOND)
        anew = await again()
        assert set(anew).isdisjoint(first)
        assert {each.monitor_id for each in anew} == {each.monitor_id for each in rest[1:]}

    async def test_repeated_claim_of_nothing(self, working: WorkingStores) -> None:
        """A request that got nothing is not remembered."""
        dues = await Dues.on(working)
        again = partial(working.schedule.claim, request_id="again")
        assert await again() == ()
        await dues.add()
        assert len(await again()) == 1

    async def test_at_once(self, working: WorkingStores) -> None:
        """Of many that claim at once, each gets its own."""
        dues = await Dues.on(working)
        keys = [await dues.add() for _ in range(60)]
        claims = await asyncio.gather(
            *(working.schedule.claim(request_id=f"{each}", limit=30) for each in range(10))
        )
        given = [each.monitor_id for claimed in claims for each in claimed]
        assert len(given) == len(set(given))
        given += [each.monitor_id for each in await Requests(working).claim()]
        assert sorted(given) == sorted(monitor_id for _, monitor_id in keys)

    async def test_one_request_at_once(self, working: WorkingStores) -> None:
        """The same request sent many times at once claims once."""
        dues = await Dues.on(working)
        for _ in range(10):
            await dues.add()
        claims = await asyncio.gather(
            *(working.schedule.claim(request_id="same", limit=4) for _ in range(10))
        )
        assert len(set(claims)) == 1
        assert len(claims[0]) == 4

    async def test_request_ids(self, working: WorkingStores) -> None:
        """Request ids are text of any kind, and differ however alike they look."""
        dues = await Dues.on(working)
        ids = [*HOSTILE_TEXTS, "a", "A", "a:b", "a%3Ab", "{a}", "a b", "a\nb", "\U0001f525" * 100]
        for _ in ids:
            await dues.add()
        claims = [await working.schedule.claim(request_id=each, limit=1) for each in ids]
        assert len({claimed.monitor_id for (claimed,) in claims}) == len(ids)
        assert claims == [await working.schedule.claim(request_id=each, limit=1) for each in ids]

    async def test_backlog(self, working: WorkingStores) -> None:
        """The backlog counts what is scheduled and what is due, and says for how long."""
        dues = await Dues.on(working)
        nothing = ScheduleBacklog(scheduled=0, due=0, lateness=timedelta(0))
        assert await working.schedule.backlog() == nothing
        await Scheduled.hourly(working)
        assert await working.schedule.backlog() == evolve(nothing, scheduled=1)
        requests, late = Requests(working), await dues.add()
        await working.advance(MINUTE)
        await dues.add()
        backlog = await working.schedule.backlog()
        assert (backlog.scheduled, backlog.due) == (3, 2)
        assert MINUTE <= backlog.lateness < 2 * MINUTE
        (claimed,) = await requests.claim(limit=1)
        assert claimed.monitor_id == late[1]
        backlog = await working.schedule.backlog()
        assert (backlog.scheduled, backlog.due) == (3, 1)
        assert backlog.lateness < MINUTE
        await requests.claim()
        assert await working.schedule.backlog() == evolve(nothing, scheduled=3)
