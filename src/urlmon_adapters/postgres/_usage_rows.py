"""Counts the check results of a tenant by days, from their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from urlmon.domain.ids import TenantId
from urlmon.domain.periods import Period
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._rows import fetch_all
from urlmon_adapters.postgres._spans import OF_RESULTS, plan, read_spans

_OF_SPANS: Final = """
SELECT width_bucket(at, %(edges)s::timestamptz[]) AS part, sum(checks)::bigint AS checks
FROM unnest(%(lengths)s::smallint[], %(sinces)s::timestamptz[], %(untils)s::timestamptz[])
    AS span (length, since, until)
CROSS JOIN LATERAL (
    SELECT start_at AS at, checks FROM check_rollups
    WHERE tenant_id = %(tenant_id)s AND hours = span.length AND NOT stale
        AND start_at >= span.since AND start_at < span.until
        AND (location = '' OR span.length = 1)
    UNION ALL
    SELECT r.start_at, r.checks
    FROM (
        SELECT monitor_id AS owner, start_at AS since FROM check_rollups
        WHERE tenant_id = %(tenant_id)s AND hours = span.length AND span.length > 1 AND stale
            AND start_at >= span.since AND start_at < span.until AND location = ''
    ) AS s JOIN check_rollups AS r
        ON r.tenant_id = %(tenant_id)s AND r.hours = 1 AND r.monitor_id = s.owner
            AND r.start_at >= s.since
            AND r.start_at < s.since + make_interval(hours => span.length)
) AS rows
GROUP BY part
"""
_OF_RESULTS: Final = """
SELECT width_bucket(scheduled_at, %(edges)s::timestamptz[]) AS part, count(*) AS checks
FROM check_results
WHERE tenant_id = %(tenant_id)s AND scheduled_at >= %(since)s AND scheduled_at < %(until)s
GROUP BY part
"""


async def checks_of_tenant(
    connection: Connection, tenant_id: TenantId, days: Sequence[Period]
) -> dict[int, int]:
    """Return how many results a tenant has on adjoining days of UTC, by the day's number."""
    always = {"tenant_id": tenant_id, "edges": [day.since for day in days]}
    ranges = plan(days, await read_spans(connection)).spans
    whole = [span for span in ranges if span[0] != OF_RESULTS]
    rows = [
        row
        for length, since, until in ranges
        if length == OF_RESULTS
        for row in await fetch_all(
            connection, _OF_RESULTS, {**always, "since": since, "until": until}
        )
    ]
    if whole:
        lengths, sinces, untils = (list(column) for column in zip(*whole, strict=True))
        values = {**always, "lengths": lengths, "sinces": sinces, "untils": untils}
        rows += await fetch_all(connection, _OF_SPANS, values)
    found: dict[int, int] = {}
    for row in rows:
        found[row["part"] - 1] = found.get(row["part"] - 1, 0) + row["checks"]
    return found
