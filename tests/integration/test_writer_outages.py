"""Real stores that go away under load: every result is stored in the end, and counted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from tests.fixtures.servers import leave_out
from tests.fixtures.waiting import until
from tests.fixtures.writing import MONITOR, check

from urlmon.domain.check_results import CheckResult
from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
from urlmon.services.result_writer import Pace, ResultWriter, Tally, Timing
from urlmon.testing.builders import a_result
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.influx import Influx, InfluxCheckResultStore, ensure_bucket
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresCheckResultStore,
    build_pool,
    open_pool,
)
from urlmon_adapters.servers import InfluxServer, MissingServerError, PostgresServer
from urlmon_adapters.settings import Settings
from urlmon_adapters.spool import FileSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from urlmon.ports import CheckResultStore

RETENTION: Final = timedelta(days=90)
SECONDS_UP, SECONDS_DOWN = 0.7, 0.7
PARTITIONS: Final = """
    SELECT CASE c.relkind WHEN 'i' THEN 'INDEX ' ELSE 'TABLE ' END || c.oid::regclass
    FROM pg_class c
    WHERE c.relkind IN ('r', 'i') AND c.relispartition AND c.relname LIKE 'check_results%'
"""

Way = tuple[Callable[[], object], Callable[[], object]]


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


def ways_of(server: PostgresServer | InfluxServer) -> dict[str, Way]:
    """Return how a server can go away, and how it comes back."""
    return {
        "killed": (server.kill, server.start),
        "frozen": (server.pause, server.resume),
        "stopped": (server.stop, server.start),
    }


def read_only(server: PostgresServer) -> Way:
    """Return how PostgreSQL begins to refuse all writes, and how it takes them again."""

    def switch(state: str) -> None:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}".encode())
            admin.execute("SELECT pg_reload_conf()")

    return partial(switch, "on"), partial(switch, "off")


@contextmanager
def small_disk(folder: Path, server: str, *, megabytes: int) -> Iterator[Way]:
    """Mount a small disk on a folder; give how that is full, and has room again."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip(f"a full disk of {server}: NOT TESTED, as no tmpfs can be mounted here")
    ballast = folder / "ballast"

    def fill() -> None:
        # Without a buffer, which would be written once more when the file is closed.
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))

    try:
        yield fill, ballast.unlink
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def move_results(server: PostgresServer, folder: Path) -> None:
    """Keep the results of today in a folder."""
    space = folder / "space"
    space.mkdir()
    owner = (server.folder / "data").stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
        for (relation,) in admin.execute(PARTITIONS).fetchall():
            admin.execute(f"ALTER {relation} SET TABLESPACE small".encode())


