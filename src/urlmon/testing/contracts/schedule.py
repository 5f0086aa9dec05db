"""The contract of `Schedule`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import Grid, ScheduleEntry
from urlmon.errors import InvalidValueError, LeaseLostError
from urlmon.testing.contracts._checks import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    SECOND,
    Dues,
    Requests,
    Scheduled,
    now_of,
)
from urlmon.testing.contracts._schedule_claim import ClaimingChecksContract
from urlmon.testing.contracts._schedule_places import SchedulingPlacesContract
from urlmon.testing.contracts._schedule_record import RecordingChecksContract
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import IMPOSSIBLE_TEXTS


class ScheduleContract(ClaimingChecksContract, RecordingChecksContract, SchedulingPlacesContract):
    """What every `Schedule` must hold."""

    async def test_once_an_interval(self, working: WorkingStores) -> None:
        """A monitor is due at its slots, an interval apart, however late each check was."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        assert await requests.none()
        await working.advance(HOUR / 2 - 3 * MINUTE)
        assert await requests.none()
        await working.advance(6 * MINUTE)
        for number in range(5):
            await working.advance(number * MINUTE)
            claimed = await requests.one()
            assert claimed.scheduled_at == monitor.first + number * HOUR
            await working.advance(number * SECOND)
            await working.schedule.complete(claimed)
            assert await requests.none()
            await working.advance(HOUR - number * (MINUTE + SECOND) - 6 * MINUTE)
            assert await requests.none()
            await working.advance(6 * MINUTE)

    async def test_outage(self, working: WorkingStores) -> None:
        """After nobody was there for long one check is due, and stands for the present slot."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(10 * HOUR)
        claimed = await requests.one()
        assert claimed.scheduled_at == monitor.first + 9 * HOUR
        await working.schedule.complete(claimed)
        assert await requests.none()
        await working.advance(HOUR)
        assert (await requests.one()).scheduled_at == monitor.first + 10 * HOUR

    async def test_check_that_takes_long(self, working: WorkingStores) -> None:
        """After a check that took several intervals one is made up for at once."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        await working.advance(5 * HOUR)
        await working.schedule.complete(claimed)
        again = await requests.one()
        assert again.scheduled_at == monitor.first + 5 * HOUR
        await working.schedule.complete(again)
        assert await requests.none()

    async def test_lease_longer_than_the_interval(self, working: WorkingStores) -> None:
        """A check that is claimed anew stands for the slot that is present by then."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        assert await working.schedule.renew([claimed], lease=3 * HOUR)
        await working.advance(3 * HOUR)
        again = await requests.one()
        assert (again.scheduled_at, again.attempt) == (monitor.first + 3 * HOUR, 2)

    async def test_due_at_once(self, working: WorkingStores) -> None:
        """A new monitor can be due at once, and is on its grid after that; no other can."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        assert await monitor.upsert(1, at_once=True)
        assert await monitor.upsert(2, at_once=True)
        assert await requests.none()
        await working.schedule.remove(*monitor.key)
        before = await now_of(working)
        assert await monitor.upsert(3, at_once=True)
        claimed = await requests.one()
        assert before <= claimed.scheduled_at <= before + MINUTE
        assert claimed.scheduled_at.microsecond % 1000 == 0
        await working.schedule.complete(claimed)
        await working.advance(HOUR)
        assert (await requests.one()).scheduled_at == monitor.first

    async def test_versions(self, working: WorkingStores) -> None:
        """A newer version replaces an older one, never the other way round."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        assert await monitor.upsert(3, interval=2 * HOUR)
        for interval in (MINUTE, HOUR):
            assert not await monitor.upsert(2, interval=interval)
            assert await monitor.upsert(3, interval=interval)
        await working.advance(2 * HOUR)
        claimed = await requests.one()
        assert claimed.scheduled_at == Grid.of(monitor.key[1], 2 * HOUR).at_or_before(
            claimed.scheduled_at
        )
        assert claimed.version == 3
        assert await monitor.upsert(4, interval=2 * HOUR)
        await working.schedule.complete(claimed)
        await working.advance(2 * HOUR)
        again = await requests.one()
        assert (again.version, again.scheduled_at) == (4, claimed.scheduled_at + 2 * HOUR)

    async def test_changed_interval(self, working: WorkingStores) -> None:
        """A changed interval counts at once for a monitor that waits."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        assert await monitor.upsert(2, interval=MINUTE)
        await working.advance(MINUTE)
        claimed = await requests.one()
        minutely = Grid.of(monitor.key[1], MINUTE)
        assert claimed.scheduled_at == minutely.at_or_before(claimed.scheduled_at)
        await working.schedule.complete(claimed)
        assert await monitor.upsert(3, interval=DAY)
        await working.schedule.complete(claimed)  # a repeat, which moves nothing
        await working.advance(MINUTE)
        assert await requests.none()
        await working.advance(DAY)
        daily = Grid.of(monitor.key[1], DAY)
        again = await requests.one()
        assert again.scheduled_at == daily.at_or_before(again.scheduled_at)

    async def test_interval_changed_while_claimed(self, working: WorkingStores) -> None:
        """A claim outlives a changed interval, and what follows is on the new grid."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        assert await monitor.upsert(2, interval=5 * MINUTE)
        assert await working.schedule.renew([claimed], lease=LEASE) == (claimed,)
        assert await requests.none()
        await working.schedule.complete(claimed)
        await working.advance(5 * MINUTE)
        again = await requests.one()
        grid = Grid.of(monitor.key[1], 5 * MINUTE)
        assert again.scheduled_at == grid.at_or_before(again.scheduled_at)
        assert again.scheduled_at > claimed.scheduled_at

    async def test_interval_changed_while_due(self, working: WorkingStores) -> None:
        """What is due stays due, and no slot is earlier than the one before."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        assert await monitor.upsert(2, interval=DAY)
        claimed = await requests.one()
        assert claimed.scheduled_at >= monitor.first
        await working.schedule.release(claimed, delay=MINUTE)
        assert await monitor.upsert(3, interval=HOUR)
        assert await requests.none()
        await working.advance(MINUTE)
        again = await requests.one()
        assert again.scheduled_at >= claimed.scheduled_at

    async def test_remove(self, working: WorkingStores) -> None:
        """A removed monitor is not due, and no late worker brings it back."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        for _ in range(2):
            await working.schedule.remove(*monitor.key)
            for call in (
                working.schedule.complete(claimed),
                working.schedule.release(claimed, delay=SECOND),
            ):
                assert isinstance(await refusal_of(call), LeaseLostError)
            assert await working.schedule.renew([claimed], lease=LEASE) == ()
            await working.advance(HOUR)
            assert await requests.none()
        assert (await working.schedule.backlog()).scheduled == 0

    async def test_remove_and_upsert(self, working: WorkingStores) -> None:
        """A removed monitor comes back with the version that it had, or a newer one."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        assert await monitor.upsert(5)
        for version in (5, 6):
            await working.schedule.remove(*monitor.key)
            assert not await monitor.upsert(4)
            await working.schedule.remove(*monitor.key)  # what is not there leaves no older version
            assert not await monitor.upsert(4)
            entry = ScheduleEntry(
                tenant_id=monitor.key[0], monitor_id=monitor.key[1], interval=HOUR, version=4
            )
            await working.schedule.seed([entry])
            assert (await working.schedule.backlog()).scheduled == 0
            assert await monitor.upsert(version)
            await working.advance(HOUR)
            claimed = await requests.one()
            assert (claimed.version, claimed.attempt) == (version, 1)

    async def test_claim_of_a_former_life(self, working: WorkingStores) -> None:
        """A claim is lost when its monitor was removed, also when that came back."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        await working.schedule.remove(*monitor.key)
        assert await monitor.upsert(1)
        with pytest.raises(LeaseLostError):
            await working.schedule.complete(claimed)
        assert await working.schedule.renew([claimed], lease=LEASE) == ()

    async def test_seed(self, working: WorkingStores) -> None:
        """Many monitors are scheduled together, spread over their interval, and once."""
        entries = [
            ScheduleEntry(
                tenant_id=TenantId.new(), monitor_id=MonitorId.new(), interval=HOUR, version=2
            )
            for _ in range(200)
        ]
        await working.schedule.seed(entries)
        await asyncio.gather(*(working.schedule.seed(entries) for _ in range(3)))
        older = [evolve(each, version=1, interval=SECOND) for each in entries]
        await working.schedule.seed(older)
        await working.schedule.seed([])
        assert (await working.schedule.backlog()).scheduled == 200
        dues = []
        for _ in range(4):
            await working.advance(HOUR / 4)
            dues.append((await working.schedule.backlog()).due)
        assert dues[-1] == 200
        assert 20 < dues[0] < dues[1] < dues[2] < 180
        claims = await Requests(working).claim(100)
        assert {(each.tenant_id, each.monitor_id) for each in claims} < {
            (each.tenant_id, each.monitor_id) for each in entries
        }
        with pytest.raises(InvalidValueError, match="entries"):
            await working.schedule.seed(entries * 6)

    async def test_tenants(self, working: WorkingStores) -> None:
        """Two tenants' monitors of one id are two."""
        dues = await Dues.on(working)
        key, requests = await dues.add(), Requests(working)
        other = TenantId.new(), key[1]
        await working.schedule.remove(*other)
        claimed = await requests.one()
        assert (claimed.tenant_id, claimed.monitor_id) == key
        assert await working.schedule.upsert(*other, interval=DAY, version=1, at_once=True)
        second = await requests.one()
        assert (second.tenant_id, second.monitor_id) == other
        await working.schedule.remove(*key)
        await working.schedule.complete(second)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        dues = await Dues.on(working)
        schedule, key = working.schedule, await dues.add()
        millisecond, microsecond = timedelta(milliseconds=1), timedelta(microseconds=1)
        claimed = (*await schedule.claim(request_id="x" * 100, limit=100, lease=DAY),)[0]
        await schedule.renew([claimed] * 1_000, lease=10 * millisecond)
        await schedule.release(claimed, delay=DAY)
        assert await schedule.upsert(*key, interval=SECOND, version=2**31 - 1)
        leases = (timedelta(0), -LEASE, 9 * millisecond, DAY + millisecond, LEASE + microsecond)
        refused = [
            *(
                ("interval", schedule.upsert(*key, interval=each, version=1))
                for each in (timedelta(0), -HOUR, DAY + SECOND, SECOND + millisecond)
            ),
            *(("version", schedule.upsert(*key, interval=HOUR, version=v)) for v in (0, 2**31)),
            *(
                ("request_id", schedule.claim(request_id=each))
                for each in ("", "x" * 101, *IMPOSSIBLE_TEXTS)
            ),
            *(("limit", schedule.claim(request_id="r", limit=each)) for each in (0, -1, 101)),
            *(("lease", schedule.claim(request_id="r", lease=each)) for each in leases),
            *(("lease", schedule.renew([claimed], lease=each)) for each in leases),
            ("claims", schedule.renew([claimed] * 1_001, lease=LEASE)),
            *(
                ("delay", schedule.release(claimed, delay=each))
                for each in (-millisecond, DAY + millisecond, microsecond)
            ),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        await assert_nil_refused(
            lambda tenant_id: schedule.upsert(tenant_id, key[1], interval=HOUR, version=1),
            lambda tenant_id: schedule.remove(tenant_id, key[1]),
        )
