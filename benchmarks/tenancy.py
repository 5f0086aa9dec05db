"""Measure what keeping tenants apart costs: in each transaction, and in ingest.

Run it on an idle machine: .venv/bin/python benchmarks/tenancy.py
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_monitor, a_result, a_tenant
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    Pool,
    PostgresCheckResultStore,
    PostgresMonitorRepo,
    PostgresTenantRepo,
    build_pool,
)
from urlmon_adapters.servers import PostgresServer

TRANSACTIONS = 3_000
MONITORS = 1_000
ROWS = 200_000
BATCH = 5_000
GET = "SELECT * FROM monitors WHERE tenant_id = %s AND id = %s"
COPY = """
COPY check_results (tenant_id, monitor_id, location, scheduled_at, checked_at, success,
    status_code, response_time_us) FROM STDIN (FORMAT binary)
"""
TYPES = ["uuid", "uuid", "text", "timestamptz", "timestamptz", "bool", "int2", "int8"]

Call = Callable[[], Awaitable[object]]


async def medians(calls: dict[str, Call]) -> dict[str, float]:
    """Return the median time of each call in milliseconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(TRANSACTIONS + 100):
        for name, call in calls.items():
            started = time.perf_counter()
            await call()
            if number >= 100:
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


async def transactions(pool: Pool, tenant_id: TenantId, monitor_id: MonitorId) -> None:
    """Print what a transaction of one query costs, with and without the tenant's walls."""
    database = Database(pool)

    async def plain() -> None:
        async with pool.transaction() as connection:
            await connection.execute(GET, (tenant_id, monitor_id))

    async def walled() -> None:
        async with database.tenant("benchmark", tenant_id) as connection:
            await connection.execute(GET, (tenant_id, monitor_id))

    found = await medians({"plain": plain, "walled": walled})
    cost = found["walled"] - found["plain"]
    print(f"transaction of one query, with the login's rights    {found['plain']:.3f} ms")
    print(f"the same by Database.tenant, row security applied   {found['walled']:.3f} ms")
    print(f"cost of tenancy                                     {cost:.3f} ms")


async def copied(pool: Pool, role: str, start: datetime) -> float:
    """Return the rows a second that COPY stores with a role."""
    tenant_id, monitors = TenantId.new(), [MonitorId.new() for _ in range(MONITORS)]
    started = time.perf_counter()
    for first in range(0, ROWS, BATCH):
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT set_config('role', %s, true)", [role])
            async with connection.cursor().copy(COPY) as copy:
                copy.set_types(TYPES)
                for number in range(first, first + BATCH):
                    at = start + timedelta(seconds=number // MONITORS)
                    monitor_id = monitors[number % MONITORS]
                    await copy.write_row((tenant_id, monitor_id, "fra", at, at, True, 200, 123_456))
    return ROWS / (time.perf_counter() - started)


async def recorded(pool: Pool, start: datetime) -> float:
    """Return the rows a second that `CheckResultStore.record` stores."""
    store = PostgresCheckResultStore(Database(pool), SystemClock(), retention=timedelta(days=90))
    tenant_id, monitors = TenantId.new(), [MonitorId.new() for _ in range(MONITORS)]
    seconds = 0.0
    for first in range(0, ROWS // 4, BATCH):
        batch = [
            a_result(
                tenant_id,
                monitors[number % MONITORS],
                scheduled_at=start + timedelta(seconds=number // MONITORS),
            )
            for number in range(first, first + BATCH)
        ]
        for part in range(0, BATCH, 1_000):
            started = time.perf_counter()
            await store.record(batch[part : part + 1_000])
            seconds += time.perf_counter() - started
    return ROWS / 4 / seconds


async def measure(url: str) -> None:
    """Print all figures."""
    await Migrations(url).apply()
    async with build_pool(url) as pool:
        tenant = await PostgresTenantRepo(Database(pool)).add(a_tenant())
        repo = PostgresMonitorRepo(Database(pool))
        monitors = [a_monitor(tenant.id) for _ in range(20)]
        for monitor in monitors:
            await repo.add(tenant.id, monitor)
        await transactions(pool, tenant.id, monitors[0].id)
        now = datetime.now(UTC) - timedelta(hours=1)
        for role in ("postgres", "urlmon_ingest", "postgres", "urlmon_ingest"):
            rate = await copied(pool, role, now)
            print(f"COPY as {role:<15} batches of {BATCH:,}        {rate:,.0f} rows/s")
        rate = await recorded(pool, now)
        print(f"CheckResultStore.record, batches of 1,000           {rate:,.0f} rows/s")


def main() -> None:
    """Measure on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgres", durable=False)
        server.start()
        try:
            asyncio.run(measure(server.url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
