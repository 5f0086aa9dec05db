"""Rollups: what the results of one monitor, from one location, due in one hour add up to.

Hours are those of UTC.  A period is answered from the rollups of the hours that lie within it and
from the results themselves at its edges; so is a day in a zone of half hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from attrs import frozen

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.sums import Sums

HOUR = timedelta(hours=1)


@frozen(kw_only=True)
class Rollup:
    """The results of an hour.

    Attributes:
        tenant_id: The monitor's owner.
        monitor_id: What was checked.
        location: From where.
        hour: When the hour begins.
        sums: What its results add up to.
    """

    tenant_id: TenantId
    monitor_id: MonitorId
    location: str
    hour: datetime
    sums: Sums


@frozen(kw_only=True)
class Split:
    """A period as whole hours and what is left of it.

    Attributes:
        hours: The whole hours, in one piece; None where there is none.
        edges: What lies before and behind them; all of it where there are no whole hours.
    """

    hours: Period | None
    edges: tuple[Period, ...]


def hour_of(at: datetime) -> datetime:
    """Return when the hour of an instant of UTC begins."""
    return at.replace(minute=0, second=0, microsecond=0)


def rollups_of(results: Iterable[CheckResult]) -> tuple[Rollup, ...]:
    """Roll results up, each of an identity of its own; in order of tenant, monitor, place, hour."""
    groups: defaultdict[tuple[TenantId, MonitorId, str, datetime], list[CheckResult]]
    groups = defaultdict(list)
    for result in results:
        hour = hour_of(result.scheduled_at)
        groups[result.tenant_id, result.monitor_id, result.location, hour].append(result)
    return tuple(
        Rollup(
            tenant_id=tenant_id,
            monitor_id=monitor_id,
            location=location,
            hour=hour,
            sums=Sums.of(members).rolled_up(),
        )
        for (tenant_id, monitor_id, location, hour), members in sorted(groups.items())
    )


def split_at_hours(period: Period, *, closed_until: datetime | None = None) -> Split:
    """Split a period into whole hours and its edges.

    Args:
        period: What is asked about.
        closed_until: Before when hours are rolled up; None where all of them are.
    """
    first = hour_of(period.since)
    if first < period.since:
        first += HOUR
    end = period.until if closed_until is None else min(period.until, closed_until)
    last = hour_of(end)
    if first >= last:
        return Split(hours=None, edges=(period,))
    edges = [(period.since, first), (last, period.until)]
    return Split(
        hours=Period(since=first, until=last),
        edges=tuple(Period(since=since, until=until) for since, until in edges if since < until),
    )
