"""Adds check results up for statistics: from their sums, and from results where hours are cut."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString

from attrs import field, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.sums import Sums
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._rows import reading
from urlmon_adapters.postgres._sketch_bytes import unpack
from urlmon_adapters.postgres._spans import OF_RESULTS, Plan, plan, read_spans

SLICE: Final = 25
"""How many monitors are added up before the event loop serves others."""

_KEY: Final = """
SELECT monitor_id, CASE WHEN %(by_location)s::boolean THEN location END AS place,
    width_bucket(at, %(edges)s::timestamptz[]) AS part,
"""
# The sketches of hours are put one behind the other as they are, the others with their lengths.
_SUMS: Final = """
    sum(made)::bigint, sum(checks)::bigint, sum(failures)::bigint, sum(times)::bigint,
    sum(total_us)::bigint, coalesce(min(min_us), 0), coalesce(max(max_us), 0),
    sum(dns_times)::bigint, sum(connect_times)::bigint, sum(tls_times)::bigint,
    sum(ttfb_times)::bigint, sum(transfer_times)::bigint,
    sum(dns_total_us)::bigint, sum(connect_total_us)::bigint, sum(tls_total_us)::bigint,
    sum(ttfb_total_us)::bigint, sum(transfer_total_us)::bigint,
    coalesce(string_agg(sketch, '') FILTER (WHERE hours = 1), ''),
    coalesce(
        string_agg(int4send(octet_length(sketch)) || sketch, '')
            FILTER (WHERE hours > 1 AND sketch <> ''),
        ''
    )
"""
_FIGURES: Final = """
    hours, checks, failures, times, total_us, min_us, max_us, dns_times, dns_total_us,
    connect_times, connect_total_us, tls_times, tls_total_us, ttfb_times, ttfb_total_us,
    transfer_times, transfer_total_us, sketch
"""
# In each hour the location with the most results counts for coverage.
_MOST: Final = """
    CASE WHEN row_number() OVER (PARTITION BY r.monitor_id, r.start_at ORDER BY r.checks DESC) = 1
        THEN r.checks ELSE 0 END AS made
"""
_ASKED: Final = "tenant_id = %(tenant_id)s AND monitor_id = ANY(%(monitor_ids)s::uuid[])"
# Longer spans have a row for all locations together, and give way to their hours while stale.
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
# Coverage takes in each hour, or piece of one, the location with the most results.
_OF_RESULTS: Final = (
    """
SELECT monitor_id, CASE WHEN %(by_location)s::boolean OR %(coverage)s THEN location END AS place,
    width_bucket(at, %(edges)s::timestamptz[]) AS part,
    CASE WHEN %(coverage)s::boolean THEN date_bin('1 hour', at, '1970-01-05 00:00Z') END AS hour,
    count(*), count(*) FILTER (WHERE NOT success),
    count(dns_us) FILTER (WHERE success), count(connect_us) FILTER (WHERE success),
    count(tls_us) FILTER (WHERE success), count(ttfb_us) FILTER (WHERE success),
    count(transfer_us) FILTER (WHERE success),
    coalesce(sum(dns_us) FILTER (WHERE success), 0)::bigint,
    coalesce(sum(connect_us) FILTER (WHERE success), 0)::bigint,
    coalesce(sum(tls_us) FILTER (WHERE success), 0)::bigint,
    coalesce(sum(ttfb_us) FILTER (WHERE success), 0)::bigint,
    coalesce(sum(transfer_us) FILTER (WHERE success), 0)::bigint,
    coalesce(string_agg(int8send(response_time_us), '') FILTER (WHERE success), '')
