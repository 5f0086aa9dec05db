"""A cache that meets trouble on the way to Redis, and what it leaves there."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.working import a_client, in_redis
from tests.fixtures.working_calls import Calls

from urlmon.domain.ids import TenantId
from urlmon.errors import NotFoundError
from urlmon.testing.contracts._cache_loads import Source

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.fixtures.proxy import Proxy

    from urlmon_adapters.redis import RedisClient

TENANT: Final = TenantId.new()
ENTRY: Final = TENANT, "pages", "key"
MINUTE: Final = timedelta(minutes=1)


async def test_nobody_there(
    proxied_client: RedisClient, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Without Redis a cache is empty; the log tells once what is wrong, and no secret."""
    cache, source = in_redis(proxied_client).cache, Source()
    assert await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
    proxy.refusing = True
    proxy.cut()
    with caplog.at_level(logging.WARNING, "urlmon.cache"):
        for _ in range(3):
            assert await cache.get(*ENTRY) is None
            assert not await cache.set(*ENTRY, value=b"set", ttl=MINUTE)
            assert await cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE) == b"loaded"
    assert source.loads == 3
    (record,) = caplog.records
    assert "1 calls of the cache went without it: Cache.get (redis)" in record.getMessage()
    assert proxy.url not in record.getMessage()
    proxy.refusing = False
    assert await cache.get(*ENTRY) == b"kept"


async def test_one_load_without_the_store(proxied_client: RedisClient, proxy: Proxy) -> None:
    """Also without Redis, those who ask at the same time do not all load."""
    cache, source = in_redis(proxied_client).cache, Source(waits=True)
    proxy.refusing = True
    tasks = [
        asyncio.create_task(cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE))
        for _ in range(50)
    ]
    await asyncio.wait_for(source.begun.wait(), 10)
    source.let_go.set()
    assert await asyncio.gather(*tasks) == [b"loaded"] * 50
    assert source.loads <= 2


async def test_errors_of_the_load_pass(proxied_client: RedisClient, proxy: Proxy) -> None:
    """An error of the load is the caller's, with Redis and without it."""
    cache, error = in_redis(proxied_client).cache, NotFoundError("a", "b", entity="c", key="d")

    async def load() -> bytes:
        raise error

    for refusing in (False, True):
        proxy.refusing = refusing
        if refusing:
            proxy.cut()
        with pytest.raises(NotFoundError) as caught:
            await cache.get_or_load(*ENTRY, load=load, ttl=MINUTE)
        assert caught.value is error


@pytest.mark.parametrize("script", ["cache_begin", "cache_finish"])
async def test_lost_reply_to_a_load(proxied_client: RedisClient, proxy: Proxy, script: str) -> None:
    """A load on the way of which a reply was lost is kept all the same."""
    from urlmon_adapters.redis._scripts import load

    cache, source = in_redis(proxied_client).cache, Source()
    await cache.get_or_load(TENANT, "pages", "other", load=source.load, ttl=MINUTE)
    proxy.lose_replies(to=load("clock", "cache", script).digest.encode())
    assert await cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE) == b"loaded"
    assert proxy.still_to_lose == 0
    assert await cache.get(*ENTRY) == b"loaded"
    assert source.loads == 2


async def test_lost_reply_to_set(proxied_client: RedisClient, proxy: Proxy) -> None:
    """A value that may have been kept is not said to be; set again, it is."""
    cache = in_redis(proxied_client).cache
    call = await Calls(in_redis(proxied_client)).prepare("Cache.set")
    assert await call()
    proxy.lose_replies(to=b"EVALSHA")
    assert not await cache.set(*ENTRY, value=b"set", ttl=MINUTE)
    assert proxy.still_to_lose == 0
    assert await cache.set(*ENTRY, value=b"set", ttl=MINUTE)


@pytest.mark.parametrize("how", ["delete", "invalidate"])
async def test_no_answer_is_older_than_the_call(
    proxied_client: RedisClient, redis_client: RedisClient, proxy: Proxy, how: str
) -> None:
    """A load that was kept, and dropped before its caller heard of it, is not given to others."""
    redis_client.keys = proxied_client.keys
    cache, beside = in_redis(proxied_client).cache, in_redis(redis_client).cache
    old, new = Source(b"old", waits=True), Source(b"new")
    await cache.get_or_load(TENANT, "pages", "other", load=new.load, ttl=MINUTE)
    first = asyncio.create_task(cache.get_or_load(*ENTRY, load=old.load, ttl=MINUTE))
    await asyncio.wait_for(old.begun.wait(), 10)
    proxy.delay = 0.5
    old.let_go.set()
    async with asyncio.timeout(10):
        while await beside.get(*ENTRY) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await (beside.delete(*ENTRY) if how == "delete" else beside.invalidate(*ENTRY[:2]))
    second = asyncio.create_task(cache.get_or_load(*ENTRY, load=new.load, ttl=MINUTE))
    await asyncio.sleep(0)
    assert not first.done()
    proxy.delay = 0
    assert await first == b"old"
    assert await second == b"new"
    assert await beside.get(*ENTRY) == b"new"


