"""Keeps the hours of `check_rollups` in step with the results that a transaction stores."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.sketches import Sketch
from urlmon_adapters.postgres._check_result_rows import SLICE, chunks, key_of, phases_of
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._sketch_bytes import pack
from urlmon_adapters.postgres._spans import DAY_HOURS, WEEK_HOURS, read_spans

# Whoever opens days for reading waits until all who do not know of it yet are through.
_ENTER: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('urlmon.rollups', 0))"
_ADD: Final = """
INSERT INTO check_rollups AS kept (
    tenant_id, hours, monitor_id, start_at, location, checks, failures, times, total_us, min_us,
    max_us, dns_times, dns_total_us, connect_times, connect_total_us, tls_times, tls_total_us,
    ttfb_times, ttfb_total_us, transfer_times, transfer_total_us, sketch
)
SELECT a, 1, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u
FROM unnest(
    %b::uuid[], %b::uuid[], %b::timestamptz[], %b::text[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bytea[]
) AS added (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u)
ON CONFLICT (tenant_id, hours, monitor_id, start_at, location) DO UPDATE SET
    checks = kept.checks + excluded.checks,
    failures = kept.failures + excluded.failures,
    times = kept.times + excluded.times,
    total_us = kept.total_us + excluded.total_us,
    min_us = least(kept.min_us, excluded.min_us),
    max_us = greatest(kept.max_us, excluded.max_us),
    dns_times = kept.dns_times + excluded.dns_times,
    dns_total_us = kept.dns_total_us + excluded.dns_total_us,
    connect_times = kept.connect_times + excluded.connect_times,
    connect_total_us = kept.connect_total_us + excluded.connect_total_us,
    tls_times = kept.tls_times + excluded.tls_times,
    tls_total_us = kept.tls_total_us + excluded.tls_total_us,
    ttfb_times = kept.ttfb_times + excluded.ttfb_times,
    ttfb_total_us = kept.ttfb_total_us + excluded.ttfb_total_us,
    transfer_times = kept.transfer_times + excluded.transfer_times,
    transfer_total_us = kept.transfer_total_us + excluded.transfer_total_us,
    sketch = add_sketches(kept.sketch, excluded.sketch)
"""
# Two statements, as what the first takes away is in the way of the second.  They touch no row that
# `_ADD` did not lock in its order.
_THESE: Final = """
(tenant_id, monitor_id, location) IN (
    SELECT * FROM unnest(%(tenant_ids)s::uuid[], %(monitor_ids)s::uuid[], %(locations)s::text[])
)
"""
_CLEAR: Final = (
    "DELETE FROM check_rollups WHERE hours = 1 AND start_at = %(at)s AND " + _THESE  # noqa: S608 - constants only
)
_REMAKE: Final = (
    """
INSERT INTO check_rollups
SELECT * FROM hours_of_results(%(at)s, %(at)s + interval '1 hour')
WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) AND monitor_id = ANY(%(monitor_ids)s::uuid[]) AND
"""
    + _THESE
)
_MARK: Final = """
INSERT INTO check_rollups (hours, start_at, tenant_id, monitor_id, location, stale)
SELECT %s, late.*, true FROM unnest(%b::timestamptz[], %b::uuid[], %b::uuid[], %b::text[]) AS late
ON CONFLICT (tenant_id, hours, monitor_id, start_at, location) DO UPDATE SET stale = true
"""
_CHUNK: Final = 250

# Start, tenant, monitor, location: the order in which rows are locked.
_Hour = tuple[datetime, int, int, str]


class _Sum:
    """What results of one hour, monitor and location amount to."""

    __slots__ = (*("checks", "failures", "owner", "phases", "times"),)

    def __init__(self, result: CheckResult) -> None:
        """Begin with nothing of the hour that a result belongs to."""
        self.owner = result.tenant_id, result.monitor_id
        self.checks = self.failures = 0
        self.times: list[int] = []
        self.phases = [0] * 10

    def add(self, result: CheckResult) -> None:
        """Count a result."""
        self.checks += 1
        if not result.success:
            self.failures += 1
            return
        for place, took in enumerate(phases_of(result)):
            if took is not None:
                self.phases[2 * place] += 1
                self.phases[2 * place + 1] += took
        if result.response_time_us is not None:
            self.times.append(result.response_time_us)

    def values(self, hour: _Hour) -> tuple[object, ...]:
        """Return the columns, in the order of `_ADD`."""
        times = self.times
        low, high = min(times, default=None), max(times, default=None)
        sums = self.checks, self.failures, len(times), sum(times), low, high
        return (*self.owner, hour[0], hour[3], *sums, *self.phases, pack(Sketch.of(times)))


async def count(
    connection: Connection, new: Sequence[CheckResult], replaced: Sequence[CheckResult]
) -> None:
    """Count results that a transaction has just stored.

    Args:
        connection: The transaction, with the rights to all tenants.
        new: Results that were not there before.
        replaced: Failures that may have taken the place of a success: their hours are made anew.
    """
    await connection.execute(_ENTER)
    sums = await _sums(new)
    for result in replaced:
        sums.setdefault(_hour_of(result), _Sum(result))
    hours = sorted(sums)
    for some in chunks(hours, _CHUNK):
        await asyncio.sleep(0)
        columns = zip(*(sums[hour].values(hour) for hour in some), strict=True)
        await connection.execute(_ADD, [list(column) for column in columns])
    for start_at, those in groupby(sorted(set(map(_hour_of, replaced))), key=itemgetter(0)):
        places = [(*sums[hour].owner, hour[3]) for hour in those]
        values = {
            "at": start_at,
            "tenant_ids": [tenant_id for tenant_id, _, _ in places],
            "monitor_ids": [monitor_id for _, monitor_id, _ in places],
            "locations": [location for _, _, location in places],
        }
        for statement in (_CLEAR, _REMAKE):
            await connection.execute(statement, values)
    await _mark_stale(connection, {hour: sums[hour].owner for hour in hours})


async def _mark_stale(
    connection: Connection, hours: Mapping[_Hour, tuple[TenantId, MonitorId]]
) -> None:
    """Mark the days and weeks that hours are in, where those are over."""
    lengths = await read_spans(connection)
    for spans in (lengths[DAY_HOURS], lengths[WEEK_HOURS]):
        late = {
            (spans.floor(at), tenant, monitor, place): owner
            for (at, tenant, monitor, location), owner in hours.items()
            if at < spans.closed_until
            for place in (location, "")
        }
        for some in chunks(sorted(late), _CHUNK):
            await asyncio.sleep(0)
            owners = [late[each] for each in some]
            columns = ([each[0] for each in some], *zip(*owners, strict=True))
            places = [each[3] for each in some]
            values = (spans.hours, *(list(column) for column in columns), places)
            await connection.execute(_MARK, values)


async def _sums(results: Sequence[CheckResult]) -> dict[_Hour, _Sum]:
    sums: dict[_Hour, _Sum] = {}
    for place, result in enumerate(results):
        if place % SLICE == 0:
            await asyncio.sleep(0)
        hour = _hour_of(result)
        found = sums.get(hour)
        if found is None:
            found = sums[hour] = _Sum(result)
        found.add(result)
    return sums


def _hour_of(result: CheckResult) -> _Hour:
    at, tenant, monitor, location = key_of(result)
    return at.replace(minute=0, second=0, microsecond=0), tenant, monitor, location
