"""Measure how check results get into PostgreSQL, beside other ways.

Run it on an idle machine: .venv/bin/python benchmarks/ingest.py [size]
The size, 1 by default, multiplies the rows.  It installs SQLAlchemy into a temporary folder, with
uv, and starts a PostgreSQL of its own.  All ways write the same batches into the same table with
the same indexes, which is emptied before each.  It prints the tables in
docs/reference/performance.md.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from urlmon.domain.check_results import CheckResult, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    Pool,
    PostgresCheckResultStore,
    build_pool,
)
from urlmon_adapters.postgres._check_result_rows import values_of
from urlmon_adapters.postgres._ingest import _COLUMNS, _COPY, append
from urlmon_adapters.servers import PostgresServer

ROOT = Path(__file__).parents[1]
BATCH = 5_000
BATCHES = 4
RUNS = 3
RETENTION = timedelta(days=90)
SQLALCHEMY = ("sqlalchemy==2.0.44", "psycopg[binary]==3.3.9")
INSERT = f"INSERT INTO check_results ({_COLUMNS}) VALUES ({', '.join(['%s'] * 17)})"  # noqa: S608 - constants only
CORE = """
import pickle, sys, time
from sqlalchemy import MetaData, Table, create_engine, insert

batches = pickle.load(open(sys.argv[2], "rb"))
engine = create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://"))
table = Table("check_results", MetaData(), autoload_with=engine)
names = [name.strip() for name in sys.argv[3].split(",")]
rows = [[dict(zip(names, row)) for row in batch] for batch in batches]
started = time.perf_counter()
for batch in rows:
    with engine.begin() as connection:
        connection.execute(insert(table), batch)
print(time.perf_counter() - started)
"""


def _live() -> datetime:
    """Return when the present six hours began: results of spans that are over cost more."""
    now = datetime.now(UTC)
    return now.replace(hour=now.hour // 6 * 6, minute=0, second=0, microsecond=0)


def batches(monitors: int, count: int) -> list[list[CheckResult]]:
    """Return batches of results, each of some minutes of so many monitors."""
    tenant, ids = TenantId.new(), [MonitorId.new() for _ in range(monitors)]
    start = _live()
    rounds = BATCH // monitors
    return [
        [
            a_result(
                tenant,
                ids[place % monitors],
                scheduled_at=start
                + number * timedelta(hours=1)
                + (place // monitors) * timedelta(minutes=60 / rounds)
                + (place % monitors) * timedelta(milliseconds=5),
                response_time_us=90_000 + place * 7919 % 60_000,
                phases=Phases(dns_us=900, connect_us=9_000, tls_us=20_000, ttfb_us=50_000),
                status_code=200,
                size_bytes=20_000,
            )
            for place in range(BATCH)
        ]
        for number in range(count)
    ]


async def packed(pool: Pool, given: Sequence[list[CheckResult]]) -> list[bytes]:
    """Return what COPY sends for each batch, as the server itself packs it."""
    found: list[bytes] = []
    for batch in given:
        await empty(pool)
        async with pool.connection() as connection:
            await append(connection, batch)
            query = f"COPY (SELECT {_COLUMNS} FROM check_results ORDER BY scheduled_at) TO STDOUT"  # noqa: S608 - constants only
            async with connection.cursor().copy(f"{query} (FORMAT BINARY)".encode()) as copy:
                found.append(b"".join([bytes(piece) async for piece in copy]))
            await connection.execute("SELECT set_config('role', session_user, false)")
    return found


async def empty(pool: Pool) -> None:
    """Take all rows away, and what the server would write out later."""
    async with pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("TRUNCATE check_results, check_rollups")
        await connection.execute("CHECKPOINT")


async def rate(calls: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Return the rows a second of so many batches."""
    started = time.perf_counter()
    for call in calls:
        await call()
    return len(calls) * BATCH / (time.perf_counter() - started)