async def test_two_processes(redis_url: str, redis_client: RedisClient) -> None:
    """A process that waits for another's load gets the value without being told."""
    client = a_client(redis_url, keys=redis_client.keys)
    here, there = in_redis(redis_client).cache, in_redis(client).cache
    source = Source(waits=True)
    tasks = [
        asyncio.create_task(cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE))
        for cache in (here, there) * 10
    ]
    await asyncio.wait_for(source.begun.wait(), 10)
    await asyncio.sleep(0.05)
    source.let_go.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [b"loaded"] * 20
    assert source.loads == 1
    await client.aclose()


async def test_lost_keys(own_client: RedisClient, admin: Redis) -> None:
    """Whatever key is lost, no value that was dropped comes back, and nothing is kept wrongly."""
    cache, source = in_redis(own_client).cache, Source(b"old", waits=True)
    generation, value, load = own_client.keys.cached(*ENTRY)
    for lost in (generation, value):
        assert await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
        assert await admin.delete(lost) == 1
        assert await cache.get(*ENTRY) is None
        assert await cache.set(TENANT, "pages", "other", value=b"other", ttl=MINUTE)
        assert await cache.get(*ENTRY) is None
    for lost in (generation, load):
        source = Source(b"old", waits=True)
        task = asyncio.create_task(cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE))
        await asyncio.wait_for(source.begun.wait(), 10)
        assert await admin.delete(lost) == 1
        source.let_go.set()
        assert await task == b"old"
        assert await cache.get(*ENTRY) is None


async def test_full(own_client: RedisClient, admin: Redis) -> None:
    """With its memory full, Redis still gives what it has, and what is loaded is not kept."""
    cache, source = in_redis(own_client).cache, Source(b"loaded")
    other = TENANT, "pages", "other"
    assert await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
    assert await cache.get_or_load(*other, load=source.load, ttl=MINUTE) == b"loaded"
    await cache.delete(*other)
    await admin.config_set("maxmemory", "1")
    assert await cache.get(*ENTRY) == b"kept"
    assert await cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE) == b"kept"
    assert not await cache.set(*ENTRY, value=b"set", ttl=MINUTE)
    for _ in range(2):
        assert await cache.get_or_load(*other, load=source.load, ttl=MINUTE) == b"loaded"
    assert source.loads == 3
    await cache.delete(*ENTRY)
    await cache.invalidate(*ENTRY[:2])
    await admin.config_set("maxmemory", "0")
    assert await cache.get(*ENTRY) is None


async def test_everything_expires(own_client: RedisClient, admin: Redis) -> None:
    """No key stays for ever; a namespace stays for as long as its longest value."""
    cache, source = in_redis(own_client).cache, Source(waits=True)
    await admin.flushall()
    hour = timedelta(hours=1)
    for ttl in (MINUTE, hour, MINUTE):
        await cache.set(TENANT, "pages", str(ttl), value=b"value", ttl=ttl)
    task = asyncio.create_task(cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE))
    await asyncio.wait_for(source.begun.wait(), 10)
    left = {key: await admin.pttl(key) for key in await admin.keys("*")}
    assert len(left) == 4
    assert all(0 < each < 61 * 60_000 for each in left.values())
    generation, longest, _ = own_client.keys.cached(TENANT, "pages", str(hour))
    assert left[generation] > left[longest] - 1000 > 50 * 60_000
    source.let_go.set()
    await task


async def test_foreign_keys(own_client: RedisClient, admin: Redis) -> None:
    """What another wrote under a key of the cache is a miss."""
    cache, source = in_redis(own_client).cache, Source()
    generation, value, _ = own_client.keys.cached(*ENTRY)
    await admin.set(value, "foreign")
    assert await cache.get(*ENTRY) is None
    assert await cache.get_or_load(*ENTRY, load=source.load, ttl=MINUTE) == b"loaded"
    await cache.delete(*ENTRY)
    await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
    for end in ("", "soon"):
        await admin.hset(value, "until", end)
        assert await cache.get(*ENTRY) is None
    assert await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
    await admin.delete(generation)
    await admin.hset(generation, "a", "b")
    assert await cache.get(*ENTRY) is None
    await cache.invalidate(*ENTRY[:2])
    assert await cache.set(*ENTRY, value=b"kept", ttl=MINUTE)