FROM (
    SELECT check_results.*, scheduled_at AS at FROM check_results
    JOIN unnest(%(sinces)s::timestamptz[], %(untils)s::timestamptz[]) AS edge (since, until)
        ON scheduled_at >= edge.since AND scheduled_at < edge.until
    WHERE scheduled_at >= %(since)s AND scheduled_at < %(until)s AND
"""  # noqa: S608 - constants only
    + _ASKED
    + ") AS rows GROUP BY 1, 2, 3, 4"
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
        made: How many checks of each monitor and period count for coverage, if that was asked for.
    """

    sums: dict[Key, Sums] = field(factory=dict)
    made: Counter[tuple[MonitorId, int]] = field(factory=Counter)


async def add_up(connection: Connection, asked: Question) -> Answer:
    """Add up results: by rows of sums where there are some for whole hours."""
    there = await read_spans(connection)
    way = plan(asked.parts, [s for s in there if s.by_location or not asked.by_location])
    answer = Answer()
    found: dict[Key, list[Sums]] = {}
    for query, values in _of_sums(way):
        for number, row in enumerate(await _rows(connection, query, asked, values)):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            monitor_id, location, part, made, *figures = row
            key = MonitorId(monitor_id), location, part - 1
            found.setdefault(key, []).append(_sums(figures, asked.operation, key))
            answer.made[key[0], key[2]] += made
    if way.edges:
        rows = await _rows(connection, _OF_RESULTS, asked, _edges(way))
        most: dict[tuple[MonitorId, int, object], int] = {}
        for number, (monitor_id, location, part, hour, *figures) in enumerate(rows):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            key = MonitorId(monitor_id), location if asked.by_location else None, part - 1
            found.setdefault(key, []).append(_exact_sums(figures))
            place = key[0], key[2], hour
            most[place] = max(figures[0], most.get(place, 0))
        for (monitor_id, part, _), made in most.items():
            answer.made[monitor_id, part] += made
    for number, (key, parts) in enumerate(found.items()):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        answer.sums[key] = Sums.merged(parts)
    return answer


def _of_sums(way: Plan) -> Iterator[tuple[LiteralString, dict[str, object]]]:
    """Return the queries of rows of sums, each with its values."""
    whole = [span for span in way.spans if span[0] != OF_RESULTS]
    for length, since, until in way.spans:
        if length == OF_RESULTS:
            yield _KEY + _SUMS + _OF_HOURS, {"since": since, "until": until}
    if whole:
        lengths, sinces, untils = (list(column) for column in zip(*whole, strict=True))
        yield (
            _KEY + _SUMS + _OF_SPANS,
            {"lengths": lengths, "sinces": sinces, "untils": untils},
        )


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
) -> list[tuple[Any, ...]]:
    always = {
        "tenant_id": asked.tenant_id,
        "monitor_ids": list(asked.monitor_ids),
        "by_location": asked.by_location,
        "coverage": asked.coverage,
        "edges": [part.since for part in asked.parts],
    }
    cursor = connection.cursor(binary=True)
    return await (await cursor.execute(query, {**always, **values})).fetchall()


def _sums(figures: Sequence[Any], operation: str, key: Key) -> Sums:
    """Return the sums in a row of sums.

    Raises:
        CorruptDataError: The sketch is not what this version writes.
    """
    checks, failures, times, total_us, min_us, max_us = figures[:6]
    with reading(operation, "sketch of monitor", key[0]):
        sketch = unpack(*figures[16:])
    return Sums(
        checks=checks,
        failures=failures,
        times=times,
        total_us=total_us,
        min_us=min_us,
        max_us=max_us,
        phase_counts=tuple(figures[6:11]),
        phase_totals_us=tuple(figures[11:16]),
        values=None,
        sketch=sketch,
    )


def _exact_sums(figures: Sequence[Any]) -> Sums:
    """Return the sums in a row that has all response times."""
    times = array("q", figures[12])
    if sys.byteorder == "little":
        times.byteswap()
    return Sums.counted(
        checks=figures[0],
        failures=figures[1],
        values=times,
        phase_counts=tuple(figures[2:7]),
        phase_totals_us=tuple(figures[7:12]),
    )
