"""Lets result writers be killed, over and over, and counts what became of their receipts.

    python tests/faults/kill_spool.py FOLDER CYCLES SEED

Each cycle forks a child that runs a result writer on one spool.  It tells over a pipe of each
result that it knows to be durable, and is killed at some moment; then the next one goes on.  The
store is a file that the kernel keeps, sometimes there and sometimes not.  At the end every result
that was told of must be in the store or in the spool.  Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from random import Random
from select import select
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT: Final = 64 << 20
# Everything happens within a few milliseconds.
QUICK: Final = Pace(
    rows=40,
    linger=timedelta(milliseconds=1),
    spill_after=timedelta(milliseconds=3),
    memory_bytes=200_000,
    drain_rate=1_000_000,
)
MONITOR: Final = TenantId.new(), MonitorId.new()


class FileStore(InMemoryCheckResultStore):
    """Notes in a file which results it has, by their size; is down for some children."""

    __slots__ = ("descriptor", "random")

    def __init__(self, path: Path, random: Random) -> None:
        super().__init__(InMemoryState())
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.random = random

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        """Store all or nothing, or be down."""
        await asyncio.sleep(self.random.choice([0, 0, 0.002]))
        if self.random.random() < 0.4:
            raise UnavailableError("memory", "record", "down")
        lines = "".join(f"{each.size_bytes}\n" for each in results)
        os.write(self.descriptor, lines.encode())
        return (STORED,) * len(results)


def writer_in(folder: Path, seed: int, *, write_through: bool) -> ResultWriter:
    """Return a writer that spools soon."""

    async def sleep_until(moment: float) -> None:
        await asyncio.sleep(moment - time.monotonic())

    random = Random(seed)  # noqa: S311 - no secret
    return ResultWriter(
        {"file": FileStore(folder / "store", random)},
        {"file": FileSpool(folder / "spool", SystemClock(), limit_bytes=LIMIT)},
        Timing(monotonic=time.monotonic, sleep_until=sleep_until),
        pace=QUICK,
        write_through=write_through,
    )


async def child(folder: Path, pipe: int, first: int, seed: int) -> None:
    """Submit results until the end, and tell of each that is durable."""
    random = Random(seed)  # noqa: S311 - no secret
    number = first
    telling: set[asyncio.Task[None]] = set()
    writer = writer_in(folder, seed, write_through=seed % 2 == 0)

    async def tell(batch: list[CheckResult]) -> None:
        receipt = await writer.submit(batch)
        await receipt.durable()
        numbers = "".join(f"{each.size_bytes}\n" for each in batch)
        os.write(pipe, numbers.encode())

    async with writer.running():
        os.write(pipe, b"0\n")  # it has the spool
        while True:
            count = random.choice([1, 1, 5, 30])
            batch = [a_result(*MONITOR, size_bytes=each) for each in range(number, number + count)]
            number += count
            task = asyncio.create_task(tell(batch))
            telling.add(task)
            task.add_done_callback(telling.discard)
            await asyncio.sleep(random.choice([0, 0, 0.001]))


def cycle(folder: Path, number: int, random: Random) -> tuple[list[int], int]:
    """Run a child, kill it, and return what it told of, and its end."""
    ours, theirs = os.pipe()
    seed, life = random.randrange(1 << 30), random.uniform(0, 0.06)
    pid = os.fork()
    if not pid:
        os.close(ours)
        try:
            asyncio.run(child(folder, theirs, number * 1_000_000, seed))
        finally:
            os._exit(9)
    os.close(theirs)
    if random.random() < 0.8:  # the others are killed while they open the spool, or soon after
        select([ours], [], [], 10)
    time.sleep(life)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(ours) as pipe:
        told = [int(line) for line in pipe.read().splitlines() if int(line)]
    return told, status


async def left(folder: Path) -> set[int]:
    """Return what is in the spool."""
    spool = FileSpool(folder / "spool", SystemClock(), limit_bytes=LIMIT)
    status = await spool.open()
    assert not status.damaged
    found: set[int] = set()
    after = 0
    while entries := await spool.read(after=after):
        assert not any(entry.damaged for entry in entries)
        found |= {each.size_bytes or 0 for entry in entries for each in entry.results}
        after = entries[-1].number
    await spool.close()
    return found


def main(folder: Path, cycles: int, seed: int) -> None:
    """Do it all."""
    logging.disable()
    random = Random(seed)  # noqa: S311 - no secret
    told: set[int] = set()
    ends: list[int] = []
    for number in range(1, cycles + 1):
        some, status = cycle(folder, number, random)
        told |= set(some)
        ends.append(status)
    stored = {int(line) for line in (folder / "store").read_text().split()}
    spooled = asyncio.run(left(folder))
    killed = sum(status == signal.SIGKILL for status in ends)
    report = {
        "cycles": cycles,
        "killed": killed,
        "told": len(told),
        "stored": len(stored),
        "spooled": len(spooled),
        "lost": sorted(told - stored - spooled)[:20],
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
