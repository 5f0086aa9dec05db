"""The contract of `FailureCounters`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from attrs import evolve

from urlmon.domain.counters import NO_COUNT, FailureCount, count_ttl
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alert_states import EARLIEST, LATEST, MICROSECOND
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TTL = count_ttl(MINUTE, 3)


def at(minute: int) -> datetime:
    """Return the instant of a check."""
    return NOON + minute * MINUTE


class Counter:
    """A monitor of a tenant, both new, whose checks are counted."""

    def __init__(self, working: WorkingStores) -> None:
        self.counters = working.counters
        self.key = TenantId.new(), MonitorId.new()

    async def fail(self, minute: int, *, ttl: timedelta = TTL) -> FailureCount:
        """Record a failure."""
        return await self.record(at(minute), success=False, ttl=ttl)

    async def succeed(self, minute: int) -> FailureCount:
        """Record a success."""
        return await self.record(at(minute), success=True)

    async def record(
        self, scheduled_at: datetime, *, success: bool, ttl: timedelta = TTL
    ) -> FailureCount:
        """Record a check; what is answered is what is there."""
        count = await self.counters.record(
            *self.key, scheduled_at=scheduled_at, success=success, ttl=ttl
        )
        assert await self.counters.get(*self.key) == count
        return count

    async def reset(self, minute: int, *, ttl: timedelta = TTL) -> FailureCount:
        """Reset the count; what is answered is what is there."""
        count = await self.counters.reset(*self.key, until=at(minute), ttl=ttl)
        assert await self.counters.get(*self.key) == count
        return count


class FailureCountersContract:
    """What every `FailureCounters` must hold."""

    async def test_in_a_row(self, working: WorkingStores) -> None:
        """Failures count up, a success begins at 0 again, and knowing nothing is not 0."""
        counter = Counter(working)
        assert await counter.counters.get(*counter.key) == NO_COUNT
        for minute in range(30):
            assert await counter.fail(minute) == FailureCount(
                failures=minute + 1, watermark=at(minute)
            )
        assert await counter.succeed(30) == FailureCount(failures=0, watermark=at(30))
        assert await counter.succeed(31) == FailureCount(failures=0, watermark=at(31))
        assert (await counter.fail(32)).failures == 1

    async def test_repeated(self, working: WorkingStores) -> None:
        """A check that is recorded again changes nothing, whatever it says now."""
        counter = Counter(working)
        first = await counter.fail(0)
        for _ in range(3):
            assert await counter.fail(0) == first
        assert await counter.succeed(0) == first
        assert (await counter.fail(1)).failures == 2

    async def test_late(self, working: WorkingStores) -> None:
        """A check that arrives after a later one changes nothing."""
        counter = Counter(working)
        known = await counter.fail(5)
        for minute in (4, 0, -10):
            assert await counter.fail(minute) == known
            assert await counter.succeed(minute) == known
        known = await counter.succeed(6)
        assert await counter.fail(5) == known

    async def test_at_once(self, working: WorkingStores) -> None:
        """Of many that record one check at once it counts once."""
        counter = Counter(working)
        record = counter.counters.record
        await asyncio.gather(
            *(record(*counter.key, scheduled_at=at(0), success=False, ttl=TTL) for _ in range(20))
        )
        assert (await counter.counters.get(*counter.key)).failures == 1

    async def test_reset(self, working: WorkingStores) -> None:
        """A reset forgets the failures up to its instant, also those that come later."""
        counter = Counter(working)
        for minute in range(3):
            await counter.fail(minute)
        for _ in range(2):
            assert await counter.reset(3) == FailureCount(failures=0, watermark=at(3))
        for minute in (2, 3):
            assert (await counter.fail(minute)).failures == 0
        assert (await counter.fail(4)).failures == 1
        assert await counter.reset(3) == FailureCount(failures=1, watermark=at(4))
        assert await counter.reset(4) == FailureCount(failures=0, watermark=at(4))

    async def test_reset_of_nothing(self, working: WorkingStores) -> None:
        """A reset where nothing was known keeps late failures away, too."""
        counter = Counter(working)
        assert await counter.reset(3) == FailureCount(failures=0, watermark=at(3))
        assert (await counter.fail(2)).failures == 0
        assert (await counter.fail(4)).failures == 1

    async def test_seed(self, working: WorkingStores) -> None:
        """A count is seeded where there is none, and counted on; one that is there stays."""
        counter, seeded = Counter(working), FailureCount(failures=5, watermark=at(3))
        for _ in range(2):
            assert await counter.counters.seed(*counter.key, count=seeded, ttl=TTL)
            assert await counter.counters.get(*counter.key) == seeded
        other = evolve(seeded, failures=6)
        assert not await counter.counters.seed(*counter.key, count=other, ttl=TTL)
        assert (await counter.fail(3)).failures == 5
        assert (await counter.fail(4)).failures == 6
        assert not await counter.counters.seed(*counter.key, count=seeded, ttl=TTL)
        await working.advance(TTL)
        assert await counter.counters.seed(*counter.key, count=seeded, ttl=2 * SECOND)
        await working.advance(SECOND)
        assert await counter.counters.get(*counter.key) == seeded
        await working.advance(SECOND)
        assert await counter.counters.get(*counter.key) == NO_COUNT
        for count in (
            FailureCount(watermark=EARLIEST),
            FailureCount(failures=2**31 - 1, watermark=LATEST),
        ):
            counter = Counter(working)
            assert await counter.counters.seed(*counter.key, count=count, ttl=TTL)
            assert await counter.counters.get(*counter.key) == count

    async def test_end(self, working: WorkingStores) -> None:
        """A count ends when its time has passed since it last changed."""
        counter = Counter(working)
        for minute in range(5):
            assert (await counter.fail(minute)).failures == minute + 1
            await working.advance(TTL - SECOND)
        await counter.fail(4)  # changes nothing, and so does not put the end off
        await counter.reset(0)  # likewise
        await working.advance(SECOND)
        assert await counter.counters.get(*counter.key) == NO_COUNT
        assert await counter.counters.get_many(counter.key[0], [counter.key[1]]) == {
            counter.key[1]: NO_COUNT
        }
        assert await counter.fail(0) == FailureCount(failures=1, watermark=at(0))
        await counter.reset(0, ttl=2 * TTL)
        await working.advance(2 * TTL - SECOND)
        assert (await counter.counters.get(*counter.key)).watermark == at(0)
        await working.advance(SECOND)
        assert await counter.counters.get(*counter.key) == NO_COUNT
        await counter.fail(0)
        await counter.fail(1, ttl=SECOND)  # the newest says how long
        await working.advance(SECOND)
        assert await counter.counters.get(*counter.key) == NO_COUNT

    async def test_ttl(self, working: WorkingStores) -> None:
        """Kept for what `count_ttl` says, a count reaches its threshold with checks to spare."""
        for interval, threshold in ((SECOND, 1), (timedelta(days=1), 20)):
            counter, ttl = Counter(working), count_ttl(interval, threshold)
            for number in range(threshold):
                assert (await counter.fail(number, ttl=ttl)).failures == number + 1
                await working.advance(interval)
            assert (await counter.counters.get(*counter.key)).failures == threshold

    async def test_instants_come_back_exactly(self, working: WorkingStores) -> None:
        """Every microsecond of two centuries survives, and the zone is UTC."""
        zone = timezone(timedelta(hours=5, minutes=45))
        for instant in (EARLIEST, NOON + MICROSECOND, NOON + 999_999 * MICROSECOND, LATEST):
            counter = Counter(working)
            await counter.record(instant.astimezone(zone), success=False)
            for read in (
                await counter.counters.get(*counter.key),
                await counter.counters.reset(*counter.key, until=instant, ttl=TTL),
            ):
                assert read.watermark is not None
                assert (read.watermark, read.watermark.tzinfo) == (instant, UTC)

    async def test_get_many(self, working: WorkingStores) -> None:
        """Every monitor asked for is in the answer, once, up to 1,000 of them."""
        counter, get_many = Counter(working), working.counters.get_many
        tenant_id, monitor_id = counter.key
        count = await counter.fail(0)
        unknown = [MonitorId.new() for _ in range(998)]
        counts = await get_many(tenant_id, [*unknown, monitor_id, monitor_id])
        assert counts == dict.fromkeys(unknown, NO_COUNT) | {monitor_id: count}
        assert await get_many(tenant_id, []) == {}
        error = await refusal_of(get_many(tenant_id, [monitor_id] * 1_001))
        assert isinstance(error, InvalidValueError)
        assert error.field == "monitor_ids"

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        counter, naive = Counter(working), NOON.replace(tzinfo=None)
        zero = FailureCount(watermark=NOON)
        for ttl in (SECOND, timedelta(days=30)):
            await Counter(working).fail(0, ttl=ttl)
            await Counter(working).reset(0, ttl=ttl)
        wrong = (timedelta(0), -TTL, SECOND - MICROSECOND, SECOND + MICROSECOND)
        refused = [
            ("scheduled_at", counter.record(naive, success=False)),
            ("until", counter.counters.reset(*counter.key, until=naive, ttl=TTL)),
            *(("ttl", counter.fail(0, ttl=ttl)) for ttl in (*wrong, timedelta(days=31))),
            *(("ttl", counter.reset(0, ttl=ttl)) for ttl in (*wrong, timedelta(days=31))),
            *(
                ("ttl", counter.counters.seed(*counter.key, count=zero, ttl=ttl))
                for ttl in (*wrong, timedelta(days=31))
            ),
            ("count", counter.counters.seed(*counter.key, count=NO_COUNT, ttl=TTL)),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        assert await counter.counters.get(*counter.key) == NO_COUNT

    async def test_isolation(self, working: WorkingStores) -> None:
        """To another tenant a monitor is unknown, and what they do to it is not seen."""
        counter, stranger = Counter(working), TenantId.new()
        count = await counter.fail(0)
        theirs = stranger, counter.key[1]
        assert await counter.counters.get(*theirs) == NO_COUNT
        assert await counter.counters.get_many(stranger, [theirs[1]]) == {theirs[1]: NO_COUNT}
        await counter.counters.record(*theirs, scheduled_at=at(9), success=True, ttl=TTL)
        await counter.counters.reset(*theirs, until=at(10), ttl=TTL)
        others = FailureCount(failures=7, watermark=at(10))
        assert not await counter.counters.seed(*counter.key, count=others, ttl=TTL)
        assert await counter.counters.get(*counter.key) == count

    async def test_nil_tenant(self, working: WorkingStores) -> None:
        """The nil tenant is refused by every method."""
        counters, monitor_id = working.counters, MonitorId.new()
        seeded = FailureCount(watermark=NOON)
        await assert_nil_refused(
            lambda nil: counters.record(nil, monitor_id, scheduled_at=NOON, success=False, ttl=TTL),
            lambda nil: counters.get(nil, monitor_id),
            lambda nil: counters.get_many(nil, [monitor_id]),
            lambda nil: counters.get_many(nil, []),
            lambda nil: counters.reset(nil, monitor_id, until=NOON, ttl=TTL),
            lambda nil: counters.seed(nil, monitor_id, count=seeded, ttl=TTL),
        )
