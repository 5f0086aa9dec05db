"""Keeps the hours of `check_rollups` in step with the results that a transaction stores."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Final

from urlmon.domain.check_results import CheckResult, key_of
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.services.gently import SLICE
from urlmon_adapters.postgres._check_result_rows import chunks
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._sketch_bytes import ranges
from urlmon_adapters.postgres._spans import EARLIEST, HOUR, read_spans

# Whoever opens days for reading waits until all who do not know of it yet are through.  To be taken
# before anything that marks spans as stale.
ENTER: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('urlmon.rollups', 0))"
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
    sketch = kept.sketch || excluded.sketch
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
_CHUNK: Final = 125

# Start, tenant, monitor, location: the order in which rows are locked.
_Hour = tuple[datetime, int, int, str]


_Owner = tuple[TenantId, MonitorId]


def _values(hour: _Hour, owner: _Owner, results: Sequence[CheckResult]) -> tuple[object, ...]:
    """Return what results of one hour, monitor and location amount to, in the order of `_ADD`."""
    good = [result for result in results if result.error is None]
    times = [took for result in good if (took := result.response_time_us) is not None]
    phases = [result.phases for result in good]
    known = (
        [took for each in phases if (took := each.dns_us) is not None],
        [took for each in phases if (took := each.connect_us) is not None],
        [took for each in phases if (took := each.tls_us) is not None],
        [took for each in phases if (took := each.ttfb_us) is not None],
        [took for each in phases if (took := each.transfer_us) is not None],
    )
    return (
        *owner,
        hour[0],
        hour[3],
        len(results),
        len(results) - len(good),
        len(times),
        sum(times),
        min(times, default=None),
        max(times, default=None),
        *chain.from_iterable((len(each), sum(each)) for each in known),
        ranges(times),
    )


async def count(
    connection: Connection, new: Sequence[CheckResult], replaced: Sequence[CheckResult]
) -> None:
    """Count results that a transaction has just stored.

    Args:
        connection: The transaction, with the rights to all tenants.
        new: Results that were not there before.
        replaced: Failures that may have taken the place of a success: their hours are made anew.
    """
    await connection.execute(ENTER)
    anew, groups = await _grouped(replaced), await _grouped(new)
    owners = {hour: _owner(members[0]) for hour, members in (*anew.items(), *groups.items())}
    hours = sorted(owners)
    for some in chunks(hours, _CHUNK):
        await asyncio.sleep(0)
        rows = [_values(hour, owners[hour], groups.get(hour, ())) for hour in some]
        await connection.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])
    for start_at, those in groupby(sorted(anew), key=itemgetter(0)):
        places = [(*owners[hour], hour[3]) for hour in those]
        values = {
            "at": start_at,
            "tenant_ids": [tenant_id for tenant_id, _, _ in places],
            "monitor_ids": [monitor_id for _, monitor_id, _ in places],
            "locations": [location for _, _, location in places],
        }
        for statement in (_CLEAR, _REMAKE):
            await connection.execute(statement, values)
    await _mark_stale(connection, owners)


async def _mark_stale(connection: Connection, hours: Mapping[_Hour, _Owner]) -> None:
    """Mark the longer spans that hours are in, where those are over."""
    _, *longer = await read_spans(connection)
    for spans in longer:
        late = {
            (spans.floor(at), tenant, monitor, place): owner
            for (at, tenant, monitor, location), owner in hours.items()
            if at < spans.closed_until
            for place in ((location, "") if spans.by_location else ("",))
        }
        for some in chunks(sorted(late), _CHUNK):
            await asyncio.sleep(0)
            owners = [late[each] for each in some]
            columns = ([each[0] for each in some], *zip(*owners, strict=True))
            places = [each[3] for each in some]
            values = (spans.hours, *(list(column) for column in columns), places)
            await connection.execute(_MARK, values)


async def _grouped(results: Sequence[CheckResult]) -> dict[_Hour, list[CheckResult]]:
    """Return results, which come in order of time, by their hours."""
    groups: dict[_Hour, list[CheckResult]] = {}
    start = end = EARLIEST
    for number, result in enumerate(results):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        at, tenant, monitor, location = key_of(result)
        if at >= end:
            start = at.replace(minute=0, second=0, microsecond=0)
            end = start + HOUR
        groups.setdefault((start, tenant, monitor, location), []).append(result)
    return groups


def _owner(result: CheckResult) -> _Owner:
    return result.tenant_id, result.monitor_id
