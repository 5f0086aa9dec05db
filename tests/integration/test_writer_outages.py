"""Real stores that go away under load: every result is stored in the end, and counted."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.servers import leave_out
from tests.fixtures.waiting import until
from tests.fixtures.writing import MONITOR, check

from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
from urlmon.services.result_writer import Pace, ResultWriter, Tally, Timing
from urlmon.testing.builders import a_result
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.influx import Influx, InfluxCheckResultStore, ensure_bucket
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresCheckResultStore,
    build_pool,
    open_pool,
)
from urlmon_adapters.servers import InfluxServer, MissingServerError, PostgresServer
from urlmon_adapters.spool import FileSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from urlmon.domain.check_results import CheckResult
    from urlmon.ports import CheckResultStore

RETENTION: Final = timedelta(days=90)
SECONDS_UP, SECONDS_DOWN = 0.7, 2.5


async def sleep_until(moment: float) -> None:
    """Wait in earnest."""
    await asyncio.sleep(moment - time.monotonic())


@asynccontextmanager
async def in_postgres(server: PostgresServer) -> AsyncIterator[CheckResultStore]:
    """Open a store of results in a server of our own."""
    await Migrations(server.url).apply()
    pool = build_pool(server.url, largest=4, timeout_seconds=2)
    await open_pool(pool)
    try:
        yield PostgresCheckResultStore(Database(pool), SystemClock(), retention=RETENTION)
    finally:
        await pool.close()


@asynccontextmanager
async def in_influxdb(server: InfluxServer) -> AsyncIterator[CheckResultStore]:
    """Open a store of results in a server of our own."""
    influx = Influx(
        server.url, Secret(server.token), org=server.org, bucket=server.bucket, timeout_seconds=2
    )
    await influx.open()
    try:
        await ensure_bucket(influx, retention=RETENTION)
        yield InfluxCheckResultStore(influx, SystemClock(), retention=RETENTION)
    finally:
        await influx.close()


async def away(server: PostgresServer | InfluxServer, how: str) -> None:
    """Take a server away for a while."""
    leave, come_back = {
        "killed": (server.kill, server.start),
        "frozen": (server.pause, server.resume),
        "stopped": (server.stop, server.start),
    }[how]
    await asyncio.to_thread(leave)
    await asyncio.sleep(SECONDS_DOWN)
    await asyncio.to_thread(come_back)


async def everything(store: CheckResultStore, since: datetime) -> set[CheckResult]:
    """Read all that is stored."""
    period = Period(since=since - timedelta(hours=1), until=since + timedelta(hours=1))
    found: set[CheckResult] = set()
    cursor: str | None = None
    while True:
        page = await store.history(
            MONITOR[0], [MONITOR[1]], period=period, cursor=cursor, limit=1_000
        )
        found.update(page.items)
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


async def bridge(
    server: PostgresServer | InfluxServer, store: CheckResultStore, how: str, folder: Path
) -> None:
    """Submit results all the time while a server goes away and comes back, and count."""
    started = SystemClock().now()
    submitted: set[CheckResult] = set()
    writer = ResultWriter(
        {"store": store},
        {"store": FileSpool(folder / "spool", SystemClock(), limit_bytes=1 << 24)},
        Timing(monotonic=time.monotonic, sleep_until=sleep_until),
        pace=Pace(spill_after=timedelta(milliseconds=500)),
        grace=timedelta(seconds=20),
    )
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            at = started + timedelta(microseconds=len(submitted))
            batch = [
                a_result(*MONITOR, scheduled_at=at + timedelta(microseconds=each))
                for each in range(10)
            ]
            await writer.submit(batch)
            submitted.update(batch)
            check(writer.account()["store"])
            await asyncio.sleep(0.005)

    async with writer.running():
        loading = asyncio.create_task(load())
        await asyncio.sleep(SECONDS_UP)
        await away(server, how)
        spooled = writer.account()["store"].spool.results
        await asyncio.sleep(SECONDS_UP)
        over.set()
        await loading
        assert spooled > 0
        await until(lambda: not writer.account()["store"].pending, seconds=50)
    account = writer.account()["store"]
    assert account.tally == Tally(stored=len(submitted))
    assert account.submitted == len(submitted) > 1_000
    assert await everything(store, started) == submitted


@pytest.mark.timeout(120)
@pytest.mark.postgres
@pytest.mark.parametrize("how", ["killed", "frozen", "stopped"])
async def test_postgresql_goes_away(tmp_path: Path, how: str) -> None:
    """Whatever happens to PostgreSQL, the table holds exactly what was submitted."""
    with PostgresServer(tmp_path / "postgresql") as server:
        async with in_postgres(server) as store:
            await bridge(server, store, how, tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.influx
@pytest.mark.parametrize("how", ["killed", "frozen", "stopped"])
async def test_influxdb_goes_away(tmp_path: Path, how: str) -> None:
    """Whatever happens to InfluxDB, the bucket holds exactly what was submitted."""
    try:
        server = InfluxServer(tmp_path / "influxdb")
    except MissingServerError as exc:
        leave_out(exc)
    with server:
        async with in_influxdb(server) as store:
            await bridge(server, store, how, tmp_path)