async def everything(store: CheckResultStore, since: datetime) -> list[CheckResult]:
    """Read all that is stored."""
    period = Period(since=since - timedelta(hours=1), until=since + timedelta(hours=1))
    found, cursor = list[CheckResult](), None
    while True:
        page = await store.history(
            MONITOR[0], [MONITOR[1]], period=period, cursor=cursor, limit=1_000
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


class Load:
    """Results that are submitted all the time, some twice, and some too old to be kept.

    Attributes:
        accepted: Those that are to be stored.
        tally: What is to become of all that were submitted, in each store.
    """

    def __init__(self, writer: ResultWriter) -> None:
        self.started = SystemClock().now()
        self.accepted: set[CheckResult] = set()
        self.tally = Tally()
        self._writer = writer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Submit while a block runs."""
        over = asyncio.Event()

        async def submit() -> None:
            while not over.is_set():
                await self._submit()
                for account in self._writer.account().values():
                    check(account)
                await asyncio.sleep(0.005)

        submitting = asyncio.create_task(submit())
        try:
            yield
        finally:
            over.set()
            await submitting

    async def _submit(self) -> None:
        at, made = self.started, len(self.accepted)
        batch = [
            a_result(*MONITOR, scheduled_at=at + timedelta(microseconds=made + each))
            for each in range(10)
        ]
        old = a_result(*MONITOR, scheduled_at=at - 2 * RETENTION)
        again = batch[:2] if made % 70 == 0 else []
        await self._writer.submit([*batch, old, *again])
        self.accepted.update(batch)
        self.tally = Tally(
            stored=self.tally.stored + len(batch) + len(again), refused=self.tally.refused + 1
        )


async def bridge(
    writer: ResultWriter, stores: Mapping[str, CheckResultStore], outages: Sequence[tuple[str, Way]]
) -> None:
    """Submit results while stores go away and come back, one after the other; then count."""
    load = Load(writer)
    async with load.running():
        for name, (leave, come_back) in outages:
            await asyncio.sleep(SECONDS_UP)
            await asyncio.to_thread(leave)
            # Until what waits has come to the disk.
            await until(lambda name=name: writer.account()[name].spool.results)  # type: ignore[misc]
            await asyncio.sleep(SECONDS_DOWN)
            await asyncio.to_thread(come_back)
        await asyncio.sleep(SECONDS_UP)

    def pending() -> int:
        return sum(account.pending for account in writer.account().values())

    await until(lambda: not pending(), seconds=50)
    assert len(load.accepted) > 1_000
    for name, store in stores.items():
        account = writer.account()[name]
        assert account.tally == load.tally
        assert account.submitted == load.tally.stored + load.tally.refused
        stored = await everything(store, load.started)
        assert len(stored) == len(load.accepted)
        assert set(stored) == load.accepted


async def bridge_one(store: CheckResultStore, way: Way, folder: Path) -> None:
    """Do that with one store."""
    writer = ResultWriter(
        {"store": store},
        {"store": FileSpool(folder / "spool", SystemClock(), limit_bytes=1 << 24)},
        Timing(monotonic=time.monotonic, sleep_until=sleep_until),
        pace=Pace(spill_after=timedelta(milliseconds=500)),
        grace=timedelta(seconds=20),
    )
    async with writer.running():
        await bridge(writer, {"store": store}, [("store", way)])


def new_influxdb(folder: Path) -> InfluxServer:
    """Find an InfluxDB of the test's own."""
    try:
        return InfluxServer(folder)
    except MissingServerError as exc:
        leave_out(exc)


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxServer]:
    """An InfluxDB of the test's own."""
    with new_influxdb(tmp_path / "influxdb") as server:
        yield server


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that servers may enter which run as another user."""
    folder = Path(tempfile.mkdtemp(prefix="urlmon-small-disk-"))
    yield folder
    folder.rmdir()


@pytest.mark.timeout(120)
@pytest.mark.postgres
@pytest.mark.parametrize("how", ["killed", "frozen", "stopped", "read-only"])
async def test_postgresql_goes_away(tmp_path: Path, how: str) -> None:
    """Whatever happens to PostgreSQL, the table holds exactly what was submitted."""
    with PostgresServer(tmp_path / "postgresql") as server:
        way = (ways_of(server) | {"read-only": read_only(server)})[how]
        async with in_postgres(server) as store:
            await bridge_one(store, way, tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.postgres
async def test_the_disk_of_postgresql_is_full(tmp_path: Path, public_folder: Path) -> None:
    """While there is no room for another row results wait, and none is put aside for it."""
    with (
        small_disk(public_folder, "PostgreSQL", megabytes=16) as way,
        PostgresServer(tmp_path / "postgresql") as server,
    ):
        async with in_postgres(server) as store:
            move_results(server, public_folder)
            await bridge_one(store, way, tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.influx
async def test_the_disk_of_influxdb_is_full(tmp_path: Path, public_folder: Path) -> None:
    """While there is no room for another point results wait, and none is put aside for it."""
    folder = tmp_path / "influxdb"
    folder.mkdir()
    (folder / "engine").symlink_to(public_folder)
    with (
        small_disk(public_folder, "InfluxDB", megabytes=192) as (fill, make_room),
        new_influxdb(folder) as server,
    ):

        def come_back() -> None:
            make_room()
            server.stop()
            server.start()  # InfluxDB goes on refusing otherwise, room or not

        async with in_influxdb(server) as store:
            await bridge_one(store, (fill, come_back), tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.influx
@pytest.mark.parametrize("how", ["killed", "frozen", "stopped"])
async def test_influxdb_goes_away(tmp_path: Path, influxdb: InfluxServer, how: str) -> None:
    """Whatever happens to InfluxDB, the bucket holds exactly what was submitted."""
    async with in_influxdb(influxdb) as store:
        await bridge_one(store, ways_of(influxdb)[how], tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.postgres
@pytest.mark.influx
@pytest.mark.redis
async def test_both_go_away(
    tmp_path: Path, influxdb: InfluxServer, redis_settings: dict[str, str]
) -> None:
    """Through one writer, each outage is of one store alone, and both hold the same in the end."""
    with PostgresServer(tmp_path / "postgresql") as postgresql:
        settings = Settings.load(
            {
                **redis_settings,
                **influxdb.endpoint.environment(),
                "DATABASE_URL": postgresql.url,
                "URLMON_MIGRATE": "run",
                "URLMON_RESULTS": "both",
                "URLMON_SPOOL_DIR": str(tmp_path / "spool"),
            }
        )
        outages = [
            (name, ways_of(server)[how])
            for how in ("frozen", "killed")
            for name, server in (("postgresql", postgresql), ("influxdb", influxdb))
        ]
        async with running(PersistenceContainer(settings=settings)) as stores:
            await bridge(stores.result_writer(), stores._result_stores(), outages)
