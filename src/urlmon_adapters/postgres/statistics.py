"""Statistics of check results in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Final, LiteralString

from psycopg.rows import DictRow

from urlmon.domain.check_results import ErrorKind
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
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
    previous,
)
from urlmon.domain.sums import Sums
from urlmon.domain.windows import days, windows
from urlmon.ports import CheckStatistics
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import fetch_all, reading
from urlmon_adapters.postgres._statistics_rows import (
    SLICE,
    Answer,
    Question,
    add_up,
)
from urlmon_adapters.postgres._usage_rows import checks_of_tenant

_OF_MONITORS: Final = """
FROM check_results
WHERE tenant_id = %(tenant_id)s AND scheduled_at >= %(since)s AND scheduled_at < %(until)s
    AND monitor_id = ANY(%(monitor_ids)s::uuid[])
"""
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


@repeatable
class PostgresCheckStatistics(CheckStatistics):
    """Sums up the tables `check_rollups` and, where hours are cut, `check_results`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def summary(
        self, tenant_id: TenantId, intervals: Mapping[MonitorId, timedelta], *, period: Period
    ) -> Mapping[MonitorId, Summary]:
        require_tenant(tenant_id)
        check_intervals(intervals)
        before = previous(period)
        asked = Question(
            operation="CheckStatistics.summary",
            tenant_id=tenant_id,
            monitor_ids=list(intervals),
            parts=[period] if before is None else [before, period],
            coverage=True,
        )
        answer = await self._sums(asked)
        summaries: dict[MonitorId, Summary] = {}
        for number, (monitor_id, interval) in enumerate(intervals.items()):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            summary: Summary | None = None
            for place, part in enumerate(asked.parts):
                summary = Summary(
                    period=part,
                    statistics=answer.sums.get((monitor_id, None, place), Sums()).statistics(),
                    coverage=coverage(answer.made[monitor_id, place], interval, part),
                    previous=summary,
                )
                summaries[monitor_id] = summary
        return summaries

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
        asked = Question(
            operation="CheckStatistics.by_location",
            tenant_id=tenant_id,
            monitor_ids=monitor_ids,
            parts=[period],
            by_location=True,
        )
        found: dict[MonitorId, dict[str, Statistics]] = {each: {} for each in monitor_ids}
        for (monitor_id, location, _), sums in sorted((await self._sums(asked)).sums.items()):
            found[monitor_id][location or ""] = sums.statistics()
        return found

    async def usage(
        self, tenant_id: TenantId, *, first: date, last: date
    ) -> tuple[DailyUsage, ...]:
        require_tenant(tenant_id)
        dates = days(first, last)
        async with self._database.tenant("CheckStatistics.usage", tenant_id) as connection:
            found = await checks_of_tenant(connection, tenant_id, [part for _, part in dates])
        return tuple(
            DailyUsage(day=day, checks=found.get(number, 0))
            for number, (day, _) in enumerate(dates)
        )

    async def _parts(
        self,
        operation: str,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        parts: Sequence[Period],
    ) -> dict[MonitorId, list[Statistics]]:
        """Return the statistics of each of some adjoining periods, for each monitor."""
        asked = Question(
            operation=operation, tenant_id=tenant_id, monitor_ids=monitor_ids, parts=parts
        )
        found = {each: [Statistics()] * len(parts) for each in monitor_ids}
        answer = await self._sums(asked)
        for number, ((monitor_id, _, part), sums) in enumerate(answer.sums.items()):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            found[monitor_id][part] = sums.statistics()
        return found

    async def _sums(self, asked: Question) -> Answer:
        if not asked.monitor_ids:
            return Answer()
        async with self._database.tenant(asked.operation, asked.tenant_id) as connection:
            return await add_up(connection, asked)

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
