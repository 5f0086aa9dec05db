"""Adds check results up for statistics: from their sums, and from results where hours are cut."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

from attrs import field, frozen
from psycopg.rows import DictRow, dict_row

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.sums import Sums
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._rows import reading
from urlmon_adapters.postgres._sketch_bytes import unpack
from urlmon_adapters.postgres._spans import OF_RESULTS, Plan, plan, read_spans

_PHASES: Final = ("dns", "connect", "tls", "ttfb", "transfer")
SLICE: Final = 25
"""How many monitors are added up before the event loop serves others."""

_KEY: Final = """
SELECT monitor_id, CASE WHEN %(by_location)s::boolean THEN location END AS location,
    width_bucket(at, %(edges)s::timestamptz[]) AS part,
"""
_SUMS: Final = """
    sum(checks)::bigint AS checks, sum(failures)::bigint AS failures, sum(made)::bigint AS made,
    sum(times)::bigint AS times, sum(total_us)::bigint AS total_us,
    min(min_us) AS min_us, max(max_us) AS max_us,
    sum(dns_times)::bigint AS dns_times, sum(dns_total_us)::bigint AS dns_total_us,
    sum(connect_times)::bigint AS connect_times,
    sum(connect_total_us)::bigint AS connect_total_us,
    sum(tls_times)::bigint AS tls_times, sum(tls_total_us)::bigint AS tls_total_us,
    sum(ttfb_times)::bigint AS ttfb_times, sum(ttfb_total_us)::bigint AS ttfb_total_us,
    sum(transfer_times)::bigint AS transfer_times,
    sum(transfer_total_us)::bigint AS transfer_total_us, string_agg(sketch, '') AS sketch
"""
_FIGURES: Final = """
    checks, failures, times, total_us, min_us, max_us, dns_times, dns_total_us, connect_times,
    connect_total_us, tls_times, tls_total_us, ttfb_times, ttfb_total_us, transfer_times,
    transfer_total_us, sketch
"""
# In each hour the location with the most results counts for coverage.
_MOST: Final = """
    CASE WHEN row_number() OVER (PARTITION BY r.monitor_id, r.start_at ORDER BY r.checks DESC) = 1
        THEN r.checks ELSE 0 END AS made
"""
_ASKED: Final = "tenant_id = %(tenant_id)s AND monitor_id = ANY(%(monitor_ids)s::uuid[])"
# Days and weeks have a row for all locations together, and give way to their hours while stale.
_OF_SPANS: Final = (
    """
FROM unnest(%(lengths)s::smallint[], %(sinces)s::timestamptz[], %(untils)s::timestamptz[])
    AS span (length, since, until)
CROSS JOIN LATERAL (
    SELECT monitor_id, location, start_at AS at, made,
"""  # noqa: S608 - constants only
    + _FIGURES
    + " FROM check_rollups WHERE "
    + _ASKED
    + """
        AND hours = span.length AND span.length > 1 AND NOT stale
        AND start_at >= span.since AND start_at < span.until
        AND (location = '') <> %(by_location)s::boolean
    UNION ALL
    SELECT r.monitor_id, r.location, r.start_at,
"""
    + _MOST
    + ","
    + _FIGURES
    + " FROM check_rollups AS r WHERE "
    + _ASKED
    + """
        AND hours = 1 AND span.length = 1 AND start_at >= span.since AND start_at < span.until
    UNION ALL
    SELECT r.monitor_id, r.location, r.start_at,
"""
    + _MOST
    + ","
    + _FIGURES
    + """
    FROM (
        SELECT monitor_id AS owner, start_at AS since, location AS place FROM check_rollups WHERE
"""
    + _ASKED
    + """
            AND hours = span.length AND span.length > 1 AND stale
            AND start_at >= span.since AND start_at < span.until
            AND (location = '') <> %(by_location)s::boolean
    ) AS s JOIN check_rollups AS r
        ON r.tenant_id = %(tenant_id)s AND r.hours = 1 AND r.monitor_id = s.owner
            AND r.start_at >= s.since
            AND r.start_at < s.since + make_interval(hours => span.length)
            AND (s.place = '' OR r.location = s.place)
) AS rows
GROUP BY 1, 2, 3
"""
)
# Hours of results that older versions stored, and that the upkeep has not come to yet.
_OF_HOURS: Final = (
    " FROM (SELECT r.monitor_id, r.location, r.start_at AS at, "  # noqa: S608 - constants only
    + _MOST
    + ","
    + _FIGURES
    + " FROM hours_of_results(%(since)s, %(until)s) AS r WHERE "
    + _ASKED
    + ") AS rows GROUP BY 1, 2, 3"
)
_OF_RESULTS: Final = (
    """
    count(*) AS checks, count(*) FILTER (WHERE NOT success) AS failures, 0::bigint AS made,
    count(dns_us) FILTER (WHERE success) AS dns_times,
    coalesce(sum(dns_us) FILTER (WHERE success), 0)::bigint AS dns_total_us,
    count(connect_us) FILTER (WHERE success) AS connect_times,
    coalesce(sum(connect_us) FILTER (WHERE success), 0)::bigint AS connect_total_us,
    count(tls_us) FILTER (WHERE success) AS tls_times,
    coalesce(sum(tls_us) FILTER (WHERE success), 0)::bigint AS tls_total_us,
    count(ttfb_us) FILTER (WHERE success) AS ttfb_times,
    coalesce(sum(ttfb_us) FILTER (WHERE success), 0)::bigint AS ttfb_total_us,
    count(transfer_us) FILTER (WHERE success) AS transfer_times,
    coalesce(sum(transfer_us) FILTER (WHERE success), 0)::bigint AS transfer_total_us,
    string_agg(int8send(response_time_us), '') FILTER (WHERE success) AS values
