"""Measure the working state: what each step costs the server, the rate of outcomes, the memory.

Run it on an idle machine: .venv/bin/python benchmarks/working_state.py [--scale 0.1]
It starts a Redis of its own and prints the rows of the table in docs/reference/performance.md.
The server's time is that of `INFO commandstats`: all that a step sends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from redis.asyncio import Redis

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ClaimedCheck
from urlmon.testing.clock import NOON
from urlmon_adapters.redis import (
    Keys,
    RedisAlertStateCache,
    RedisClient,
    RedisSchedule,
    RedisWorkingState,
    build_topology,
)
from urlmon_adapters.redis._keys import bucket_of
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import recording
from urlmon_adapters.redis.alert_state import RECORD
from urlmon_adapters.servers import RedisServer

MONITORS = 100_000
OUTCOMES = 20_000
CLAIMS = 200
AT_ONCE = 100
POLICY = AlertPolicy(failure_threshold=2)
MINUTE = timedelta(minutes=1)

Key = tuple[TenantId, MonitorId]


def an_outcome(key: Key, number: int) -> CheckOutcome:
    """Return a success nine times of ten."""
    return CheckOutcome(
        tenant_id=key[0],
        monitor_id=key[1],
        scheduled_at=NOON + number * MINUTE,
        success=(key[1].int + number) % 10 != 0,
    )


class Bench:
    """A server, and the adapters on it."""

    def __init__(self, url: str, scale: float) -> None:
        self.monitors = round(MONITORS * scale)
        self.outcomes = round(OUTCOMES * scale)
        self.claims = round(CLAIMS * scale)
        self.client = RedisClient(build_topology(url), keys=Keys("benchmark:"))
        self.schedule = RedisSchedule(self.client)
        self.alert_state = RedisAlertStateCache(self.client)
        self.state = RedisWorkingState(self.client)
        self.bare = Redis.from_url(url, protocol=2, decode_responses=True)
        self.keys = [(TenantId.new(), MonitorId.new()) for _ in range(self.monitors)]

    async def server_us(self, step: Callable[[], Awaitable[int]]) -> float:
        """Return how many microseconds of the server each of the things takes that a step does."""
        await self.bare.config_resetstat()
        count = await step()
        stats = await self.bare.info("commandstats")
        # What is sent beside scripts; the commands inside of one are in its time already.
        sent = ("cmdstat_evalsha", "cmdstat_mget", "cmdstat_zrange")
        return sum(float(stats[each]["usec"]) for each in sent if each in stats) / count

    async def memory(self) -> int:
        """Return the bytes that the server's data takes."""
        return int((await self.bare.info("memory"))["used_memory"])

    async def declare_whole(self) -> None:
        """Begin with an empty working state, which is not a lost one."""
        await self.state.begin_repair("benchmark")
        await self.state.finish_repair("benchmark")

    async def seed(self) -> int:
        """Schedule every monitor, all of them due."""
        for first in range(0, self.monitors, 1_000):
            await asyncio.gather(
                *(
                    self.schedule.upsert(*key, interval=MINUTE, version=1, at_once=True)
                    for key in self.keys[first : first + 1_000]
                )
            )
        return self.monitors

    async def record_all(self, outcomes: Sequence[CheckOutcome]) -> int:
        """Record outcomes, many at once."""

        async def some(first: int) -> None:
            for outcome in outcomes[first::AT_ONCE]:
                await self.alert_state.record(outcome.tenant_id, outcome, policy=POLICY)

        await asyncio.gather(*map(some, range(AT_ONCE)))
        return len(outcomes)

    async def send_all(self, outcomes: Sequence[CheckOutcome]) -> float:
        """Have the bare driver send the same script, many at once; return the seconds it took."""
        script = load(*RECORD)
        calls = []
        for outcome in outcomes:
            keys, arguments = recording(self.client.keys, outcome, POLICY)
            keys = *keys, self.client.keys.whole(bucket_of(outcome.monitor_id))
            calls.append(("EVALSHA", script.digest, len(keys), *keys, 0, *arguments))
        started = time.perf_counter()
        for first in range(0, len(calls), AT_ONCE):
            pipeline = self.bare.pipeline(transaction=False)
            for call in calls[first : first + AT_ONCE]:
                pipeline.execute_command(*call)
            await pipeline.execute()
        return time.perf_counter() - started

    def some_outcomes(self, minute: int) -> list[CheckOutcome]:
        """Return outcomes of as many monitors, all new, most of them successes."""
        keys = self.keys[: self.outcomes]
        return [an_outcome(key, minute + number % 2) for number, key in enumerate(keys)]

    async def claim(self) -> list[ClaimedCheck]:
        """Claim checks, 100 at a time."""
        claims: list[ClaimedCheck] = []
        for number in range(self.claims):
            claims += await self.schedule.claim(request_id=f"request {number}", limit=100)
        return claims

    async def complete(self, claims: list[ClaimedCheck]) -> int:
        """Complete checks with their outcomes, many at once."""

        async def some(first: int) -> None:
            for claimed in claims[first::AT_ONCE]:
                outcome = CheckOutcome(
                    tenant_id=claimed.tenant_id,
                    monitor_id=claimed.monitor_id,
                    scheduled_at=claimed.scheduled_at,
                    location=claimed.location,
                    success=claimed.monitor_id.int % 10 != 0,
                )
                await self.schedule.complete(claimed, outcome=outcome, policy=POLICY)

        await asyncio.gather(*map(some, range(AT_ONCE)))
        return len(claims)


