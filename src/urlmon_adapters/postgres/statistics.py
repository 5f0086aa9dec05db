"""Statistics of check results in PostgreSQL: exact, from the results themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, LiteralString

from psycopg.rows import DictRow

from urlmon.domain.check_results import ErrorKind
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon.domain.periods import Period
from urlmon.domain.statistics import (
    DailyBar,
    DailyUsage,
    FailureGroup,
    PhaseMeans,
    ResponseTimes,
    Statistics,
    Summary,
    Window,
    check_intervals,
    coverage,
    previous,
    with_previous,
)
from urlmon.domain.windows import days, windows
from urlmon.ports import CheckStatistics
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import fetch_all, reading

# percentile_disc takes the value at position ceil(p * n), in double precision: the nearest rank
# for these three: 0.5 is exact, and 0.95 and 0.99 are off by less than half a unit in the last
# place, so that a product that should be whole is rounded to just that.
_FIGURES: Final = """
    count(*) AS checks,
    count(*) FILTER (WHERE NOT success) AS failures,
    count(response_time_us) FILTER (WHERE success) AS times,
    sum(response_time_us) FILTER (WHERE success) AS total_us,
    min(response_time_us) FILTER (WHERE success) AS min_us,
    max(response_time_us) FILTER (WHERE success) AS max_us,
    percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_us)
        FILTER (WHERE success) AS percentiles,
    sum(dns_us) FILTER (WHERE success) AS dns_us, count(dns_us) FILTER (WHERE success) AS dns,
    sum(connect_us) FILTER (WHERE success) AS connect_us,
    count(connect_us) FILTER (WHERE success) AS connect,
    sum(tls_us) FILTER (WHERE success) AS tls_us, count(tls_us) FILTER (WHERE success) AS tls,
    sum(ttfb_us) FILTER (WHERE success) AS ttfb_us, count(ttfb_us) FILTER (WHERE success) AS ttfb,
    sum(transfer_us) FILTER (WHERE success) AS transfer_us,
    count(transfer_us) FILTER (WHERE success) AS transfer
"""
_OF_TENANT: Final = """
FROM check_results
WHERE tenant_id = %(tenant_id)s AND scheduled_at >= %(since)s AND scheduled_at < %(until)s
"""
_OF_MONITORS: Final = _OF_TENANT + "AND monitor_id = ANY(%(monitor_ids)s::uuid[])"
_PART: Final = "width_bucket(scheduled_at, %(edges)s::timestamptz[]) AS part"

_SUMMARY: Final = "SELECT monitor_id, " + _FIGURES + _OF_MONITORS + "GROUP BY monitor_id"
_MADE: Final = (
    """
SELECT monitor_id, sum(most)::bigint AS made FROM (
    SELECT monitor_id, max(count) AS most FROM (
        SELECT monitor_id, count(*), date_bin('1 hour', scheduled_at, 'epoch'::timestamptz) AS hour
"""  # noqa: S608 - constants only
    + _OF_MONITORS
    + """
        GROUP BY monitor_id, hour, location
    ) AS places
    GROUP BY monitor_id, hour
) AS hours
GROUP BY monitor_id
"""
)
_PARTS: Final = (
    "SELECT monitor_id, " + _PART + "," + _FIGURES + _OF_MONITORS + "GROUP BY monitor_id, part"
)
_LOCATIONS: Final = (
    "SELECT monitor_id, location,"
    + _FIGURES
    + _OF_MONITORS
    + "GROUP BY monitor_id, location ORDER BY location"
)
_FAILURES: Final = (
    """
SELECT DISTINCT ON (monitor_id, error_kind) monitor_id, error_kind, count(*) OVER alike AS count,
    min(scheduled_at) OVER alike AT TIME ZONE 'UTC' AS first_at,
    scheduled_at AT TIME ZONE 'UTC' AS last_at, error_message
"""
    + _OF_MONITORS
    + """
    AND NOT success