FROM (
    SELECT check_results.*, scheduled_at AS at FROM check_results
    JOIN unnest(%(sinces)s::timestamptz[], %(untils)s::timestamptz[]) AS edge (since, until)
        ON scheduled_at >= edge.since AND scheduled_at < edge.until
    WHERE scheduled_at >= %(since)s AND scheduled_at < %(until)s AND
"""  # noqa: S608 - constants only
    + _ASKED
    + ") AS rows GROUP BY 1, 2, 3"
)
_MADE_AT_EDGES: Final = (
    """
SELECT monitor_id, sum(most)::bigint AS made FROM (
    SELECT monitor_id, max(count) AS most FROM (
        SELECT monitor_id, count(*), date_bin('1 hour', scheduled_at, '1970-01-05 00:00Z') AS hour
        FROM check_results
        JOIN unnest(%(sinces)s::timestamptz[], %(untils)s::timestamptz[]) AS edge (since, until)
            ON scheduled_at >= edge.since AND scheduled_at < edge.until
        WHERE scheduled_at >= %(since)s AND scheduled_at < %(until)s AND
"""  # noqa: S608 - constants only
    + _ASKED
    + """
        GROUP BY monitor_id, location, hour
    ) AS places
    GROUP BY monitor_id, hour
) AS hours
GROUP BY monitor_id
"""
)


@frozen(kw_only=True)
class Question:
    """What is to be added up.

    Attributes:
        operation: Who asks.
        tenant_id: The owner.
        monitor_ids: Of which monitors.
        parts: Adjoining periods, each of which is added up by itself.
        by_location: Whether each location is added up by itself, too.
        coverage: Whether to count the checks that count for coverage, too.
    """

    operation: str
    tenant_id: TenantId
    monitor_ids: Sequence[MonitorId]
    parts: Sequence[Period]
    by_location: bool = False
    coverage: bool = False


Key = tuple[MonitorId, str | None, int]
"""Monitor, location where each is added up by itself, number of the period."""


@frozen
class Answer:
    """What results add up to.

    Attributes:
        sums: By monitor, location and period; without those that have no results.
        made: How many checks of each monitor count for coverage, if that was asked for.
    """

    sums: dict[Key, Sums] = field(factory=dict)
    made: Counter[MonitorId] = field(factory=Counter)


async def add_up(connection: Connection, asked: Question) -> Answer:
    """Add up results: by rows of sums where there are some for whole hours."""
    way = plan(asked.parts, await read_spans(connection))
    answer = Answer()
    found: dict[Key, list[Sums]] = {}
    sources: list[tuple[LiteralString, dict[str, object]]] = [
        (_KEY + _SUMS + _OF_HOURS, {"since": since, "until": until})
        for length, since, until in way.spans
        if length == OF_RESULTS
    ]
    whole = [span for span in way.spans if span[0] != OF_RESULTS]
    if whole:
        lengths, sinces, untils = (list(column) for column in zip(*whole, strict=True))
        ranges: dict[str, object] = {"lengths": lengths, "sinces": sinces, "untils": untils}
        sources.append((_KEY + _SUMS + _OF_SPANS, ranges))
    if way.edges:
        sources.append((_KEY + _OF_RESULTS, _edges(way)))
    if way.edges and asked.coverage:
        for row in await _rows(connection, _MADE_AT_EDGES, asked, _edges(way)):
            answer.made[MonitorId(row["monitor_id"])] += row["made"]
    for query, values in sources:
        for number, row in enumerate(await _rows(connection, query, asked, values)):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            monitor_id = MonitorId(row["monitor_id"])
            key = monitor_id, row["location"], row["part"] - 1
            found.setdefault(key, []).append(_sums(row, asked.operation))
            answer.made[monitor_id] += row["made"]
    for number, (key, parts) in enumerate(found.items()):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        answer.sums[key] = Sums.merged(parts)
    return answer


def _edges(way: Plan) -> dict[str, object]:
    return {
        "sinces": [edge.since for edge in way.edges],
        "untils": [edge.until for edge in way.edges],
        # Once more as constants: the planner then looks at the months of these only.
        "since": way.edges[0].since,
        "until": way.edges[-1].until,
    }


async def _rows(
    connection: Connection, query: LiteralString, asked: Question, values: Mapping[str, object]
) -> list[DictRow]:
    always = {
        "tenant_id": asked.tenant_id,
        "monitor_ids": list(asked.monitor_ids),
        "by_location": asked.by_location,
        "edges": [part.since for part in asked.parts],
    }
    cursor = connection.cursor(binary=True, row_factory=dict_row)
    return await (await cursor.execute(query, {**always, **values})).fetchall()


def _sums(row: Mapping[str, Any], operation: str) -> Sums:
    """Return the sums in a row, which has either a sketch or all response times.

    Raises:
        CorruptDataError: The sketch is not what this version writes.
    """
    counts = tuple(row[f"{phase}_times"] for phase in _PHASES)
    totals = tuple(row[f"{phase}_total_us"] for phase in _PHASES)
    if "values" in row:
        times = array("q", row["values"] or b"")
        if sys.byteorder == "little":
            times.byteswap()
        return Sums.counted(
            checks=row["checks"],
            failures=row["failures"],
            values=times,
            phase_counts=counts,
            phase_totals_us=totals,
        )
    with reading(operation, "sketch of monitor", row["monitor_id"]):
        sketch = unpack(row["sketch"])
    return Sums(
        checks=row["checks"],
        failures=row["failures"],
        times=row["times"],
        total_us=row["total_us"],
        min_us=row["min_us"] or 0,
        max_us=row["max_us"] or 0,
        phase_counts=counts,
        phase_totals_us=totals,
        values=None,
        sketch=sketch,
    )
