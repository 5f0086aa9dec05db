"""What the health check of PostgreSQL finds."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import make_conninfo

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres._database import Database, Pool, build_pool
from urlmon_adapters.postgres.check_results import PostgresCheckResultStore
from urlmon_adapters.postgres.health import PostgresHealthCheck
from urlmon_adapters.postgres.migrations import Migrations
from urlmon_adapters.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from urlmon.ports import Clock


@asynccontextmanager
async def check_of(
    url: str, *, clock: Clock | None = None, largest: int = 8, timeout_seconds: float = 10
) -> AsyncIterator[tuple[PostgresHealthCheck, Pool]]:
    """Open a pool of its own on a database, and a check over it."""
    pool = build_pool(url, largest=largest, timeout_seconds=timeout_seconds)
    await pool.open(wait=False)
    try:
        yield PostgresHealthCheck(pool, clock or SystemClock(), Migrations(url)), pool
    finally:
        await pool.close()


async def health_of(url: str, *, clock: Clock | None = None) -> ComponentHealth:
    """Check a database once."""
    async with check_of(url, clock=clock) as (check, _):
        return await check.check()


async def test_a_fresh_database_is_well(postgres_url: str) -> None:
    """It tells the server's version, the schema, the partitions, the clocks and the pool."""
    found = await health_of(postgres_url)
    assert (found.name, found.status, found.problems) == ("postgresql", HealthStatus.PASS, ())
    assert found.version is not None
    assert re.fullmatch(r"1[5-9](\.\d+)?", found.version)
    details = dict(found.details)
    assert list(details) == [
        "round trip",
        "clock offset",
        "migrations",
        "partitions",
        "default partition",
        "row-level security",
        "pool",
    ]
    assert re.fullmatch(r"\d+\.\d ms", details["round trip"])
    assert re.fullmatch(r"[+-][0-4]\.\d{3} s", details["clock offset"])
    assert re.fullmatch(r"[1-9]\d* applied, 0 pending", details["migrations"])
    assert details["partitions"] == "3 months ahead"
    assert details["default partition"] == "empty"
    assert re.fullmatch(r"\d of 8 connections, \d free, 0 calls waiting", details["pool"])


async def test_pending_migrations_fail(empty_postgres_url: str) -> None:
    """Without its schema it does not serve."""
    found = await health_of(empty_postgres_url)
    assert found.status is HealthStatus.FAIL
    assert [problem for problem in found.problems if "run `urlmon migrate`" in problem]
    assert dict(found.details)["migrations"].startswith("0 applied, ")


async def test_another_history_is_a_warning(postgres_pool: Pool, postgres_url: str) -> None:
    """A migration that no file has is to be looked at."""
    async with postgres_pool.connection() as connection:
        await connection.execute(
            "INSERT INTO schema_migrations (version, description) VALUES ('000_other', 'x')"
        )
    found = await health_of(postgres_url)
    assert found.status is HealthStatus.WARN
    assert [problem for problem in found.problems if "urlmon migrate status" in problem]


@pytest.mark.parametrize(("months", "status"), [(1, HealthStatus.PASS), (2, HealthStatus.WARN)])
async def test_few_partitions_are_a_warning(
    postgres_pool: Pool, postgres_url: str, months: int, status: HealthStatus
) -> None:
    """Two months ahead are enough; one is not."""
    async with postgres_pool.connection() as connection:
        rows = await connection.execute(
            "SELECT partition::text FROM check_result_partitions() ORDER BY from_at DESC"
        )
        for (name,) in (await rows.fetchall())[:months]:
            await connection.execute(f"DROP TABLE {name}".encode())
    found = await health_of(postgres_url)
    assert found.status is status
    assert dict(found.details)["partitions"] == f"{3 - months} months ahead"
    assert len(found.problems) == months - 1


async def test_a_gap_ends_what_lies_ahead(postgres_pool: Pool, postgres_url: str) -> None:
    """Partitions beyond a month that has none help nobody when that month comes."""
    async with postgres_pool.connection() as connection:
        rows = await connection.execute(
            "SELECT partition::text FROM check_result_partitions()"
            " WHERE from_at > now() ORDER BY from_at"
        )
        for (name,) in (await rows.fetchall())[:2]:
            await connection.execute(f"ALTER TABLE check_results DETACH PARTITION {name}".encode())
            found = await health_of(postgres_url)
            assert found.status is HealthStatus.WARN
            assert dict(found.details)["partitions"] == "0 months ahead"
            assert "urlmon partitions ensure" in found.problems[0]


