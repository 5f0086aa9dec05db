"""Measure how long writes and reads wait while partitions are made, filled and dropped.

Run it on an idle machine: .venv/bin/python benchmarks/partitions.py
While 2,000 check results a second arrive, each round puts rows of a past month into the default
partition, lets the keeper make the month's partition and move them, and lets it drop the partition.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PartitionKeeper,
    PostgresCheckResultStore,
    build_pool,
)
from urlmon_adapters.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCH = 100
PERIOD_SECONDS = 0.05
ROUNDS = 12
QUIET_SECONDS = 20
ROWS_A_ROUND = 50_000
KEEP = timedelta(days=90)
LOGIN = """
CREATE ROLE service LOGIN NOINHERIT PASSWORD 'service' IN ROLE urlmon_tenant, urlmon_service
"""
STRAY = """
INSERT INTO check_results (tenant_id, monitor_id, location, scheduled_at, checked_at, success)
SELECT gen_random_uuid(), gen_random_uuid(), 'eu', at, at, true
FROM generate_series(%s::timestamptz, %s::timestamptz, %s::interval) AS at
"""


class Load:
    """Calls something in a fixed rhythm, and keeps how long after its due time each was done."""

    def __init__(self, call: Callable[[], Awaitable[object]]) -> None:
        self._call = call
        self.delays_ms: list[float] = []

    async def run(self) -> None:
        """Go on until cancelled."""
        due = time.perf_counter()
        while True:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await self._call()
            self.delays_ms.append((time.perf_counter() - due) * 1_000)
            due += PERIOD_SECONDS


async def measure(
    store: PostgresCheckResultStore, name: str, work: Callable[[], Awaitable[object]]
) -> None:
    """Print the delays of writes and reads while some work is done."""
    tenant, monitors = TenantId.new(), [MonitorId.new() for _ in range(BATCH)]

    async def write() -> None:
        now = datetime.now(UTC)
        await store.record([a_result(tenant, each, scheduled_at=now) for each in monitors])

    async def read() -> None:
        await store.latest(tenant, monitors[:20])

    loads = {"writes of 100": Load(write), "reads of the latest 20": Load(read)}
    tasks = [asyncio.create_task(load.run()) for load in loads.values()]
    await work()
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, asyncio.CancelledError), outcome
    for what, load in loads.items():
        delays = load.delays_ms
        worst = ", ".join(f"{each:.0f}" for each in sorted(delays)[-3:])
        print(
            f"| {name}: {len(delays)} {what} | median {statistics.median(delays):.1f} ms,"
            f" p99 {statistics.quantiles(delays, n=100)[98]:.0f} ms, longest {worst} ms |"
        )


async def rounds(url: str, keeper: PartitionKeeper) -> None:
    """Have partitions with rows made and dropped, one a round."""
    took: dict[str, list[float]] = {"make and move": [], "drop": []}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        for number in range(ROUNDS):
            first = datetime(2010 + number, 5, 1, tzinfo=UTC)
            step = timedelta(days=30) / ROWS_A_ROUND
            await owner.execute(STRAY, (first, first + timedelta(days=30) - step, step))
            started = time.perf_counter()
            assert len(await keeper.ensure()) == 1
            took["make and move"].append((time.perf_counter() - started) * 1_000)
            await asyncio.sleep(0.5)
            started = time.perf_counter()
            (gone,) = await keeper.drop(KEEP)
            took["drop"].append((time.perf_counter() - started) * 1_000)
            assert gone.from_at == first
            await asyncio.sleep(0.5)
    for what, times in took.items():
        print(
            f"| {ROUNDS} times {what} {ROWS_A_ROUND:,} rows |"
            f" median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms |"
        )


async def benchmark(url: str) -> None:
    """Print the figures without and with upkeep."""
    await Migrations(url).apply()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute(LOGIN)
    pool = build_pool(f"postgresql://service:service@{url.rpartition('@')[2]}")
    await pool.open(wait=True)
    try:
        store = PostgresCheckResultStore(Database(pool), SystemClock(), retention=KEEP)
        keeper = PartitionKeeper(Database(pool), SystemClock())
        await measure(store, "at rest", lambda: asyncio.sleep(QUIET_SECONDS))
        await measure(store, "during upkeep", lambda: rounds(url, keeper))
    finally:
        await pool.close()


def main() -> None:
    """Run it on a server of its own that keeps what it was given, as a production server does."""
    logging.basicConfig(level=logging.WARNING)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        PostgresServer(Path(folder) / "postgres") as server,
    ):
        Path(folder).chmod(0o711)
        print(f"PostgreSQL {server.version}")
        asyncio.run(benchmark(server.url))


if __name__ == "__main__":
    main()
