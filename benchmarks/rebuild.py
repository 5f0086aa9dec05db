"""Measure how long it takes to rebuild the working state of many monitors from PostgreSQL.

Run it on an idle machine: .venv/bin/python benchmarks/rebuild.py [--monitors 20000]
It starts a PostgreSQL and a Redis of its own and prints the rows of the table in
docs/reference/performance.md.  One monitor in twenty has failed of late, and one in a hundred has
an open alert.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psycopg
from dependency_injector.providers import Object

from urlmon_adapters import postgres, redis
from urlmon_adapters._upkeep import wire_upkeep
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.servers import PostgresServer, RedisServer

TENANTS = 100
ROWS = """
SET session_replication_role = replica;

CREATE FUNCTION pg_temp.uid(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

INSERT INTO tenants
    (id, slug, name, status, max_monitors, shortest_interval_seconds, created_at, updated_at,
    version)
SELECT pg_temp.uid(1, n), 't' || n, 'T', 'active', 1000000, 1, now(), now(), 1
FROM generate_series(0, {tenants} - 1) AS n;

INSERT INTO monitors (
    tenant_id, id, name, url, method, headers, expected_statuses, interval_seconds, timeout_ms,
    locations, failure_threshold, recovery_threshold, enabled, tags, created_at, updated_at, version
)
SELECT pg_temp.uid(1, n % {tenants}), pg_temp.uid(2, n), 'Monitor ' || n,
    'https://example.com/' || n, 'GET', '[]', '{{200-299}}', 60, 10000, '{{default}}', 3, 2, true,
    '{{}}', now(), now(), 1
FROM generate_series(1, {monitors}) AS n;
INSERT INTO monitor_changes
SELECT tenant_id, id, (10 + row_number() OVER () / 500)::text::xid8 FROM monitors;

INSERT INTO alerts (tenant_id, id, monitor_id, rule, cause, opened_at)
SELECT pg_temp.uid(1, n % {tenants}), pg_temp.uid(3, n), pg_temp.uid(2, n), 'availability',
    'slow', now() - interval '10 minutes'
FROM generate_series(100, {monitors}, 100) AS n;

INSERT INTO check_results (
    tenant_id, monitor_id, location, scheduled_at, checked_at, success, error_kind, error_message
)
SELECT pg_temp.uid(1, m % {tenants}), pg_temp.uid(2, m), 'default', at, at, m % 20 <> 0,
    CASE WHEN m % 20 = 0 THEN 'timeout' END, CASE WHEN m % 20 = 0 THEN 'slow' END
FROM generate_series(1, {monitors}) AS m
CROSS JOIN LATERAL generate_series(1, 5) AS n
CROSS JOIN LATERAL (SELECT date_trunc('minute', now()) - n * interval '1 minute' AS at) AS due;

RESET session_replication_role;
ANALYZE;
"""


async def measure(database: postgres.Database, client: redis.RedisClient, monitors: int) -> None:
    """Rebuild the working state of an empty Redis, and print the row."""
    schedule = redis.RedisSchedule(client)
    results = postgres.PostgresCheckResultStore(
        database, SystemClock(), retention=timedelta(days=90)
    )
    upkeep = wire_upkeep(
        working_state=Object(redis.RedisWorkingState(client)),
        directory=Object(postgres.PostgresMonitorDirectory(database)),
        alerts=Object(postgres.PostgresAlertRepo(database)),
        results=Object(results),
        schedule=Object(schedule),
        alert_state=Object(redis.RedisAlertStateCache(client)),
        outbox=Object(redis.RedisTransitionOutbox(client)),
        counters=Object(redis.RedisFailureCounters(client)),
        locks=Object(redis.RedisLocks(client)),
    )()
    started, worked = time.perf_counter(), time.process_time()
    await upkeep.repair()
    took, worked = time.perf_counter() - started, time.process_time() - worked
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert (await schedule.backlog()).scheduled == monitors
    print(
        f"| rebuilding the working state of {monitors:,} monitors | {took:.1f} s, "
        f"{monitors / took:,.0f} monitors/s | {worked:.1f} s of the processor, {size:.0f} MB |"
    )


async def run(postgres_url: str, redis_url: str, monitors: int) -> None:
    """Fill PostgreSQL, and measure."""
    await postgres.Migrations(postgres_url).apply()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(ROWS.format(tenants=TENANTS, monitors=monitors).encode())
    client = redis.RedisClient(redis.build_topology(redis_url))
    async with postgres.build_pool(postgres_url) as pool:
        await measure(postgres.Database(pool), client, monitors)
    await client.aclose()


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=20_000)
    monitors = parser.parse_args().monitors
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer(Path(folder) / "postgres", durable=False) as database,
        RedisServer(Path(folder) / "redis", durable=False) as server,
    ):
        print(f"{os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"PostgreSQL {database.version}, Redis {server.version}")
        asyncio.run(run(database.url, server.url, monitors))


if __name__ == "__main__":
    main()