WINDOW alike AS (PARTITION BY monitor_id, error_kind)
ORDER BY monitor_id, error_kind, scheduled_at DESC, location
"""
)
_USAGE: Final = "SELECT " + _PART + ", count(*) AS checks" + _OF_TENANT + "GROUP BY part"


@repeatable
class PostgresCheckStatistics(CheckStatistics):
    """Sums up the table `check_results`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def summary(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], *, period: Period
    ) -> Mapping[MonitorId, Summary]:
        require_tenant(tenant_id)
        check_intervals(intervals)
        before = previous(period)
        return with_previous(
            await self._summaries(tenant_id, intervals, period),
            {} if before is None else await self._summaries(tenant_id, intervals, before),
        )

    async def series(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        width: timedelta,
    ) -> Mapping[MonitorId, tuple[Window, ...]]:
        _check(tenant_id, monitor_ids)
        parts = windows(period, width)
        found = await self._parts("CheckStatistics.series", tenant_id, monitor_ids, parts)
        return {
            monitor_id: tuple(
                Window(period=part, statistics=statistics)
                for part, statistics in zip(parts, members, strict=True)
            )
            for monitor_id, members in found.items()
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
        _check(tenant_id, monitor_ids)
        dates = days(first, last, zone)
        parts = [part for _, part in dates]
        found = await self._parts("CheckStatistics.daily", tenant_id, monitor_ids, parts)
        return {
            monitor_id: tuple(
                DailyBar(day=day, period=part, statistics=statistics)
                for (day, part), statistics in zip(dates, members, strict=True)
            )
            for monitor_id, members in found.items()
        }

    async def failures(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, tuple[FailureGroup, ...]]:
        operation = "CheckStatistics.failures"
        _check(tenant_id, monitor_ids)
        values = {"monitor_ids": list(monitor_ids)}
        rows = await self._rows(operation, _FAILURES, tenant_id, period, values)
        groups: dict[MonitorId, list[FailureGroup]] = {each: [] for each in monitor_ids}
        for row in rows:
            with reading(operation, "failure of monitor", row["monitor_id"]):
                kind = ErrorKind(row["error_kind"])
            group = FailureGroup(
                kind=kind,
                count=row["count"],
                first_at=row["first_at"].replace(tzinfo=UTC),
                last_at=row["last_at"].replace(tzinfo=UTC),
                last_message=row["error_message"],
            )
            groups[row["monitor_id"]].append(group)
        return {
            monitor_id: tuple(sorted(members, key=lambda each: (-each.count, each.kind)))
            for monitor_id, members in groups.items()
        }

    async def by_location(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> Mapping[MonitorId, Mapping[str, Statistics]]:
        _check(tenant_id, monitor_ids)
        values = {"monitor_ids": list(monitor_ids)}
        rows = await self._rows(
            "CheckStatistics.by_location", _LOCATIONS, tenant_id, period, values
        )
        found: dict[MonitorId, dict[str, Statistics]] = {each: {} for each in monitor_ids}
        for row in rows:
            found[row["monitor_id"]][row["location"]] = _statistics(row)
        return found

    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        require_tenant(tenant_id)
        dates = days(first, last)
        parts = [part for _, part in dates]
        rows = await self._rows(
            "CheckStatistics.usage", _USAGE, tenant_id, _whole(parts), {"edges": _edges(parts)}
        )
        found = {row["part"]: row["checks"] for row in rows}
        return tuple(
            DailyUsage(day=day, checks=found.get(number, 0))
            for number, (day, _) in enumerate(dates, start=1)
        )

    async def _summaries(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], period: Period
    ) -> dict[MonitorId, Summary]:
        operation, values = "CheckStatistics.summary", {"monitor_ids": list(intervals)}
        rows = await self._rows(operation, _SUMMARY, tenant_id, period, values)
        found = {row["monitor_id"]: _statistics(row) for row in rows}
        rows = await self._rows(operation, _MADE, tenant_id, period, values)
        made = {row["monitor_id"]: row["made"] for row in rows}
        return {
            monitor_id: Summary(
                period=period,
                statistics=found.get(monitor_id, Statistics()),
                coverage=coverage(made.get(monitor_id, 0), interval, period),
            )
            for monitor_id, interval in intervals.items()
        }

    async def _parts(
        self,
        operation: str,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        parts: Sequence[Period],
    ) -> dict[MonitorId, list[Statistics]]:
        """Return the statistics of each of some adjoining periods, for each monitor."""
        values = {"monitor_ids": list(monitor_ids), "edges": _edges(parts)}
        rows = await self._rows(operation, _PARTS, tenant_id, _whole(parts), values)
        found = {each: [Statistics()] * len(parts) for each in monitor_ids}
        for row in rows:
            found[row["monitor_id"]][row["part"] - 1] = _statistics(row)
        return found

    async def _rows(
        self,
        operation: str,
        query: LiteralString,
        tenant_id: TenantId,
        period: Period,
        values: Mapping[str, object],
    ) -> list[DictRow]:
        bounds = {"tenant_id": tenant_id, "since": period.since, "until": period.until}
        async with self._database.tenant(operation, tenant_id) as connection:
            return await fetch_all(connection, query, {**bounds, **values})


def _check(tenant_id: TenantId, monitor_ids: Sequence[MonitorId]) -> None:
    require_tenant(tenant_id)
    check_many("monitor_ids", monitor_ids)


def _edges(parts: Sequence[Period]) -> list[datetime]:
    return [part.since for part in parts]


def _whole(parts: Sequence[Period]) -> Period:
    return Period(since=parts[0].since, until=parts[-1].until)


def _statistics(row: Mapping[str, Any]) -> Statistics:
    return Statistics(
        checks=row["checks"],
        failures=row["failures"],
        response_times=_response_times(row),
        phases=PhaseMeans(
            *(
                int(row[f"{phase}_us"]) / row[phase] if row[phase] else None
                for phase in ("dns", "connect", "tls", "ttfb", "transfer")
            )
        ),
    )


def _response_times(row: Mapping[str, Any]) -> ResponseTimes | None:
    if not row["times"]:
        return None
    p50_us, p95_us, p99_us = row["percentiles"]
    return ResponseTimes(
        count=row["times"],
        total_us=int(row["total_us"]),
        min_us=row["min_us"],
        max_us=row["max_us"],
        p50_us=p50_us,
        p95_us=p95_us,
        p99_us=p99_us,
    )