async def ingest(pool: Pool, url: str, count: int, folder: Path) -> None:
    """Print how many rows a second each way writes."""
    database = Database(pool)
    clock = FakeClock(_live() + timedelta(days=1))
    store = PostgresCheckResultStore(database, clock, retention=RETENTION)
    dense, sparse = batches(200, count), batches(BATCH, count)
    packs = await packed(pool, dense)

    async def pre_packed(pack: bytes) -> None:
        async with database.everyone("benchmark") as connection:
            await connection.execute("SELECT set_config('role', 'urlmon_ingest', true)")
            async with connection.cursor().copy(_COPY) as copy:
                await copy.write(pack)

    async def rows_alone(batch: list[CheckResult]) -> None:
        async with database.everyone("benchmark") as connection:
            await append(connection, batch)

    async def many(batch: list[CheckResult]) -> None:
        async with database.everyone("benchmark") as connection:
            await connection.cursor().executemany(INSERT.encode(), list(map(values_of, batch)))

    ways: dict[str, list[Callable[[], Awaitable[object]]]] = {
        "COPY of packed bytes": [lambda pack=pack: pre_packed(pack) for pack in packs],
        "urlmon, the rows alone": [lambda batch=batch: rows_alone(batch) for batch in dense],
        "urlmon, 25 results an hour, monitor and place": _records(store, dense),
        "urlmon, 1 result an hour, monitor and place": _records(store, sparse),
        "urlmon, the same again": _records(store, dense),
        "psycopg executemany": [lambda batch=batch: many(batch) for batch in dense],
    }
    found: dict[str, list[float]] = {name: [] for name in [*ways, "SQLAlchemy Core"]}
    python = environment(folder)
    for _ in range(RUNS):
        for name, calls in ways.items():
            await empty(pool)
            if name == "urlmon, the same again":
                await rate(calls)
            found[name].append(await rate(calls))
        await empty(pool)
        found["SQLAlchemy Core"].append(core(python, url, dense, folder))
    best = {name: max(rates) for name, rates in found.items()}
    print(f"\n{count} batches of {BATCH}, the best of {RUNS} runs\n")
    print("| way | rows/s | of packed bytes |\n|---|---|---|")
    for name, value in best.items():
        print(f"| {name} | {value:,.0f} | {value / best['COPY of packed bytes']:.2f} |")


def _records(
    store: PostgresCheckResultStore, given: Sequence[list[CheckResult]]
) -> list[Callable[[], Awaitable[object]]]:
    return [lambda batch=batch: store.record(batch) for batch in given]


def environment(folder: Path) -> Path:
    """Install SQLAlchemy into an environment of its own and return its interpreter."""
    uv = shutil.which("uv") or os.environ.get("UV") or str(ROOT / ".tools" / "bin" / "uv")
    made = folder / "core"
    run([uv, "venv", "-q", "--python", sys.executable, str(made)])
    run([uv, "pip", "install", "-q", "--python", str(made), *SQLALCHEMY])
    return made / "bin" / "python"


def run(command: list[str]) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def core(python: Path, url: str, given: Sequence[list[CheckResult]], folder: Path) -> float:
    """Return the rows a second that SQLAlchemy Core inserts."""
    file = folder / "batches"
    plain = [[tuple(map(_plain, values_of(each))) for each in batch] for batch in given]
    file.write_bytes(pickle.dumps(plain))
    seconds = float(run([str(python), "-c", CORE, url, str(file), _COLUMNS]))
    return len(given) * BATCH / seconds


def _plain(value: Any) -> object:
    """Return a value without classes of the library."""
    return uuid.UUID(int=value.int) if isinstance(value, uuid.UUID) else value


async def main() -> None:
    """Print the machine and the figures."""
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}"
    )
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as data,
        PostgresServer(Path(data) / "server", version="18") as server,
    ):
        print(f"PostgreSQL {server.version}; {', '.join(SQLALCHEMY)}")
        with psycopg.connect(server.url, autocommit=True) as admin:
            for parameter in ("max_wal_size = '4GB'", "shared_buffers = '128MB'"):
                admin.execute(f"ALTER SYSTEM SET {parameter}".encode())
            admin.execute("SELECT pg_reload_conf()")
        await Migrations(server.url).apply()
        async with build_pool(server.url) as pool:
            await ingest(pool, server.url, max(1, round(BATCHES * size)), Path(name))


if __name__ == "__main__":
    asyncio.run(main())
