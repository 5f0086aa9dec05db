"""What the contracts of the schedule share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ClaimedCheck, Grid
from urlmon.testing.contracts.stores import WorkingStores

LEASE: Final = timedelta(seconds=30)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)


class Requests:
    """Claims at a location, with a new request id each."""

    def __init__(self, working: WorkingStores, location: str = "default") -> None:
        self._schedule = working.schedule
        self._location = location
        self._number = 0

    async def claim(self, limit: int = 100) -> tuple[ClaimedCheck, ...]:
        self._number += 1
        return await self._schedule.claim(
            request_id=f"r{self._number}", location=self._location, limit=limit, lease=LEASE
        )

    async def one(self) -> ClaimedCheck:
        """Claim the only check that is due."""
        (claimed,) = await self.claim()
        return claimed

    async def none(self) -> bool:
        """Say whether no check is due."""
        return not await self.claim()


@frozen(kw_only=True)
class Scheduled:
    """A monitor on the schedule, with a phase that suits a test.

    Attributes:
        key: Tenant and monitor.
        first: Its first slot, about 30 minutes after it was scheduled, amid a minute.
    """

    working: WorkingStores = field(repr=False)
    key: tuple[TenantId, MonitorId]
    first: datetime

    @classmethod
    async def hourly(
        cls, working: WorkingStores, *, locations: tuple[str, ...] = ("default",)
    ) -> Scheduled:
        """Schedule one that is checked every hour."""
        now = await now_of(working)
        while True:
            key = TenantId.new(), MonitorId.new()
            first = Grid.of(key[1], HOUR).after(now)
            near = abs(first - now - HOUR / 2) <= 2 * MINUTE
            if near and MINUTE / 3 <= (first - now) % MINUTE <= MINUTE * 2 / 3:
                break
        scheduled = cls(working=working, key=key, first=first)
        assert await scheduled.upsert(1, locations=locations)
        return scheduled

    async def upsert(
        self,
        version: int,
        *,
        interval: timedelta = HOUR,
        locations: tuple[str, ...] = ("default",),
        at_once: bool = False,
    ) -> bool:
        """Bring its version in."""
        return await self.working.schedule.upsert(
            *self.key, interval=interval, version=version, locations=locations, at_once=at_once
        )


async def now_of(working: WorkingStores) -> datetime:
    """Return what the store's clock shows, to the millisecond; nothing else may be due."""
    key = TenantId.new(), MonitorId.new()
    await working.schedule.upsert(*key, interval=HOUR, version=1, at_once=True)
    claims = await working.schedule.claim(request_id=f"{key[1]}", limit=100, lease=LEASE)
    (claimed,) = [each for each in claims if each.monitor_id == key[1]]
    await working.schedule.remove(*key)
    return claimed.scheduled_at


@frozen
class Dues:
    """Schedules monitors that are due at once, and then not again for hours.

    Attributes:
        since: When the test began.
    """

    _working: WorkingStores
    since: datetime

    @classmethod
    async def on(cls, working: WorkingStores) -> Dues:
        """Begin, while nothing is due yet."""
        return cls(working, await now_of(working))

    async def add(self) -> tuple[TenantId, MonitorId]:
        """Schedule one, and return its tenant and its id."""
        key = TenantId.new(), MonitorId.new()
        while abs(Grid.of(key[1], DAY).after(self.since) - self.since - DAY / 2) > DAY / 4:
            key = TenantId.new(), MonitorId.new()
        assert await self._working.schedule.upsert(*key, interval=DAY, version=1, at_once=True)
        return key
