"""Measure a 90-day summary as results grow tenfold, and a copy, in both stores.

Run it on an idle machine: .venv/bin/python benchmarks/results.py [--monitors 20] [--a-day 2]

It starts a PostgreSQL and an InfluxDB of its own, records the same results in PostgreSQL and copies
them to InfluxDB as `urlmon results copy` does, lets both roll them up, and asks for the summary of
90 days with the 90 days before it.  Then it does the same with ten times as many results.  What a
summary of a thousand monitors costs in PostgreSQL, benchmarks/answers.py tells.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
from urlmon.domain.statistics import Summary
from urlmon.ports import CheckStatistics
from urlmon.services.result_copy import copy_results
from urlmon.testing.builders import a_result
from urlmon_adapters import influx, postgres
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.servers import InfluxServer, PostgresServer

DAYS = 90
KEPT = timedelta(days=2 * DAYS + 1)
ROUNDS = 5
BOOM = CheckError(kind=ErrorKind.TIMEOUT, message="no answer within 10 s")
CLOCK = SystemClock()


@frozen(kw_only=True)
class Both:
    """The two stores."""

    database: postgres.Database
    bucket: influx.Influx

    async def roll_up(self) -> None:
        """Do the upkeep of both."""
        await postgres.RollupKeeper(self.database).upkeep(KEPT)
        await influx.InfluxRollupKeeper(self.bucket, CLOCK, retention=KEPT).run()


def results_of(
    tenant: TenantId, monitors: Sequence[MonitorId], now: datetime, *, a_day: int
) -> Iterator[CheckResult]:
    """Make results of 90 days, oldest first, one in a hundred failed."""
    step = timedelta(days=1) / a_day
    for number in range(DAYS * a_day, 0, -1):
        for place, monitor in enumerate(monitors):
            yield a_result(
                tenant,
                monitor,
                scheduled_at=now - number * step + place * timedelta(milliseconds=17),
                response_time_us=int(random.lognormvariate(11.5, 0.5)),
                error=None if place % 100 else BOOM,
            )


async def record(both: Both, results: Iterator[CheckResult]) -> None:
    """Record results in PostgreSQL."""
    store = postgres.PostgresCheckResultStore(both.database, CLOCK, retention=KEPT)
    count, took = 0, 0.0
    while batch := [result for _, result in zip(range(5_000), results, strict=False)]:
        started = time.perf_counter()
        await store.record(batch)
        took += time.perf_counter() - started
        count += len(batch)
    print(f"| recording {count:,} in PostgreSQL | {count / took:,.0f} results/s |")


async def copy(both: Both, now: datetime) -> None:
    """Copy everything to InfluxDB, as the command does."""
    started = time.perf_counter()
    done = await copy_results(
        postgres.PostgresCheckResultArchive(both.database),
        influx.InfluxCheckResultStore(both.bucket, CLOCK, retention=KEPT),
        Period(since=now - KEPT, until=now),
        on_progress=lambda progress: progress,
    )
    rate = done.read / (time.perf_counter() - started)
    print(f"| copying {done.read:,} from PostgreSQL to InfluxDB | {rate:,.0f} results/s |")


async def summary(
    store: CheckStatistics, tenant: TenantId, monitors: Sequence[MonitorId], now: datetime
) -> tuple[float, Mapping[MonitorId, Summary]]:
    """Return how many milliseconds a summary takes, and the summary."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    period = Period(since=hour - timedelta(days=DAYS), until=hour)
    times: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = await store.summary(
            tenant, dict.fromkeys(monitors, timedelta(minutes=5)), period=period
        )
        times.append((time.perf_counter() - started) * 1_000)
    return statistics.median(times), found


async def benchmark(both: Both, *, monitors: int, a_day: int) -> None:
    """Print the rows of one size."""
    tenant, ids = TenantId.new(), [MonitorId.new() for _ in range(monitors)]
    now = datetime.now(UTC)
    await record(both, results_of(tenant, ids, now, a_day=a_day))
    await copy(both, now)
    started = time.perf_counter()
    await both.roll_up()
    print(f"| upkeep of the rollups of both | {time.perf_counter() - started:.1f} s |")
    counts: list[dict[MonitorId, int]] = []
    for name, store in (
        ("PostgreSQL", postgres.PostgresCheckStatistics(both.database)),
        ("InfluxDB", influx.InfluxCheckStatistics(both.bucket)),
    ):
        took, found = await summary(store, tenant, ids, now)
        counts.append({each: found[each].statistics.checks for each in ids})
        print(f"| {DAYS} days of {monitors:,} monitors, {name} | {took:.0f} ms |")
    assert counts[0] == counts[1]


@asynccontextmanager
async def opened(database: PostgresServer, bucket: InfluxServer) -> AsyncIterator[Both]:
    """Open both stores."""
    await postgres.Migrations(database.url).apply()
    pool = postgres.build_pool(database.url)
    client = influx.Influx(bucket.url, Secret(bucket.token), org=bucket.org, bucket=bucket.bucket)
    await pool.open(wait=True)
    await client.open()
    try:
        await influx.ensure_bucket(client, retention=KEPT)
        yield Both(database=postgres.Database(pool), bucket=client)
    finally:
        await client.close()
        await pool.close()


async def run(database: PostgresServer, bucket: InfluxServer, monitors: int, a_day: int) -> None:
    """Print a table for each size."""
    async with opened(database, bucket) as both:
        for factor in (1, 10):
            print(f"\n| {factor * a_day} a day of each monitor | |\n|---|---|")
            await benchmark(both, monitors=monitors, a_day=factor * a_day)


def main() -> None:
    """Run it on servers of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--monitors", type=int, default=20)
    parser.add_argument("--a-day", type=int, default=2)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        with (
            PostgresServer(Path(folder) / "postgres") as database,
            InfluxServer(Path(folder) / "influxdb") as bucket,
        ):
            print(f"PostgreSQL {database.version}, InfluxDB {bucket.version}")
            asyncio.run(run(database, bucket, given.monitors, given.a_day))


if __name__ == "__main__":
    main()
