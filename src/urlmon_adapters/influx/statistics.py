"""What check results in InfluxDB amount to; failures, by their messages, from the results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

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
    previous,
    with_previous,
)
from urlmon.domain.windows import days, windows
from urlmon.ports import CheckStatistics
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._lines import instant, microseconds
from urlmon_adapters.influx._queries import TAGS, Select, batches, check_scope
from urlmon_adapters.influx._rows import check_owner
from urlmon_adapters.influx._summing import add_up
from urlmon_adapters.influx._sums import TOTAL, Rolled
from urlmon_adapters.influx._usage import count_by_day

_SUMMARY: Final = "CheckStatistics.summary"
_SERIES: Final = "CheckStatistics.series"
_DAILY: Final = "CheckStatistics.daily"
_FAILURES: Final = "CheckStatistics.failures"
_BY_LOCATION: Final = "CheckStatistics.by_location"
_USAGE: Final = "CheckStatistics.usage"

_BY_TAGS: Final = f"GROUP BY {TAGS}"
_ERROR: Final = '"error_kind", "error_message"'
_FAILED: Final = ("\"success\" = 'false'",)


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
        before = previous(period)
        periods = [period] if before is None else [before, period]
        sums = await add_up(self._influx, _SUMMARY, tenant_id, tuple(intervals), periods)
        then, found = (
            {
                monitor_id: _summary(pieces[place], intervals[monitor_id], each)
                for monitor_id, pieces in sums.items()
            }
            for place, each in ((0, periods[0]), (-1, period))
        )
        return found if before is None else with_previous(found, then)

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
        sums = await add_up(self._influx, _SERIES, tenant_id, asked, periods)
        return {
            monitor_id: tuple(
                Window(period=each, statistics=_total(found))
                for each, found in zip(periods, pieces, strict=True)
            )
            for monitor_id, pieces in sums.items()
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
        asked = check_scope(tenant_id, monitor_ids)
        calendar = days(first, last, zone)
        if not calendar:  # one day, which the zone left out
            return dict.fromkeys(asked, ())
        periods = [period for _, period in calendar]
        sums = await add_up(self._influx, _DAILY, tenant_id, asked, periods)
        return {
            monitor_id: tuple(
                DailyBar(day=day, period=period, statistics=_total(found))
                for (day, period), found in zip(calendar, pieces, strict=True)
            )
            for monitor_id, pieces in sums.items()
        }

    async def failures(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, tuple[FailureGroup, ...]]:
        asked = check_scope(tenant_id, monitor_ids)
        failed: dict[MonitorId, list[CheckResult]] = {each: [] for each in asked}

        def take(rows: Rows) -> None:
            monitor_id = check_owner(rows.tags, tenant_id, failed)
            failed[monitor_id] += _failures(rows, tenant_id, monitor_id)

        for some in batches(asked):
            query = Select(
                columns=_ERROR,
                since_us=microseconds(period.since),
                until_us=microseconds(period.until),
                tenant_id=tenant_id,
                monitor_ids=some,
                conditions=_FAILED,
                then=_BY_TAGS,
            )
            await self._influx.query(_FAILURES, *query.bound(), take=take)
        return {each: failure_groups(results) for each, results in failed.items()}

    async def by_location(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, Mapping[str, Statistics]]:
        asked = check_scope(tenant_id, monitor_ids)
        sums = await add_up(
            self._influx, _BY_LOCATION, tenant_id, asked, [period], by_location=True
        )
        return {
            monitor_id: {name: rolled.sums.statistics() for name, rolled in found.items()}
            for monitor_id, (found,) in sums.items()
        }

    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        require_tenant(tenant_id)
        calendar = days(first, last)
        checks = await count_by_day(
            self._influx, _USAGE, tenant_id, [microseconds(period.since) for _, period in calendar]
        )
        return tuple(
            DailyUsage(day=day, checks=checks.get(microseconds(period.since), 0))
            for day, period in calendar
        )


def _total(pieces: Mapping[str, Rolled]) -> Statistics:
    found = pieces.get(TOTAL)
    return Statistics() if found is None else found.sums.statistics()


def _summary(pieces: Mapping[str, Rolled], interval: timedelta, period: Period) -> Summary:
    found = pieces.get(TOTAL)
    checks_made = 0 if found is None else found.made
    return Summary(
        period=period,
        statistics=_total(pieces),
        coverage=coverage(checks_made, interval, period),
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
