"""Measure what questions about check results cost in PostgreSQL, of a thousand monitors and more.

Run it on an idle machine: .venv/bin/python benchmarks/answers.py [--monitors 1000]

It starts a PostgreSQL of its own.  A summary of 90 days, with the 90 days before, reads rows of
sums only, so these are what it is given, at one result an hour and monitor and at ten: as the
upkeep makes them, from made-up response times, as to record 43 million results takes too long.  Of
hours and six hours there are those of the days at the edges of the periods, and of the longer spans
all.  The latest results are looked for among results, by hand with `LATERAL`, too.  It prints the
tables in docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.sketches import Sketch
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    Pool,
    PostgresCheckResultStore,
    PostgresCheckStatistics,
    build_pool,
)
from urlmon_adapters.postgres._sketch_bytes import ranges
from urlmon_adapters.servers import PostgresServer

DAYS: Final = 90
HOUR: Final = timedelta(hours=1)
ROUNDS: Final = 7
SORTS: Final = 20  # of spans of one length, so that not all have the same response times
SUMS: Final = """
INSERT INTO check_rollups (
    tenant_id, hours, monitor_id, start_at, location, checks, made, times, total_us, min_us, max_us,
    dns_times, dns_total_us, connect_times, connect_total_us, tls_times, tls_total_us, ttfb_times,
    ttfb_total_us, transfer_times, transfer_total_us, sketch
)
SELECT %(tenant)s, %(hours)s, monitor, at, %(location)s, n, n, n, total, least, most,
    n, total / 20, n, total / 10, n, total / 5, n, total / 2, n, total / 10, sketch
FROM generate_series(%(since)s::timestamptz, %(until)s, make_interval(hours => %(hours)s)) AS at
CROSS JOIN unnest(%(monitors)s::uuid[]) WITH ORDINALITY AS owner (monitor, place)
JOIN unnest(
    %(counts)s::bigint[], %(totals)s::bigint[], %(least)s::bigint[], %(most)s::bigint[],
    %(sketches)s::bytea[]
) WITH ORDINALITY AS sort (n, total, least, most, sketch, number)
    ON number = 1 + (place + extract(epoch FROM at)::bigint / 3600) %% %(sorts)s
