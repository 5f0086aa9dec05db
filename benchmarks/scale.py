"""Measure the repositories at 10,000 tenants and 100,000 monitors of one, and what removal takes.

Run it on an idle machine: .venv/bin/python benchmarks/scale.py
It starts a PostgreSQL of its own, durable, in a temporary folder, and prints the rows of the table
in docs/reference/performance.md.  It takes about three minutes and 1 GB of disk.
"""

from __future__ import annotations

import asyncio
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from urlmon.domain.alerts import AlertStatus
from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.services.sweep import Sweep
from urlmon.testing.builders import a_monitor
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresAlertRepo,
    PostgresCheckResultStore,
    PostgresCheckStatistics,
    PostgresMonitorDirectory,
    PostgresMonitorRepo,
    PostgresRemovals,
    PostgresTenantRepo,
    build_pool,
)
from urlmon_adapters.servers import PostgresServer

SCRIPT = Path(__file__).with_name("scale.sql")
RUNS = 100
# A monitor with 1,000,000 results and 10,000 alerts: one a minute for two years.
HEAVY = """
INSERT INTO check_results
    (tenant_id, monitor_id, location, scheduled_at, checked_at, success, status_code)
SELECT %(tenant)s, %(monitor)s, 'default', at, at, true, 200
FROM generate_series(1, 950000) AS n
CROSS JOIN LATERAL (SELECT now() - interval '40 days' - n * interval '1 minute' AS at) AS due
"""
ROWS = """
SELECT (SELECT count(*) FROM check_results), (SELECT count(*) FROM monitors),
    (SELECT count(*) FROM alerts), (SELECT count(*) FROM removed_monitors)
"""


def an_id(kind: int, number: int) -> UUID:
    """Return an id as the script makes them."""
    return UUID(f"{kind:08x}-0000-7000-8000-{number:012x}")


BIG = TenantId(an_id(1, 0))
HEAVIEST = MonitorId(an_id(2, 1))


async def measured(
    name: str, call: Callable[[int], Awaitable[object]], *, runs: int = RUNS
) -> None:
    """Print the median and the 99th percentile of a call."""
    times: list[float] = []
    for run in range(runs):
        started = time.perf_counter()
        await call(run)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    print(f"| {name} | {times[runs // 2]:.1f} ms | {times[runs * 99 // 100]:.1f} ms |", flush=True)


async def measure_reads(database: Database) -> None:
    """Measure lists and a dashboard."""
    tenants, monitors = PostgresTenantRepo(database), PostgresMonitorRepo(database)
    alerts, directory = PostgresAlertRepo(database), PostgresMonitorDirectory(database)
    results = PostgresCheckResultStore(database, SystemClock(), retention=timedelta(days=90))
    statistics = PostgresCheckStatistics(database)
    rare = ChannelId(an_id(3, 1))
    cursors: list[str | None] = [None]
    for _ in range(RUNS):
        page = await monitors.list(BIG, cursor=cursors[-1])
        cursors.append(page.next_cursor)

    async def dashboard(_: int) -> None:
        shown = (await monitors.list(BIG, limit=1000)).items
        ids = [monitor.id for monitor in shown]
        now = datetime.now(UTC)
        await alerts.open_for(BIG, ids)
        await results.latest(BIG, ids)
        period = Period(since=now - timedelta(hours=1), until=now)
        await statistics.summary(
            BIG, {monitor.id: monitor.interval for monitor in shown}, period=period
        )

    await measured("a tenant", lambda _: tenants.get(BIG))
    await measured("tenants, a page of 100", lambda _: tenants.list())
    await measured(
        "monitors, a page of 100, anywhere", lambda run: monitors.list(BIG, cursor=cursors[run])
    )
    await measured("monitors with a rare tag", lambda _: monitors.list(BIG, tag="rare"))
    await measured("monitors of a rare channel", lambda _: monitors.list(BIG, channel_id=rare))
    await measured("monitors that are paused", lambda _: monitors.list(BIG, enabled=False))
    await measured("alerts, a page of 100", lambda _: alerts.list(BIG))
    await measured(
        "alerts that fire, a page of 100",
        lambda _: alerts.list(BIG, status=AlertStatus.FIRING),
    )
    await measured("directory, a page of 1,000", lambda _: directory.list_active(), runs=50)
    await measured("dashboard of 1,000 monitors, nine queries", dashboard, runs=50)
    await measured("adding a monitor", lambda _: monitors.add(BIG, a_monitor(BIG)))


async def measure_removal(database: Database, admin: psycopg.Connection) -> None:
    """Measure removals, and what the sweep then has to do."""
    tenants, monitors = PostgresTenantRepo(database), PostgresMonitorRepo(database)
    results = PostgresCheckResultStore(database, SystemClock(), retention=timedelta(days=90))
    sweep = Sweep(PostgresRemovals(database), results, SystemClock(), grace=timedelta(days=90))
    await sweep.run()
    plain = (await monitors.list(BIG, limit=RUNS, tag="common")).items[1:]
    await measured(
        "removing a monitor with an alert",
        lambda run: monitors.remove(BIG, plain[run].id),
        runs=len(plain),
    )
    await sweep.run()
    await measured(
        "removing the monitor with 1,000,000 results and 10,000 alerts",
        lambda _: monitors.remove(BIG, HEAVIEST),
        runs=1,
    )
    await swept("its results", sweep, admin)
    await measured(
        "removing the tenant with 100,000 monitors", lambda _: tenants.remove(BIG), runs=1
    )
    await swept("the tenant", sweep, admin)


async def swept(what: str, sweep: Sweep, admin: psycopg.Connection) -> None:
    """Sweep, and print how many rows went, and how long the longest step took."""
    before = admin.execute(ROWS).fetchone() or ()
    started, longest, more = time.perf_counter(), 0.0, True
    while more:
        began = time.perf_counter()
        more = await sweep.step()
        longest = max(longest, time.perf_counter() - began)
    seconds = time.perf_counter() - started
    after = admin.execute(ROWS).fetchone() or ()
    gone = [old - new for old, new in zip(before, after, strict=True)][:3]
    print(
        f"| sweeping {what}: {gone[0]:,} results, {gone[1]:,} monitors, {gone[2]:,} alerts"
        f" | {seconds:.1f} s, {sum(gone) / seconds:,.0f} rows/s"
        f" | longest step {longest * 1000:.0f} ms |",
        flush=True,
    )


async def main() -> None:
    """Load a database, and print the machine and the figures."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgresql")
        server.start()
        try:
            print(f"{platform.system()} {platform.machine()}, PostgreSQL {server.version}")
            await Migrations(server.url).apply()
            with psycopg.connect(server.url, autocommit=True) as admin:
                with admin.transaction():
                    admin.execute(SCRIPT.read_bytes())
                    admin.execute(HEAVY.encode(), {"tenant": BIG, "monitor": HEAVIEST})
                admin.execute("VACUUM ANALYZE")
                print("| call | median | 99th percentile |\n|---|---|---|")
                async with build_pool(server.url) as pool:
                    await measure_reads(Database(pool))
                    await measure_removal(Database(pool), admin)
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())
