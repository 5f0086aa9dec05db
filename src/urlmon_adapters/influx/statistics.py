"""What check results in InfluxDB amount to, from the results themselves."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, TypeVar

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.periods import Period
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
from urlmon.domain.windows import days, windows
from urlmon.ports import CheckStatistics
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._lines import instant, microseconds
from urlmon_adapters.influx._points import TIMES, Collector, Points, sum_up
from urlmon_adapters.influx._queries import TAGS, batches, check_scope, params, select
from urlmon_adapters.influx._rows import check_owner, check_tenant

_SUMMARY: Final = "CheckStatistics.summary"
_SERIES: Final = "CheckStatistics.series"
_DAILY: Final = "CheckStatistics.daily"
_FAILURES: Final = "CheckStatistics.failures"
_BY_LOCATION: Final = "CheckStatistics.by_location"
_USAGE: Final = "CheckStatistics.usage"

_BY_TAGS: Final = f"GROUP BY {TAGS}"
_ERROR: Final = '"error_kind", "error_message"'
_FAILED: Final = ("\"success\" = 'false'",)
_COUNT: Final = 'count("checked_at_us")'
_BY_DAY: Final = 'GROUP BY time(1d), "tenant_id" fill(none)'
_FAILING_BY_DAY: Final = 'GROUP BY time(1d), "tenant_id", "monitor_id" fill(none)'
_HOUR_US: Final = 3_600_000_000

T = TypeVar("T")


class InfluxCheckStatistics(CheckStatistics):
    """Statistics over a bucket of InfluxDB."""

    __slots__ = ("_influx",)

    def __init__(self, influx: Influx) -> None:
        self._influx = influx

    async def summary(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], *, period: Period
    ) -> Mapping[MonitorId, Summary]:
        require_tenant(tenant_id)
        check_intervals(intervals)

        def summary_of(part: Period) -> Callable[[MonitorId, Mapping[str, Points]], Summary]:
            def answer(monitor_id: MonitorId, locations: Mapping[str, Points]) -> Summary:
                (statistics,) = sum_up(locations.values(), _edges([part]))
                return Summary(
                    period=part,
                    statistics=statistics,
                    coverage=coverage(_made(locations), intervals[monitor_id], part),
                )

            return answer

        asked, before = tuple(intervals), previous(period)
        found = await self._each(_SUMMARY, tenant_id, asked, period, summary_of(period))
        if before is None:
            return found
        then = await self._each(_SUMMARY, tenant_id, asked, before, summary_of(before))
        return with_previous(found, then)

    async def series(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        width: timedelta,
    ) -> Mapping[MonitorId, tuple[Window, ...]]:
        asked = check_scope(tenant_id, monitor_ids)
        periods = windows(period, width)
        edges = _edges(periods)

        def windows_of(_: MonitorId, locations: Mapping[str, Points]) -> tuple[Window, ...]:
            sums = sum_up(locations.values(), edges)
            return tuple(
                Window(period=each, statistics=statistics)
                for each, statistics in zip(periods, sums, strict=True)
            )

        return await self._each(_SERIES, tenant_id, asked, period, windows_of)

    async def daily(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        first: date,
        last: date,
        zone: str = "UTC",
    ) -> Mapping[MonitorId, tuple[DailyBar, ...]]:
        asked = check_scope(tenant_id, monitor_ids)
        calendar = days(first, last, zone)
        if not calendar:  # one day, which the zone left out
            return dict.fromkeys(asked, ())
        edges = _edges([period for _, period in calendar])
        whole = Period(since=calendar[0][1].since, until=calendar[-1][1].until)

        def bars_of(_: MonitorId, locations: Mapping[str, Points]) -> tuple[DailyBar, ...]:
            sums = sum_up(locations.values(), edges)
            return tuple(
                DailyBar(day=day, period=period, statistics=statistics)
                for (day, period), statistics in zip(calendar, sums, strict=True)
            )

        return await self._each(_DAILY, tenant_id, asked, whole, bars_of)

    async def failures(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, tuple[FailureGroup, ...]]:
        asked = check_scope(tenant_id, monitor_ids)
        failed: dict[MonitorId, list[CheckResult]] = {each: [] for each in asked}

        def take(rows: Rows) -> None:
            monitor_id = check_owner(rows.tags, tenant_id, failed)
            failed[monitor_id] += _failures(rows, tenant_id, monitor_id)

        for some in batches(asked):
            text = select(_ERROR, monitors=len(some), conditions=_FAILED, then=_BY_TAGS)
            values = params(tenant_id, some, *_edges([period]))
            await self._influx.query(_FAILURES, text, values, take=take)
        return {each: failure_groups(results) for each, results in failed.items()}

    async def by_location(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, Mapping[str, Statistics]]:
        asked = check_scope(tenant_id, monitor_ids)
        edges = _edges([period])

        def locations_of(_: MonitorId, locations: Mapping[str, Points]) -> dict[str, Statistics]:
            return {name: sum_up([points], edges)[0] for name, points in locations.items()}

        return await self._each(_BY_LOCATION, tenant_id, asked, period, locations_of)

    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        require_tenant(tenant_id)
        calendar = days(first, last)
        whole = Period(since=calendar[0][1].since, until=calendar[-1][1].until)
        points: Counter[int] = Counter()
        failing: defaultdict[int, list[MonitorId]] = defaultdict(list)

        def take_counts(rows: Rows) -> None:
            check_tenant(rows.tags, tenant_id)
            for at, count in rows.values:
                points[at] += count

        def take_failing(rows: Rows) -> None:
            monitor_id = check_owner(rows.tags, tenant_id)
            for at, _ in rows.values:
                failing[at].append(monitor_id)

        values = params(tenant_id, [], *_edges([whole]))
        text = select(_COUNT, then=_BY_DAY)
        await self._influx.query(_USAGE, text, values, take=take_counts)
        text = select(_COUNT, conditions=_FAILED, then=_FAILING_BY_DAY)
        await self._influx.query(_USAGE, text, values, take=take_failing)
        usage: list[DailyUsage] = []
        for day, period in calendar:
            at = microseconds(period.since)
            # A success that a failure overruled has a point, but is no result.
            twice = await self._each(_USAGE, tenant_id, failing[at], period, _overruled)
            usage.append(DailyUsage(day=day, checks=points[at] - sum(twice.values())))
        return tuple(usage)

    async def _each(
        self,
        operation: str,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        period: Period,
        answer: Callable[[MonitorId, Mapping[str, Points]], T],
    ) -> dict[MonitorId, T]:
        """Return of each monitor what `answer` makes of its points of a period."""
        answers: dict[MonitorId, T] = {}
        for some in batches(monitor_ids):
            collector = Collector(tenant_id, some)
            text = select(TIMES, monitors=len(some), then=_BY_TAGS)
            values = params(tenant_id, some, *_edges([period]))
            await self._influx.query(operation, text, values, take=collector)
            for monitor_id in some:
                answers[monitor_id] = answer(monitor_id, collector.of(monitor_id))
                await asyncio.sleep(0)  # a monitor can have many points; let others in
        return answers


def _edges(periods: Sequence[Period]) -> tuple[int, ...]:
    """Return where periods that follow each other begin, and the last ends."""
    return (*(microseconds(each.since) for each in periods), microseconds(periods[-1].until))


def _made(locations: Mapping[str, Points]) -> int:
    return made(
        Counter(
            (at // _HOUR_US, name) for name, points in locations.items() for at in points.instants()
        )
    )


def _failures(rows: Rows, tenant_id: TenantId, monitor_id: MonitorId) -> Iterator[CheckResult]:
    for us, kind, message in rows.values:
        at = instant(us)
        yield CheckResult(
            tenant_id=tenant_id,
            monitor_id=monitor_id,
            location=rows.tags["location"],
            scheduled_at=at,
            checked_at=at,
            error=CheckError(kind=ErrorKind(kind), message=message),
        )


def _overruled(_: MonitorId, locations: Mapping[str, Points]) -> int:
    return sum(len(points.overruled()) for points in locations.values())
