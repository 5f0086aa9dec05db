"""Measure how many checks a second one checker process makes, from the claim to the stored result.

Run it on an idle machine: .venv/bin/python benchmarks/checker.py [--monitors 2000] [--seconds 20]
It starts a PostgreSQL and a Redis of its own, and a site on the loopback interface that answers at
once; every monitor is due every second, so that there is always more to do than can be done.  All
share the machine's cores.  It prints a row of the table in docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import psycopg

from urlmon.domain.tenants import TenantLimits
from urlmon.testing.builders import a_monitor, a_tenant
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresMonitorRepo,
    PostgresTenantRepo,
    build_pool,
)
from urlmon_adapters.servers import PostgresServer, RedisServer

CHECKER = Path(__file__).parents[1] / "examples" / "checker.py"
SECOND = timedelta(seconds=1)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def prepare(url: str, site: str, monitors: int) -> None:
    """Make a tenant with its monitors."""
    await Migrations(url).apply()
    async with build_pool(url) as pool:
        limits = TenantLimits(max_monitors=monitors, shortest_interval=SECOND)
        tenant = await PostgresTenantRepo(Database(pool)).add(a_tenant(limits=limits))
        repo = PostgresMonitorRepo(Database(pool))
        for _ in range(monitors):
            monitor = a_monitor(tenant.id, url=site, interval=SECOND, timeout=SECOND)
            await repo.add(tenant.id, monitor)


async def stored(url: str) -> int:
    """Return how many results there are."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM check_results")).fetchone()
        assert row is not None
        return int(row[0])


async def measure(postgres: str, redis: str, monitors: int, seconds: float) -> None:
    """Run a checker and print how many results it stored."""
    site = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = site.sockets[0].getsockname()[1]
    await prepare(postgres, f"http://127.0.0.1:{port}/", monitors)
    checker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHECKER), "--with-parent"),
        env=os.environ | {"DATABASE_URL": postgres, "REDIS_URL": redis},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert checker.stdout is not None
    assert checker.stdin is not None
    assert b"ready" in await checker.stdout.readline()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(min(5, seconds))
    before, started = await stored(postgres), loop.time()
    await asyncio.sleep(seconds)
    rate = (await stored(postgres) - before) / (loop.time() - started)
    checker.stdin.close()
    await checker.wait()
    site.close()
    assert rate > 0
    print("| what | figure | aim |")
    print("|---|---|---|")
    print(f"| checks of one checker process, {monitors:,} due every second | {rate:,.0f}/s | |")


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        PostgresServer(Path(name) / "postgres", version="18") as postgres,
        RedisServer(Path(name) / "redis", durable=False) as redis,
    ):
        versions = f"PostgreSQL {postgres.version}, Redis {redis.version}"
        print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
        asyncio.run(measure(postgres.url, redis.url, given.monitors, given.seconds))


if __name__ == "__main__":
    main()
