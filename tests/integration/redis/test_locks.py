"""Locks whose holder or waiter meets trouble on the way to Redis."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.working import PushedTime, a_client, in_redis

from urlmon.errors import LeaseLostError, UnavailableError
from urlmon_adapters.redis import Keys, RedisClient, RedisLocks, build_topology

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.fixtures.proxy import Proxy

TTL: Final = timedelta(seconds=30)


async def test_cancelled_acquire_is_undone(
    proxied_client: RedisClient, redis_client: RedisClient, proxy: Proxy
) -> None:
    """A lease that was granted to a cancelled call is given back at once, not after `ttl`."""
    redis_client.keys = proxied_client.keys
    working, beside = in_redis(proxied_client), in_redis(redis_client)
    other = await working.locks.acquire("another job", ttl=TTL)
    assert other is not None
    await working.locks.release(other)
    proxy.silent = True
    task = asyncio.ensure_future(working.locks.acquire("job", ttl=TTL))
    key = redis_client.keys.lock("job")
    async with asyncio.timeout(10):
        while await redis_client.read("test", ("EXISTS", key)) == [0]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    proxy.silent = False
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await beside.locks.acquire("job", ttl=TTL) is not None


async def test_counted_from_before_the_send(proxied_client: RedisClient, proxy: Proxy) -> None:
    """What is left of a lease is counted from before the call, and from before its first try."""
    locks = in_redis(proxied_client).locks
    warm_up = await locks.acquire("another job", ttl=TTL)
    assert warm_up is not None
    await locks.renew(warm_up, ttl=TTL)
    proxy.delay = 0.1
    there_and_back = timedelta(seconds=0.2)
    lease = await locks.acquire("job", ttl=TTL)
    assert lease is not None
    assert locks.remaining(lease) <= TTL - there_and_back
    lease = await locks.renew(lease, ttl=TTL)
    assert locks.remaining(lease) <= TTL - there_and_back
    proxy.lose_replies(to=b"EVALSHA")
    second = await locks.acquire("second job", ttl=TTL)
    assert second is not None
    assert proxy.still_to_lose == 0
    assert locks.remaining(second) <= TTL - 2 * there_and_back


async def test_told_without_the_store(proxied_client: RedisClient, proxy: Proxy) -> None:
    """A block is told at the end of its lease also when Redis cannot be asked, and goes on."""
    working, lost = in_redis(proxied_client), asyncio.Event()

    async def block() -> None:
        async with working.locks.hold("job", ttl=timedelta(milliseconds=300), lost=lost):
            proxy.refusing = True
            proxy.cut()
            await asyncio.wait_for(lost.wait(), 30)
            proxy.refusing = False

    with pytest.raises(LeaseLostError):
        await block()


@pytest.mark.parametrize("silent", [False, True])
async def test_cancelled_acquire_and_nobody_there(
    proxied_client: RedisClient, proxy: Proxy, *, silent: bool
) -> None:
    """A cancelled acquisition ends soon, as cancelled, also where it cannot be undone."""
    locks = in_redis(proxied_client).locks
    assert await locks.acquire("another job", ttl=TTL) is not None
    proxy.silent = True
    task = asyncio.ensure_future(locks.acquire("job", ttl=TTL))
    await asyncio.sleep(0.05)
    proxy.refusing = not silent
    started = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert time.monotonic() - started < 5
    proxy.silent = False


async def test_refused_acquire(proxy: Proxy) -> None:
    """An acquisition that reached nobody is not repeated."""
    client, proxy.refusing = a_client(proxy.url), True
    with pytest.raises(UnavailableError):
        await in_redis(client).locks.acquire("job", ttl=TTL)
    assert proxy.connections == 1
    await client.aclose()


async def test_waiting_is_no_polling(
    own_client: RedisClient, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits asks at first, once it listens, and when the lease or its patience ends."""
    monkeypatch.setattr("urlmon_adapters.redis.locks._LOOK_AGAIN_SECONDS", 3600)
    working = in_redis(own_client)

    async def asked() -> int:
        return (await admin.info("commandstats"))["cmdstat_evalsha"]["calls"]

    assert await working.locks.acquire("job", ttl=TTL) is not None
    before = await asked()
    waiters = [
        asyncio.create_task(working.locks.acquire("job", ttl=TTL, wait=wait))
        for wait in (TTL / 2, 2 * TTL)
    ]
    async with asyncio.timeout(10):
        while await asked() < before + 4:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    assert await asked() == before + 4
    await working.advance(TTL / 2)
    assert await asyncio.wait_for(waiters[0], 10) is None
    assert await asked() == before + 5
    await working.advance(TTL / 2)
    assert await asyncio.wait_for(waiters[1], 10) is not None
    assert await asked() == before + 6


