"""Measure the result writer and its spool: appending, handing over, memory, stalls of the loop.

Run it on an idle machine: .venv/bin/python benchmarks/writer.py [--results 1000000] [--folder DIR]

The folder has to be on the disk that is to be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import STORED, Fate
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import UnavailableError
from urlmon.services.result_writer import Pace, ResultWriter, Timing
from urlmon.testing.builders import a_result
from urlmon.testing.check_results import InMemoryCheckResultStore
from urlmon.testing.state import InMemoryState
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.spool import FileSpool
from urlmon_adapters.spool._aside import Aside
from urlmon_adapters.spool._codec import FORMAT, encode
from urlmon_adapters.spool._folder import DiskFolder
from urlmon_adapters.spool._segments import Segments

BATCH = 5_000
ROUNDS = 60
LIMIT = 8 << 30


class Store(InMemoryCheckResultStore):
    """A store that takes five milliseconds a batch and keeps nothing, or is down."""

    __slots__ = ("down", "taken")

    def __init__(self) -> None:
        super().__init__(InMemoryState())
        self.down = False
        self.taken = 0

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        """Take results, or not."""
        await asyncio.sleep(0.005)
        if self.down:
            raise UnavailableError("memory", "record", "down")
        self.taken += len(results)
        return (STORED,) * len(results)


def some_results(count: int) -> list[CheckResult]:
    """Make results of 1,000 monitors, with ids and instants of their own as from a checker."""
    tenants = [TenantId.new() for _ in range(10)]
    monitors = [(tenants[n % 10], MonitorId.new()) for n in range(1_000)]
    start = datetime.now(UTC) - timedelta(hours=1)
    return [
        a_result(*monitors[n % 1_000], scheduled_at=start + timedelta(milliseconds=n))
        for n in range(count)
    ]


async def sleep_until(moment: float) -> None:
    """Wait in earnest."""
    await asyncio.sleep(moment - time.monotonic())


def writer_in(folder: Path, store: Store, *, pace: Pace | None = None) -> ResultWriter:
    """Return a writer over one store."""
    return ResultWriter(
        {"store": store},
        {"store": FileSpool(folder, SystemClock(), limit_bytes=LIMIT)},
        Timing(monotonic=time.monotonic, sleep_until=sleep_until),
        pace=pace,
    )


async def appending(folder: Path) -> None:
    """Print how fast entries of 5,000 results get to the disk, in turns."""
    results = some_results(BATCH)
    payload = FORMAT + encode(results)
    bare = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    database = sqlite3.connect(folder / "database", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, payload BLOB)")
    segments = Segments(DiskFolder(folder / "segments"), Aside(DiskFolder(folder)), limit=LIMIT)
    DiskFolder(folder / "segments").open()
    segments.open()
    spool = FileSpool(folder / "spool", SystemClock(), limit_bytes=LIMIT)
    await spool.open()

    async def bare_append() -> None:
        os.write(bare, payload)
        os.fdatasync(bare)

    async def with_checksum() -> None:
        os.write(bare, crc32(payload).to_bytes(4))
        os.write(bare, payload)
        os.fdatasync(bare)

    async def of_segments() -> None:
        segments.append(payload, BATCH)

    async def of_spool() -> None:
        await spool.append(results)

    async def of_sqlite() -> None:
        database.execute("INSERT INTO entries (payload) VALUES (?)", (payload,))

    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "bare append + fdatasync": bare_append,
        "the same with a checksum": with_checksum,
        "the spool's segments": of_segments,
        "the spool, results encoded by it": of_spool,
        "SQLite, WAL, synchronous = FULL": of_sqlite,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 5):
        for name, call in calls.items():
            started = time.perf_counter()
            await call()
            if number >= 5:
                times[name].append(time.perf_counter() - started)
    best = statistics.median(times["bare append + fdatasync"])
    print(f"Entries of {BATCH:,} results, {len(payload):,} bytes; medians of {ROUNDS}, in turns.\n")
    print("| append | ms | results/s | of bare |\n|---|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median * 1000:.2f} | {BATCH / median:,.0f} | {best / median:.2f} |")
    await spool.close()
    database.close()
    os.close(bare)


async def handing_over(folder: Path, results: Sequence[CheckResult]) -> None:
    """Print what a result costs whoever submits it."""
    print("\n| hand over, in calls of | µs a result | µs a call |\n|---|---|---|")
    waiting: deque[CheckResult] = deque()
    started = time.thread_time()
    for each in results:
        waiting.append(each)
    taken = time.thread_time() - started
    print(f"| (deque.append in a loop) | {taken / len(results) * 1e6:.3f} | |")
    for size in (1, 10, 100, 1_000):
        store = Store()
        pace = Pace(memory_bytes=1 << 34, linger=timedelta(hours=1), spill_after=timedelta(hours=1))
        writer = writer_in(folder / f"hand-over-{size}", store, pace=pace)
        part = results[: 4_000 if size == 1 else 50_000]
        async with writer.running():
            started = time.thread_time()
            for at in range(0, len(part), size):
                await writer.submit(part[at : at + size])
            taken = time.thread_time() - started
        calls = len(part) / size
        print(f"| {size:,} | {taken / len(part) * 1e6:.2f} | {taken / calls * 1e6:.1f} |")


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def watched(name: str) -> object:
    """Print for how long the event loop did nothing else while a block ran.

    By the clock, and by the processor's time of its thread, which leaves out what other processes
    took meanwhile.
    """
    gaps: list[float] = []
    busy: list[float] = []

    async def tick() -> None:
        while True:
            before, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before - 0.001)
            busy.append(time.thread_time() - used)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    figures = [
        each for some in (gaps, busy) for each in (sorted(some)[len(some) * 99 // 100], max(some))
    ]
    print(f"| {name} | " + " | ".join(f"{each * 1000:.2f}" for each in figures) + " |")


async def stalling(folder: Path, results: Sequence[CheckResult], rate: int) -> None:
    """Print the longest stalls of the event loop in health, in an outage and after it."""
    columns = "p99, ms | longest, ms | p99 of its own, ms | longest of its own, ms"
    print(f"\n| stalls at {rate:,} results/s in calls of 100 | {columns} |\n|---|---|---|---|---|")
    store = Store()
    writer = writer_in(folder / "stalls", store)
    gc.collect()
    gc.freeze()  # what the caller holds is the caller's

    async def load(part: Sequence[CheckResult]) -> None:
        started = time.perf_counter()
        for at in range(0, len(part), 100):
            await writer.submit(part[at : at + 100])
            await asyncio.sleep(max(0, started + (at + 100) / rate - time.perf_counter()))

    seconds = max(1, len(results) // rate // 3)
    parts = [results[n * rate * seconds : (n + 1) * rate * seconds] for n in range(3)]
    async with watched("(nothing to do)"):
        await asyncio.sleep(seconds)
    async with writer.running():
        async with watched("the store is up"):
            await load(parts[0])
        store.down = True
        async with watched("the store is down, results go to the disk"):
            await load(parts[1])
        store.down = False
        async with watched("it is up again, the backlog is sent beside"):
            await load(parts[2])
            while writer.account()["store"].pending:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)
    assert store.taken == sum(map(len, parts))


async def holding(folder: Path, count: int) -> None:
    """Print what a writer takes for results that a store does not."""
    store = Store()
    store.down = True
    writer = writer_in(folder / "memory", store)
    gc.collect()
    before, most, started = resident(), 0, time.perf_counter()
    async with writer.running():
        for _ in range(0, count, 1_000):
            await writer.submit(some_results(1_000))
            await asyncio.sleep(0)
            most = max(most, resident() - before)
        while writer.account()["store"].in_memory:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
        taken = time.perf_counter() - started
        gc.collect()
        account = writer.account()["store"]
        assert account.pending == count
    spool = FileSpool(folder / "memory", SystemClock(), limit_bytes=LIMIT)
    opening = time.perf_counter()
    assert (await spool.open()).results == count
    opening = time.perf_counter() - opening
    await spool.close()
    rest = resident() - before
    print("\n| pending | memory at most | memory at rest | on disk | taken in | opened again in |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {count:,} | {most / 2**20:,.0f} MiB | {rest / 2**20:,.0f} MiB"
        f" | {account.spool.size_bytes / 2**20:,.0f} MiB | {taken:.0f} s with making them"
        f" | {opening:.2f} s |"
    )


async def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        await appending(folder)
        results = some_results(min(100_000, given.results))
        await handing_over(folder, results)
        await stalling(folder, results, rate=min(10_000, given.results // 3))
        del results
        gc.unfreeze()
        await holding(folder, given.results)


if __name__ == "__main__":
    asyncio.run(main())