"""
RESULTS: Final = """
INSERT INTO check_results (
    tenant_id, monitor_id, location, scheduled_at, checked_at, success, status_code,
    response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us, size_bytes
)
SELECT %(tenant)s, monitor, 'default', at, at, true, 200, 90000, 900, 9000, 20000, 50000, 100, 20000
FROM generate_series(%(since)s::timestamptz, %(until)s, interval '1 day') AS at
CROSS JOIN unnest(%(monitors)s::uuid[]) AS monitor
"""
LATEST: Final = """
SELECT newest.* FROM unnest(%s::uuid[]) AS asked (id) CROSS JOIN LATERAL (
    SELECT * FROM check_results WHERE tenant_id = %s AND monitor_id = asked.id
    ORDER BY scheduled_at DESC LIMIT 1
) AS newest
"""


def sort_of_sums(hours: int, a_hour: int) -> tuple[int, int, int, int, bytes]:
    """Return what results of a span amount to: their number, sum, least and most, and sketch."""
    times = [int(random.lognormvariate(11.3, 0.5)) for _ in range(hours * a_hour)]
    sketch = ranges(times)
    if hours > 1:
        counts = Sketch.of(times).counts
        lowest, highest = min(counts), max(counts)
        lanes = [counts.get(number, 0) for number in range(highest, lowest - 1, -1)]
        sketch = struct.pack(f">H{len(lanes)}I", lowest, *lanes)
    return len(times), sum(times), min(times), max(times), sketch


async def fill_sums(
    pool: Pool, tenant: TenantId, ids: Sequence[MonitorId], now: datetime, *, a_hour: int
) -> None:
    """Put sums in, those of an earlier time first."""
    edges = [now - 2 * timedelta(days=DAYS), now - timedelta(days=DAYS), now]
    async with pool.connection() as connection:
        await connection.execute("TRUNCATE check_rollups")
        for hours in (672, 168, 24, 6, 1):
            sorts = [sort_of_sums(hours, a_hour) for _ in range(SORTS)]
            columns = [list(column) for column in zip(*sorts, strict=True)]
            step = hours * HOUR
            # From four weeks before the first period on, or those of the days at the edges.
            floor = datetime(1970, 1, 5, tzinfo=UTC)
            begins = [floor + (edges[0] - 28 * timedelta(days=1) - floor) // step * step]
            ends = [floor + (now - floor) // step * step - step]
            if hours < 24:
                begins = [edge.replace(hour=0) for edge in edges]
                ends = [begin + timedelta(days=1) - step for begin in begins]
            for since, until in zip(begins, ends, strict=True):
                values = {
                    "tenant": tenant,
                    "monitors": list(ids),
                    "hours": hours,
                    "location": "default" if hours == 1 else "",
                    "since": since,
                    "until": until,
                    "sorts": SORTS,
                    **dict(
                        zip(("counts", "totals", "least", "most", "sketches"), columns, strict=True)
                    ),
                }
                await connection.execute(SUMS, values)
        await connection.execute("VACUUM ANALYZE check_rollups")


async def milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    """Return the median time of a call, after a first one."""
    times: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await call()
        times.append((time.perf_counter() - started) * 1_000)
    return statistics.median(times[1:])


async def questions(
    pool: Pool, tenant: TenantId, ids: Sequence[MonitorId], now: datetime, *, a_hour: int
) -> dict[str, float]:
    """Return what each question costs."""
    asked = PostgresCheckStatistics(Database(pool))
    intervals = dict.fromkeys(ids, HOUR / a_hour)
    period = Period(since=now - timedelta(days=DAYS), until=now)
    first, last = period.since.date() + timedelta(days=1), now.date() - timedelta(days=1)
    for found in (await asked.summary(tenant, intervals, period=period)).values():
        assert found.previous
        for each in (found, found.previous):
            assert each.statistics.checks == DAYS * 24 * a_hour
            assert each.coverage == 1
    return {
        f"summary of {len(ids):,} monitors, {DAYS} days and the {DAYS} before": await milliseconds(
            lambda: asked.summary(tenant, intervals, period=period)
        ),
        "daily bars of 20 monitors": await milliseconds(
            lambda: asked.daily(tenant, ids[:20], first=first, last=last)
        ),
        "usage of the tenant, by days": await milliseconds(
            lambda: asked.usage(tenant, first=first, last=last)
        ),
    }


async def latest(pool: Pool, tenant: TenantId, ids: Sequence[MonitorId]) -> None:
    """Print what the latest results cost: as bare rows by hand, and as results."""
    now = datetime.now(UTC).replace(microsecond=0)
    values = {"tenant": tenant, "monitors": list(ids), "until": now, "since": now - 50 * 24 * HOUR}
    async with pool.connection() as connection:
        for days in (0, 30, 60):
            month = (now - timedelta(days=days)).date()
            await connection.execute("SELECT create_monthly_partition(%s)", [month])
        await connection.execute(RESULTS, values)
        await connection.execute("VACUUM ANALYZE check_results")
    database = Database(pool)
    store = PostgresCheckResultStore(database, SystemClock(), retention=timedelta(days=DAYS))
    pages = [ids[first : first + 1_000] for first in range(0, len(ids), 1_000)]

    async def by_hand() -> None:
        async with database.tenant("benchmark", tenant) as connection:
            for page in pages:
                await (await connection.execute(LATEST, (list(page), tenant))).fetchall()

    async def of_the_store() -> None:
        for page in pages:
            assert len(await store.latest(tenant, page)) == len(page)

    hand, ours = await milliseconds(by_hand), await milliseconds(of_the_store)
    print(f"\nLatest of {len(ids):,} monitors, medians of {ROUNDS - 1}\n\n| | |\n|---|---|")
    print(f"| by hand, as bare rows | {hand:.0f} ms |")
    print(f"| as results | {ours:.0f} ms (by hand times {ours / hand:.2f}) |")


async def run(server: PostgresServer, monitors: int) -> None:
    """Print the tables."""
    await Migrations(server.url).apply()
    tenant, ids = TenantId.new(), [MonitorId.new() for _ in range(2 * monitors)]
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    async with build_pool(server.url) as pool:
        found: list[dict[str, float]] = []
        for a_hour in (1, 10):
            await fill_sums(pool, tenant, ids[:monitors], now, a_hour=a_hour)
            found.append(await questions(pool, tenant, ids[:monitors], now, a_hour=a_hour))
        results = 2 * DAYS * 24 * monitors
        print(f"\nMedians of {ROUNDS - 1}\n")
        print(f"| | {results:,} results | {10 * results:,} results |\n|---|---|---|")
        for name, took in found[0].items():
            print(f"| {name} | {took:.0f} ms | {found[1][name]:.0f} ms |")
        await latest(pool, tenant, ids)


def main() -> None:
    """Run it on a server of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--monitors", type=int, default=1_000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer(Path(folder) / "server", version="18") as server,
    ):
        print(f"PostgreSQL {server.version}")
        asyncio.run(run(server, given.monitors))


if __name__ == "__main__":
    main()
