"""Measure locks beside redis-py's and python-redis-lock: the hand-over, and acquire with release.

Run it on an idle machine: .venv/bin/python benchmarks/locks.py [--scale 0.1]
It installs python-redis-lock into a temporary folder, with uv, and starts a Redis of its own.
It prints the rows of the table in docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from peers import environment
from redis.asyncio import Redis

from urlmon_adapters.redis import Keys, RedisClient, RedisLocks, build_topology
from urlmon_adapters.servers import RedisServer

PEER = "python-redis-lock==4.0.1"
TTL = timedelta(seconds=30)
HAND_OVERS = 200
ROUNDS = 4_000
TASKS = 20
# Runs in the peer's environment: its locks block, and so it has threads where others have tasks.
PEER_PROGRAM = """
import json, random, sys, threading, time
import redis, redis_lock

url, rounds, tasks, hand_overs = sys.argv[1], *map(int, sys.argv[2:])

def rate(threads):
    def work(name):
        client = redis.Redis.from_url(url)
        for _ in range(rounds // threads):
            lock = redis_lock.Lock(client, name, expire=30)
            lock.acquire()
            lock.release()
    workers = [threading.Thread(target=work, args=(f"peer {n}",)) for n in range(threads)]
    started = time.perf_counter()
    [each.start() for each in workers]
    [each.join() for each in workers]
    return rounds // threads * threads / (time.perf_counter() - started)

def hand_over():
    client, got = redis.Redis.from_url(url), []
    lock = redis_lock.Lock(client, "peer", expire=30)
    lock.acquire()
    def wait():
        other = redis_lock.Lock(redis.Redis.from_url(url), "peer", expire=30)
        other.acquire()
        got.append(time.perf_counter())
        other.release()
    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(random.uniform(0.02, 0.12))
    started = time.perf_counter()
    lock.release()
    waiter.join()
    return (got[0] - started) * 1000

print(json.dumps([[hand_over() for _ in range(hand_overs)], rate(1), rate(tasks)]))
"""

Held = Callable[[], Awaitable[object]]
Take = Callable[[str], Awaitable[Held]]
"""Takes a lock, waiting for it, and returns what gives it back."""


def urlmon_locks(url: str) -> Take:
    """Return how urlmon takes a lock."""
    locks = RedisLocks(RedisClient(build_topology(url), keys=Keys("benchmark:")))

    async def take(name: str) -> Held:
        lease = await locks.acquire(name, ttl=TTL, wait=TTL)
        assert lease is not None
        return lambda: locks.release(lease)

    return take


def redis_py_locks(url: str) -> Take:
    """Return how redis-py takes one, with its defaults but for a time limit."""
    client = Redis.from_url(url)

    async def take(name: str) -> Held:
        lock = client.lock(name, timeout=TTL.total_seconds())
        assert await lock.acquire()
        return lock.release

    return take


async def hand_over(take: Take) -> float:
    """Return how many milliseconds pass from giving a lock back to another's having it."""
    give_back = await take("handed over")

    async def wait() -> float:
        give_it_back = await take("handed over")
        got = time.perf_counter()
        await give_it_back()
        return got

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(random.uniform(0.02, 0.12))  # noqa: S311 - it waits, or polls at some time
    started = time.perf_counter()
    await give_back()
    return (await waiter - started) * 1000


async def rate(take: Take, rounds: int, tasks: int) -> float:
    """Return how many locks a second are taken and given back, by tasks with one name each."""

    async def work(name: str) -> None:
        for _ in range(rounds // tasks):
            await (await take(name))()

    started = time.perf_counter()
    await asyncio.gather(*(work(f"job {each}") for each in range(tasks)))
    return rounds // tasks * tasks / (time.perf_counter() - started)


def row(name: str, times: list[float], alone: float, together: float) -> str:
    """Return a row of the table."""
    times = sorted(times)
    p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
    return (
        f"| {name} | {statistics.fmean(times):.2f} ms | {p99:.2f} ms | {times[-1]:.2f} ms"
        f" | {alone:,.0f}/s | {together:,.0f}/s |"
    )


async def measure(url: str, scale: float) -> None:
    """Print the rows of the asynchronous locks."""
    rounds, hand_overs = round(ROUNDS * scale), round(HAND_OVERS * scale)
    for name, take in (("urlmon", urlmon_locks(url)), ("redis-py", redis_py_locks(url))):
        await rate(take, 200, TASKS)  # connects
        times = [await hand_over(take) for _ in range(hand_overs)]
        print(row(name, times, await rate(take, rounds, 1), await rate(take, rounds, TASKS)))


def measure_peer(url: str, scale: float, folder: Path) -> None:
    """Print the row of python-redis-lock."""
    python = environment(folder, PEER) / "python"
    sizes = [round(ROUNDS * scale), TASKS, round(HAND_OVERS * scale)]
    command = [str(python), "-c", PEER_PROGRAM, url, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(row(PEER.replace("==", " "), *json.loads(done.stdout)))


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="how much of it to run")
    scale = parser.parse_args().scale
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with RedisServer(folder / "redis", durable=False) as server:
            print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {server.version}")
            print("| | hand-over, mean | p99 | worst | alone | 20 at once |")
            print("|---|---|---|---|---|---|")
            print("| aim | ≤ 2 ms | < 10 ms | | redis-py's | redis-py's |")
            asyncio.run(measure(server.url, scale))
            measure_peer(server.url, scale, folder / "peer")


if __name__ == "__main__":
    main()
