"""Counts a tenant's results by day: from the rollups of days that hold, else one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._marks import read_rolled, read_touched
from urlmon_adapters.influx._points import TIMES, Collector
from urlmon_adapters.influx._queries import TAGS, Select, batches
from urlmon_adapters.influx._rows import Owner, check_owner, check_tenant
from urlmon_adapters.influx._spans import DAY, DAY_US, joined
from urlmon_adapters.influx._sums import checks_of, read_us_of

_COUNT: Final = 'count("checked_at_us")'
_FAILED: Final = ("\"success\" = 'false'",)
_BY_TAGS: Final = f"GROUP BY {TAGS}"
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'
_BY_DAY: Final = 'GROUP BY time(1d), "tenant_id" fill(none)'
_FAILING_BY_DAY: Final = 'GROUP BY time(1d), "tenant_id", "monitor_id" fill(none)'


async def count_by_day(
    influx: Influx, operation: str, tenant_id: TenantId, days: Sequence[int]
) -> Counter[int]:
    """Return how many results a tenant has on each of some days, which follow each other."""
    counts = await _rolled(influx, operation, tenant_id, days)
    missing = ((day, day + DAY_US) for day in days if day not in counts)
    for since, until in joined(missing):
        counts.update(await _one_by_one(influx, operation, tenant_id, since, until))
    return counts


async def _rolled(
    influx: Influx, operation: str, tenant_id: TenantId, days: Sequence[int]
) -> Counter[int]:
    """Return what the rollups of days say, as far as they hold for all of the tenant's monitors."""
    touched = await read_touched(influx, operation, days[0], tenant_id=tenant_id)
    marked = await read_rolled(influx, operation, DAY, days)
    counts: Counter[int] = Counter(dict.fromkeys(marked, 0))
    if not marked:
        return counts
    read_us: defaultdict[Owner, dict[int, int]] = defaultdict(dict)

    def take(rows: Rows) -> None:
        owner = tenant_id, check_owner(rows.tags, tenant_id)
        for time, text in rows.values:
            day = DAY.span_at(time)
            if day in counts:
                counts[day] += checks_of(text)
                read_us[owner][day] = read_us_of(text)

    query = Select(
        columns='"sums"',
        source=DAY.source(by_location=False),
        since_us=DAY.stands_at(min(marked)),
        until_us=DAY.stands_at(max(marked)) + 1,
        tenant_id=tenant_id,
        then=_BY_OWNER,
    )
    await influx.query(operation, *query.bound(), take=take)
    for owner, what in touched.items():
        late = what.late_in(DAY)
        for day in marked:
            if not what.holds(DAY, late, day, read_us[owner].get(day)):
                counts.pop(day, None)
    return counts


async def _one_by_one(
    influx: Influx, operation: str, tenant_id: TenantId, since: int, until: int
) -> Counter[int]:
    """Return how many results there are on each of some days."""
    points: Counter[int] = Counter()
    failing: defaultdict[int, list[MonitorId]] = defaultdict(list)

    def take_counts(rows: Rows) -> None:
        check_tenant(rows.tags, tenant_id)
        for day, count in rows.values:
            points[day] += count

    def take_failing(rows: Rows) -> None:
        monitor_id = check_owner(rows.tags, tenant_id)
        for day, _ in rows.values:
            failing[day].append(monitor_id)

    query = Select(
        columns=_COUNT, since_us=since, until_us=until, tenant_id=tenant_id, then=_BY_DAY
    )
    await influx.query(operation, *query.bound(), take=take_counts)
    query = Select(
        columns=_COUNT,
        since_us=since,
        until_us=until,
        tenant_id=tenant_id,
        conditions=_FAILED,
        then=_FAILING_BY_DAY,
    )
    await influx.query(operation, *query.bound(), take=take_failing)
    for day, monitor_ids in failing.items():
        for some in batches(monitor_ids):
            # A success that a failure overruled has a point, but is no result.
            points[day] -= await _overruled(influx, operation, tenant_id, some, day)
    return points


async def _overruled(
    influx: Influx, operation: str, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], day: int
) -> int:
    collector = Collector((tenant_id, each) for each in monitor_ids)
    query = Select(
        columns=TIMES,
        since_us=day,
        until_us=day + DAY_US,
        tenant_id=tenant_id,
        monitor_ids=monitor_ids,
        then=_BY_TAGS,
    )
    await influx.query(operation, *query.bound(), take=collector)
    return sum(
        len(points.overruled())
        for monitor_id in monitor_ids
        for points in collector.of((tenant_id, monitor_id)).values()
    )