async def test_rows_without_a_month_are_a_warning(postgres_pool: Pool, postgres_url: str) -> None:
    """What the default partition took is to be moved to a month of its own."""
    now = datetime.now(UTC)
    store = PostgresCheckResultStore(
        Database(postgres_pool), FakeClock(now), retention=timedelta(days=90)
    )
    old = now - timedelta(days=80)
    await store.record([a_result(TenantId.new(), MonitorId.new(), scheduled_at=old)])
    found = await health_of(postgres_url)
    assert found.status is HealthStatus.WARN
    assert [problem for problem in found.problems if "urlmon partitions ensure" in problem]
    async with postgres_pool.connection() as connection:
        await connection.execute("SELECT create_monthly_partition(%s)", [old.date()])
    assert (await health_of(postgres_url)).status is HealthStatus.PASS


@pytest.mark.parametrize("hours", [-1, 1])
async def test_clocks_apart_are_a_warning(postgres_url: str, hours: int) -> None:
    """An offset is told with its sign: positive where the server is ahead."""
    clock = FakeClock(datetime.now(UTC) - timedelta(hours=hours))
    found = await health_of(postgres_url, clock=clock)
    assert found.status is HealthStatus.WARN
    (problem,) = found.problems
    offset = re.search(r"([+-]\d+) s off", problem)
    assert offset is not None
    assert abs(int(offset[1]) - hours * 3_600) < 60


async def test_many_waiting_calls_are_a_warning(postgres_url: str) -> None:
    """A pool that more calls wait for than it has connections is told."""
    checked = asyncio.Event()
    async with check_of(postgres_url, largest=1) as (check, pool):

        async def call() -> None:
            async with pool.connection():
                await checked.wait()

        async with asyncio.TaskGroup() as tasks:
            async with pool.connection():
                first = tasks.create_task(check.check())
                await waiting(pool, 1)
                for _ in range(3):
                    tasks.create_task(call())
                await waiting(pool, 4)
            found = await first
            checked.set()
    assert found.status is HealthStatus.WARN
    assert found.problems == ("2 calls wait for a connection: raise the pool's size if this lasts",)


async def waiting(pool: Pool, count: int) -> None:
    """Return once so many calls wait for a connection."""
    while pool.get_stats()["requests_waiting"] != count:  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0.01)


async def test_a_refused_login_tells_no_secret(postgres_url: str) -> None:
    """The password shows nowhere, whatever is wrong with it."""
    secret = "correct-horse-battery"
    url = make_conninfo(postgres_url, password=secret)
    async with check_of(url, timeout_seconds=0.5) as (check, _):
        found = await check.check()
    assert found.status is HealthStatus.FAIL
    assert found.version is None
    assert secret not in repr(found)


async def test_a_closed_pool_fails(postgres_url: str) -> None:
    """What is not open does not serve; the check says so, and raises nothing."""
    async with check_of(postgres_url) as (check, pool):
        await pool.close()
        found = await check.check()
    assert found.status is HealthStatus.FAIL
    assert found.problems


async def test_a_check_of_a_silent_server_can_be_cancelled() -> None:
    """A server that takes the connection and says nothing holds up no one's time limit."""
    reached, over = asyncio.Event(), asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://user@127.0.0.1:{port}/urlmon"
        pool = build_pool(url, timeout_seconds=10)  # closed: only the check itself connects
        check = PostgresHealthCheck(pool, SystemClock(), Migrations(url))
        task = asyncio.create_task(check.check())
        await reached.wait()
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        over.set()


async def test_a_standby_fails(tmp_path: Path) -> None:
    """A server that takes no writes does not serve, although it answers."""
    server = PostgresServer(tmp_path, durable=False)
    server.start()
    try:
        await Migrations(server.url).apply()
        server.stop()
        (tmp_path / "data" / "standby.signal").touch()
        server.start()
        found = await health_of(server.url)
    finally:
        server.stop()
    assert found.status is HealthStatus.FAIL
    assert [problem for problem in found.problems if "standby" in problem]
    assert dict(found.details)["role"] == "standby"