@pytest.mark.parametrize("cancels", [False, True])
async def test_waiters_leave_no_trace(
    own_client: RedisClient, admin: Redis, *, cancels: bool
) -> None:
    """Who no longer waits listens to nothing, and has left no task."""
    working = in_redis(own_client)
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    before = asyncio.all_tasks()
    waiter = asyncio.create_task(working.locks.acquire("job", ttl=TTL, wait=TTL))
    await _listened(own_client, "job")
    if cancels:
        waiter.cancel()
    else:
        await working.locks.release(lease)
    await asyncio.wait([waiter])
    assert asyncio.all_tasks() == before
    async with asyncio.timeout(10):
        while any(int(each["sub"]) for each in await admin.client_list()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_woken_by_a_message(
    redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a lock is woken when it is given back, and not by looking again."""
    monkeypatch.setattr("urlmon_adapters.redis.locks._LOOK_AGAIN_SECONDS", TTL.total_seconds())
    locks = in_redis(redis_client).locks
    for _ in range(5):
        lease = await locks.acquire("job", ttl=TTL)
        assert lease is not None
        waiter = asyncio.create_task(locks.acquire("job", ttl=TTL, wait=TTL))
        await _listened(redis_client, "job")
        await locks.release(lease)
        got = await asyncio.wait_for(waiter, TTL.total_seconds() / 2)
        assert got is not None
        await locks.release(got)


async def test_deaf_waiter(
    proxied_client: RedisClient, redis_client: RedisClient, proxy: Proxy
) -> None:
    """Who waits and cannot be told any more looks again."""
    redis_client.keys = proxied_client.keys
    working, beside = in_redis(proxied_client), in_redis(redis_client)
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    waiter = asyncio.create_task(working.locks.acquire("job", ttl=TTL, wait=TTL))
    await _listened(proxied_client, "job")
    asleep = _sleepers(proxied_client)
    proxy.cut()
    async with asyncio.timeout(10):
        # Until it has asked once more because of the cut, and waits again.
        while not _sleepers(proxied_client) - asleep:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await beside.locks.release(lease)
    await working.advance(timedelta(seconds=1))
    assert await asyncio.wait_for(waiter, 10) is not None


async def test_waiters_starve_nobody(redis_url: str) -> None:
    """More may wait for a lock than there are connections."""
    locks = RedisLocks(RedisClient(build_topology(redis_url, largest=1), keys=Keys("few:")))
    lease = await locks.acquire("job", ttl=TTL)
    assert lease is not None

    async def work() -> None:
        async with locks.hold("job", ttl=TTL, wait=TTL) as held:
            assert held is not None

    workers = [asyncio.create_task(work()) for _ in range(5)]
    for _ in range(5):
        assert await locks.acquire("job", ttl=TTL) is None
    await locks.release(lease)
    await asyncio.wait_for(asyncio.gather(*workers), 10)
    await locks._client.aclose()


@pytest.mark.parametrize("silent", [False, True])
async def test_hold_without_the_store(
    proxied_client: RedisClient, proxy: Proxy, *, silent: bool
) -> None:
    """A block is cancelled at the end of its lease also when Redis cannot be asked."""
    working = in_redis(proxied_client)

    async def block() -> None:
        async with working.locks.hold("job", ttl=timedelta(milliseconds=300)):
            proxy.silent, proxy.refusing = silent, not silent
            if not silent:
                proxy.cut()
            await asyncio.sleep(30)

    started = time.monotonic()
    with pytest.raises(LeaseLostError):
        await block()
    assert 0.25 < time.monotonic() - started < 10


async def test_hold_survives_a_gap(proxied_client: RedisClient, proxy: Proxy) -> None:
    """A block goes on when Redis was away for less than its lease."""
    working = in_redis(proxied_client)
    async with working.locks.hold("job", ttl=TTL):
        await asyncio.sleep(0)
        proxy.refusing = True
        proxy.cut()
        await working.advance(TTL / 2)
        proxy.refusing = False
        await working.advance(TTL / 5)
        await working.advance(TTL / 2)
        assert await working.locks.acquire("job", ttl=TTL) is None


async def test_closing_ends_listening(redis_url: str) -> None:
    """Closing a client closes the connections of those who wait, and tells them."""
    client = a_client(redis_url)
    async with asyncio.timeout(10), client.listening(client.keys.released("job")) as heard:
        await heard.wait()
        heard.clear()
        await client.aclose()
        assert heard.is_set()
        assert not client._listeners


async def _listened(client: RedisClient, name: str) -> None:
    """Return when somebody listens for a name to be given back."""
    channel = client.keys.released(name)
    async with asyncio.timeout(10):
        while [[channel.encode(), 0]] == await client.read("test", ("PUBSUB", "NUMSUB", channel)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def _sleepers(client: RedisClient) -> set[asyncio.Task[object]]:
    """Return the tasks that wait for a moment."""
    assert isinstance(client.time, PushedTime)
    return set(client.time._sleepers)
