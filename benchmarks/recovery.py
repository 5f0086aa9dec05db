"""Measure how calls get over a restart of PostgreSQL, and how late they are after a deadline.

Beside each figure stands that of a plain pool of the driver, without and with its check of each
connection.  Run it on an idle machine: .venv/bin/python benchmarks/recovery.py
It prints the tables in docs/reference/performance.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import psycopg
from psycopg_pool import AsyncConnectionPool

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fixtures.proxy import Proxy

from urlmon.errors import StoreError
from urlmon_adapters.postgres import Database, build_pool
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from psycopg import AsyncConnection

SIZES: Final = (1, 8, 32)
RUNS: Final = 5
DEADLINE_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 30
HEARTBEAT_SECONDS: Final = 0.001


class Subject(Protocol):
    """What is measured: one call, on a pool."""

    async def call(self) -> None:
        """Ask the server something in a transaction."""

    async def close(self) -> None:
        """Close the pool."""


class Plain:
    """A pool of the driver, used as its documentation shows."""

    def __init__(self, url: str, size: int, *, check: bool) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
            url,
            open=False,
            min_size=size,
            max_size=size,
            timeout=10,
            check=AsyncConnectionPool.check_connection if check else None,
        )

    async def open(self) -> Plain:
        """Open the pool."""
        await self._pool.open(wait=True)
        return self

    async def call(self) -> None:
        """Ask the server something in a transaction."""
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_sleep(0.005)")

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


@repeatable
class Ours:
    """An adapter of the library."""

    def __init__(self, url: str, size: int) -> None:
        self._pool = build_pool(url, smallest=size, largest=size)
        self._database = Database(self._pool)

    async def open(self) -> Ours:
        """Open the pool."""
        await self._pool.open(wait=True)
        return self

    async def call(self) -> None:
        """Ask the server something in a transaction."""
        async with self._database.everyone("call") as connection:
            await connection.execute("SELECT pg_sleep(0.005)")

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


SUBJECTS: Final[dict[str, Callable[[str, int], Plain | Ours]]] = {
    "psycopg_pool": lambda url, size: Plain(url, size, check=False),
    "psycopg_pool, check": lambda url, size: Plain(url, size, check=True),
    "urlmon": Ours,
}


@contextlib.asynccontextmanager
async def opened(name: str, url: str, size: int) -> AsyncIterator[Plain | Ours]:
    """Open a pool for a block."""
    subject = await SUBJECTS[name](url, size).open()
    try:
        yield subject
    finally:
        await subject.close()


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Watch the event loop; the list holds by how much each beat of it was late."""
    late = [0.0]

    async def beat() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            late.append(time.perf_counter() - started - HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield late
    finally:
        task.cancel()


async def restarted(name: str, server: PostgresServer, size: int) -> tuple[float, int, float]:
    """Restart the server under load.

    Returns:
        Seconds from the server's return to that of every caller, errors, the longest stall of the
        event loop in seconds.
    """
    errors, over, served = 0, False, [0.0] * size

    async def caller(number: int, subject: Subject) -> None:
        nonlocal errors
        while not over:
            try:
                await subject.call()
                served[number] = time.perf_counter()
            except (psycopg.Error, StoreError):
                errors += 1

    async with opened(name, server.url, size) as subject, heartbeat() as late:
        tasks = [asyncio.create_task(caller(number, subject)) for number in range(size)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        returned = time.perf_counter()
        while min(served) < returned and time.perf_counter() < returned + PATIENCE_SECONDS:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.005)
        took = max(served) - returned if min(served) > returned else float("inf")
        over = True
        await asyncio.gather(*tasks)
        return took, errors, max(late)


async def restarted_idle(name: str, server: PostgresServer, size: int) -> tuple[float, int]:
    """Restart the server while nobody calls; return how long the next caller takes, and errors."""
    async with opened(name, server.url, size) as subject:
        await subject.call()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        started, errors = time.perf_counter(), 0
        while time.perf_counter() < started + PATIENCE_SECONDS:
            try:
                await subject.call()
                break
            except (psycopg.Error, StoreError):
                errors += 1
        return time.perf_counter() - started, errors


@contextlib.contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Suspend every process of a server during a block."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        pids = [pid for (pid,) in admin.execute(others)]
    assert server.pid is not None
    pids.append(server.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def black_hole(proxy: Proxy) -> Iterator[None]:
    """Take what is sent and answer nothing during a block."""
    proxy.silent = True
    try:
        yield
    finally:
        proxy.silent = False


async def lateness(subject: Subject, silence: contextlib.AbstractContextManager[None]) -> float:
    """Return by how many seconds a call is late whose server falls silent."""
    await subject.call()
    with silence:
        started = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_SECONDS):
                await subject.call()
        return time.perf_counter() - started - DEADLINE_SECONDS


async def measure_restarts(server: PostgresServer) -> None:
    """Print the table of restarts."""
    print("| pool | connections | under load | errors | stall | after idling | errors |")
    print("|---|---|---|---|---|---|---|")
    for name in SUBJECTS:
        for size in SIZES:
            runs = [await restarted(name, server, size) for _ in range(RUNS)]
            took, errors, stall = (max(column) for column in zip(*runs, strict=True))
            first, failed = await restarted_idle(name, server, size)
            cells = (name, size, seconds(took), errors, f"{stall * 1000:.0f} ms")
            print("|", *(f"{each} |" for each in (*cells, seconds(first), failed)), flush=True)


def seconds(took: float) -> str:
    """Return a time as a cell of a table."""
    return f"{took:.2f} s" if took < PATIENCE_SECONDS else f"> {PATIENCE_SECONDS} s"


async def measure_deadlines(server: PostgresServer) -> None:
    """Print the table of deadlines."""
    print(f"\n| pool | late after {DEADLINE_SECONDS:g} s: frozen server | black hole |")
    print("|---|---|---|")
    for name in SUBJECTS:
        worst = []
        # The driver takes seconds for each.
        runs = RUNS * 4 if name == "urlmon" else 1
        async with opened(name, server.url, 2) as subject:
            worst.append(max([await lateness(subject, frozen(server)) for _ in range(runs)]))
        async with Proxy(server.url) as proxy, opened(name, proxy.url, 2) as subject:
            worst.append(max([await lateness(subject, black_hole(proxy)) for _ in range(runs)]))
        print(f"| {name} | {worst[0] * 1000:.0f} ms | {worst[1] * 1000:.0f} ms |", flush=True)


def main() -> None:
    """Run everything on a server of its own."""
    logging.disable()
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer(Path(folder) / "postgres", durable=False) as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE urlmon_service")
        asyncio.run(measure_restarts(server))
        asyncio.run(measure_deadlines(server))


if __name__ == "__main__":
    main()