async def measure(url: str, scale: float) -> None:
    """Print the table."""
    bench = Bench(url, scale)
    await bench.declare_whole()
    empty = await bench.memory()
    await bench.seed()
    await bench.record_all([an_outcome(key, 0) for key in bench.keys])
    size = (await bench.memory() - empty) / bench.monitors
    print("| what | figure | aim |")
    print("|---|---|---|")
    record = await bench.server_us(lambda: bench.record_all(bench.some_outcomes(1)))
    print(f"| server time of a `record`, {AT_ONCE} at once | {record:.0f} µs | ≤ 40 µs |")
    claims: list[ClaimedCheck] = []

    async def claim() -> int:
        claims.extend(await bench.claim())
        return len(claims)

    claimed = await bench.server_us(claim)
    print(f"| server time of a claimed monitor, 100 at a time | {claimed:.1f} µs | ≤ 10 µs |")
    completed = await bench.server_us(lambda: bench.complete(claims))
    print(f"| server time of a completed check with its outcome | {completed:.0f} µs | ≤ 60 µs |")
    rates: dict[str, list[float]] = {"record": [], "raw": []}

    async def send() -> int:
        await bench.send_all(bench.some_outcomes(6))
        return bench.outcomes

    bare = await bench.server_us(send)
    print(f"| server time of a `record`, by the bare driver in pipelines | {bare:.0f} µs | |")
    for minute in range(10, 34, 8):  # in turn, so that both meet the same machine
        outcomes = bench.some_outcomes(minute)
        started = time.perf_counter()
        await bench.record_all(outcomes)
        rates["record"].append(bench.outcomes / (time.perf_counter() - started))
        rates["raw"].append(bench.outcomes / await bench.send_all(bench.some_outcomes(minute + 4)))
    ours, raw = (statistics.median(each) for each in rates.values())
    print(f"| `record`, {AT_ONCE} at once | {ours:,.0f}/s | |")
    print(f"| the same script by the bare driver, pipelines of {AT_ONCE} | {raw:,.0f}/s | |")
    print(f"| `record` against that | {ours / raw:.2f} | ≥ 0.8 |")
    counted = f"{bench.monitors:,}"
    print(f"| memory of a million monitors (counted with {counted}) | {size:,.0f} MB | |")
    await bench.client.aclose()
    await bench.bare.aclose()


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="how much of it to run")
    scale = parser.parse_args().scale
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder) / "redis", durable=False) as server,
    ):
        print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {server.version}")
        asyncio.run(measure(server.url, scale))


if __name__ == "__main__":
    main()
