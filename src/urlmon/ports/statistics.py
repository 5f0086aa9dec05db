"""The port for what check results amount to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import (
    DailyBar,
    DailyUsage,
    FailureGroup,
    Statistics,
    Summary,
    Window,
)


class CheckStatistics(Protocol):
    """Sums up check results, by the rules of `urlmon.domain.statistics`.

    Each call answers for one or up to 1,000 monitors of a tenant; results of other tenants are
    never counted.  Every monitor asked for is in the answer, in the order asked, with counts of 0
    and an uptime of None where it has no results, or is unknown.  Every call can raise
    `UnavailableError`, and may then be made again, and `InvalidValueError`, before anything is
    sent, for a `tenant_id` that is no `TenantId` and for more than 1,000 monitors.
    """

    __slots__ = ()

    @abstractmethod
    async def summary(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], *, period: Period
    ) -> Mapping[MonitorId, Summary]:
        """Return uptime, coverage and response times of a period.

        Args:
            tenant_id: The owner.
            intervals: The monitors, each with the time expected between its checks.
            period: Which results, by `scheduled_at`.

        Raises:
            InvalidValueError: An interval is not positive.
        """

    @abstractmethod
    async def series(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        width: timedelta,
    ) -> Mapping[MonitorId, tuple[Window, ...]]:
        """Return a period in windows (`urlmon.domain.statistics.windows`), oldest first.

        Windows without results are there too.

        Raises:
            InvalidValueError: The width is not positive or gives more than 2,000 windows.
        """

    @abstractmethod
    async def daily(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        first: date,
        last: date,
        zone: str = "UTC",
    ) -> Mapping[MonitorId, tuple[DailyBar, ...]]:
        """Return the days from `first` to `last`, both included, on a zone's calendar.

        Raises:
            InvalidValueError: The zone is unknown, there are not 1 to 2,000 days, or they reach out
                of the years 2000 to 2199.
        """

    @abstractmethod
    async def failures(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, tuple[FailureGroup, ...]]:
        """Return the failures of a period by kind, most frequent first, then by kind."""

    @abstractmethod
    async def by_location(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, Mapping[str, Statistics]]:
        """Return a period for each location that has results, in order of their names."""

    @abstractmethod
    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        """Return how many results the tenant has for each UTC day from `first` to `last`.

        Raises:
            InvalidValueError: There are not 1 to 2,000 days, or they reach out of the years 2000 to
                2199.
        """
