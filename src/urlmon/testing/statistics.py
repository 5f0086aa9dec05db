"""The fake of `CheckStatistics`."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon.domain.periods import Period
from urlmon.domain.rollups import hour_of
from urlmon.domain.statistics import (
    DailyBar,
    DailyUsage,
    FailureGroup,
    Statistics,
    Summary,
    Window,
    check_intervals,
    coverage,
    failure_groups,
    made,
    previous,
    with_previous,
)
from urlmon.domain.sums import statistics_of
from urlmon.domain.windows import days, windows
from urlmon.ports import CheckStatistics
from urlmon.testing.check_results import results_of
from urlmon.testing.state import InMemoryState


class InMemoryCheckStatistics(CheckStatistics):
    """Sums up the check results in the state that the fakes share."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def summary(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], *, period: Period
    ) -> Mapping[MonitorId, Summary]:
        require_tenant(tenant_id)
        check_intervals(intervals)
        async with self._state.faults.call("CheckStatistics.summary"):
            found = results_of(self._state, tenant_id, intervals)
            before = previous(period)
            return with_previous(
                _summaries(found, intervals, period),
                {} if before is None else _summaries(found, intervals, before),
            )

    async def series(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        width: timedelta,
    ) -> Mapping[MonitorId, tuple[Window, ...]]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        parts = windows(period, width)
        async with self._state.faults.call("CheckStatistics.series"):
            return {
                monitor_id: tuple(
                    Window(period=part, statistics=statistics_of(members))
                    for part, members in zip(parts, split(results, parts), strict=True)
                )
                for monitor_id, results in results_of(self._state, tenant_id, monitor_ids).items()
            }

    async def daily(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        first: date,
        last: date,
        zone: str = "UTC",
    ) -> Mapping[MonitorId, tuple[DailyBar, ...]]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        dates = days(first, last, zone)
        parts = [part for _, part in dates]
        async with self._state.faults.call("CheckStatistics.daily"):
            return {
                monitor_id: tuple(
                    DailyBar(day=day, period=part, statistics=statistics_of(members))
                    for (day, part), members in zip(dates, split(results, parts), strict=True)
                )
                for monitor_id, results in results_of(self._state, tenant_id, monitor_ids).items()
            }

    async def failures(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, tuple[FailureGroup, ...]]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("CheckStatistics.failures"):
            return {
                monitor_id: failure_groups(within(results, period))
                for monitor_id, results in results_of(self._state, tenant_id, monitor_ids).items()
            }

    async def by_location(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, Mapping[str, Statistics]]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("CheckStatistics.by_location"):
            answer: dict[MonitorId, Mapping[str, Statistics]] = {}
            for monitor_id, results in results_of(self._state, tenant_id, monitor_ids).items():
                places: dict[str, list[CheckResult]] = {}
                for result in sorted(within(results, period), key=lambda each: each.location):
                    places.setdefault(result.location, []).append(result)
                answer[monitor_id] = {name: statistics_of(each) for name, each in places.items()}
            return answer

    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        require_tenant(tenant_id)
        dates = days(first, last)
        async with self._state.faults.call("CheckStatistics.usage"):
            owned = [each for each in self._state.results.values() if each.tenant_id == tenant_id]
            members = split(owned, [part for _, part in dates])
            return tuple(
                DailyUsage(day=day, checks=len(each))
                for (day, _), each in zip(dates, members, strict=True)
            )


def _summaries(
    found: Mapping[MonitorId, Sequence[CheckResult]],
    intervals: Mapping[MonitorId, timedelta],
    period: Period,
) -> dict[MonitorId, Summary]:
    summaries: dict[MonitorId, Summary] = {}
    for monitor_id, results in found.items():
        members = within(results, period)
        counts = Counter((hour_of(each.scheduled_at), each.location) for each in members)
        summaries[monitor_id] = Summary(
            period=period,
            statistics=statistics_of(members),
            coverage=coverage(made(counts), intervals[monitor_id], period),
        )
    return summaries


def within(results: Iterable[CheckResult], period: Period) -> list[CheckResult]:
    """Return the results of a period."""
    return [result for result in results if result.scheduled_at in period]


def split(results: Iterable[CheckResult], parts: Sequence[Period]) -> list[list[CheckResult]]:
    """Return the results of each of some periods, which are in order."""
    starts = [part.since for part in parts]
    members: list[list[CheckResult]] = [[] for _ in parts]
    for result in results:
        index = bisect_right(starts, result.scheduled_at) - 1
        if index >= 0 and result.scheduled_at in parts[index]:
            members[index].append(result)
    return members
