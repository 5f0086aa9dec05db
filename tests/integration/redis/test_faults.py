"""What goes wrong on the way to Redis and back."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve
from tests.fixtures.dumps import assert_alike, dump
from tests.fixtures.proxy import Proxy
from tests.fixtures.working import declare_whole, in_redis, is_idle, nodes_of
from tests.fixtures.working_calls import TTL, Calls
from tests.integration.redis.conftest import a_proxied_client

from urlmon.domain.alerting import Decision, DecisionKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.leases import Lease
from urlmon.domain.sessions import Session
from urlmon.errors import UnavailableError
from urlmon.testing.clock import NOON
from urlmon_adapters.redis import RedisClient, build_topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from urlmon_adapters.redis._commands import Command, Reply
    from urlmon_adapters.redis._scripts import Script
    from urlmon_adapters.servers import RedisServer

SHORT_SECONDS: Final = 1


@pytest.fixture(params=["server", "cluster"])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    """A proxy in front of one Redis, and one in front of each node of a cluster."""
    kind = {"server": "redis_server", "cluster": "redis_cluster"}[request.param]
    async with Proxy(request.getfixturevalue(kind).url) as proxy:
        yield proxy


@pytest.mark.parametrize("name", [each for each in Calls.WRITES if each != "Locks.acquire"])
async def test_lost_reply(proxied_client: RedisClient, proxy: Proxy, name: str) -> None:
    """A call whose reply was lost says that it may have been applied; again, it answers alike."""
    calls = Calls(in_redis(proxied_client))
    first = await calls.prepare(name)
    with _teaching(proxied_client, proxied_client):
        expected = _unalike(await first())
    call = await calls.prepare(name)
    proxy.lose_replies(to=b"EVALSHA")
    with pytest.raises(UnavailableError) as caught:
        await call()
    assert caught.value.maybe_applied
    assert caught.value.operation == name
    assert proxy.url not in str(caught.value)
    assert proxy.still_to_lose == 0
    answer = await call()
    if name in {"AlertStateCache.record", "Schedule.complete"}:
        assert isinstance(answer, Decision)
        assert answer.kind is DecisionKind.DUPLICATE
        assert answer.transition is not None
        assert await calls.stores.outbox.backlog() == 2
        return
    assert _unalike(answer) == expected
    assert _comparable(await call()) == _comparable(answer)


@pytest.mark.parametrize("name", Calls.WRITES + Calls.FREE_WRITES)
async def test_lost_reply_leaves_the_same(
    redis_client: RedisClient, proxied_client: RedisClient, proxy: Proxy, name: str
) -> None:
    """After a lost reply and a repeat, answer and stored state are those of an undisturbed run."""
    key = TenantId.new(), MonitorId.new()
    undisturbed = Calls(in_redis(redis_client))
    with _teaching(redis_client, proxied_client):
        expected = await (await undisturbed.prepare(name, key=key))()
    call = await Calls(in_redis(proxied_client)).prepare(name, key=key)
    proxy.lose_replies(to=b"EVALSHA")
    answer: object = False
    with suppress(UnavailableError):
        answer = await call()
    assert proxy.still_to_lose == 0
    if answer is False:  # else it repeated itself
        answer = await call()
    if isinstance(expected, Decision):  # the repeat says that it is one, and is the same otherwise
        expected = evolve(expected, kind=DecisionKind.DUPLICATE)
    left = await dump(redis_client)
    assert left
    assert_alike((answer, await dump(proxied_client)), (expected, left))


@pytest.mark.parametrize("times", [1, 2])
async def test_lost_reply_to_acquire(proxied_client: RedisClient, proxy: Proxy, times: int) -> None:
    """A lease whose reply was lost is the caller's: the call itself asks again."""
    locks = in_redis(proxied_client).locks
    assert await locks.acquire("another job", ttl=TTL) is not None
    proxy.lose_replies(times, to=b"EVALSHA")
    lease = await locks.acquire("job", ttl=TTL)
    assert lease is not None
    assert proxy.still_to_lose == 0
    assert await locks.renew(lease, ttl=TTL)
    assert await locks.acquire("job", ttl=TTL) is None


async def test_all_replies_to_acquire_lost(proxied_client: RedisClient, proxy: Proxy) -> None:
    """An acquisition that failed for good leaves nothing that outlives `ttl`."""
    working = in_redis(proxied_client)
    assert await working.locks.acquire("another job", ttl=TTL) is not None
    proxy.lose_replies(3, to=b"EVALSHA")
    with pytest.raises(UnavailableError) as caught:
        await working.locks.acquire("job", ttl=TTL)
    assert caught.value.maybe_applied
    await working.advance(TTL)
    assert await working.locks.acquire("job", ttl=TTL) is not None


async def test_lost_reply_to_acquire_and_nobody_there(
    proxied_client: RedisClient, proxy: Proxy
) -> None:
    """An acquisition that may have been applied says so, whatever its repeat met."""
    locks = in_redis(proxied_client).locks
    assert await locks.acquire("another job", ttl=TTL) is not None
    proxy.lose_replies(to=b"EVALSHA")
    proxy.refusing = True
    with pytest.raises(UnavailableError) as caught:
        await locks.acquire("job", ttl=TTL)
    assert proxy.still_to_lose == 0
    assert caught.value.maybe_applied


@pytest.mark.parametrize("name", Calls.WRITES + Calls.READS)
async def test_nobody_there(proxied_client: RedisClient, proxy: Proxy, name: str) -> None:
    """A call that reached nobody says so, and that nothing was applied."""
    call = await Calls(in_redis(proxied_client)).prepare(name)
    proxy.refusing = True
    await _cut(proxied_client, proxy)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            await call()
        assert not caught.value.maybe_applied
        assert caught.value.operation == name
    proxy.refusing = False
    await call()


@pytest.mark.parametrize("name", ["AlertStateCache.record", "AlertStateCache.get"])
async def test_silence(proxy: Proxy, name: str) -> None:
    """A server that says nothing more is given up in time."""
    client = a_proxied_client(proxy, timeout_seconds=SHORT_SECONDS)
    await declare_whole(client)
    call = await Calls(in_redis(client)).prepare(name)
    await call()
    proxy.silent = True
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        await call()
    assert time.monotonic() - started < 5
    assert caught.value.maybe_applied is (name == "AlertStateCache.record")
    proxy.silent = False
    await call()
    await client.aclose()


async def test_no_connection_free(redis_url: str) -> None:
    """A call that found no free connection in time was not sent."""
    async with Proxy(redis_url) as proxy:
        topology = build_topology(proxy.url, largest=1)
        client = RedisClient(topology, timeout_seconds=SHORT_SECONDS)
        await client.read("first", ("PING",))
        proxy.silent = True
        results = await asyncio.gather(
            *(client.read(f"{each}", ("PING",)) for each in range(3)), return_exceptions=True
        )
        assert all(isinstance(each, UnavailableError) for each in results)
        assert proxy.connections == 1
        proxy.silent = False
        assert await client.read("last", ("PING",)) == [b"PONG"]
        await client.aclose()


async def test_cut(proxied_client: RedisClient, proxy: Proxy) -> None:
    """After its connections were cut the client works with new ones."""
    calls = Calls(in_redis(proxied_client))
    call = await calls.prepare("AlertStateCache.get")
    await asyncio.gather(*(call() for _ in range(10)))
    assert proxy.connections > 1
    await _cut(proxied_client, proxy)
    await asyncio.gather(*(call() for _ in range(10)))


async def test_restart(own_client: RedisClient, own_redis: RedisServer) -> None:
    """While the server is away calls fail; when it is back they work, scripts included."""
    call = await Calls(in_redis(own_client)).prepare("AlertStateCache.record")
    first = await call()
    assert isinstance(first, Decision)
    own_redis.kill()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await call()
    own_redis.start()
    with pytest.raises(UnavailableError, match="the working state was lost"):
        await call()
    await declare_whole(own_client)
    assert await call() == first  # nothing was kept, and so it is decided anew


@pytest.mark.parametrize("name", Calls.WRITES + Calls.READS + Calls.OPEN)
async def test_cancelled_anywhere(proxied_client: RedisClient, proxy: Proxy, name: str) -> None:
    """Wherever a call is cancelled, no connection is lost and no answer is taken for another's."""
    calls, finished = Calls(in_redis(proxied_client)), False
    for turns in (*range(40), *range(40, 400, 20)):
        call = await calls.prepare(name)
        proxy.delay = 0.001 * (turns % 2)
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is cancelled
        finished = finished or not cancelled
        proxy.delay = 0
        await _probe(proxied_client, f"{name} {turns}")
        assert is_idle(proxied_client)
        await call()  # a repeat is right, applied or not
    assert finished  # so that every await was reached


def _comparable(answer: object) -> object:
    """Return what must not change when a call is repeated."""
    if isinstance(answer, Session):
        return evolve(answer, seen_at=NOON, expires_at=NOON)
    return evolve(answer, expires_at=0) if isinstance(answer, Lease) else answer


def _unalike(answer: object) -> object:
    """Return what is the same for all monitors: the kind of an answer, or a plain answer."""
    return answer if isinstance(answer, bool | None) else type(answer)


@contextmanager
def _teaching(client: RedisClient, pupil: RedisClient) -> Iterator[None]:
    """Teach the scripts that a client runs to all servers of another: it loses no NOSCRIPT."""
    exchange = client._exchange

    async def taught(
        operation: str, commands: Sequence[Command], script: Script | None = None
    ) -> list[Reply]:
        if script is not None:
            await pupil.read_masters(operation, ("SCRIPT", "LOAD", script.text))
        return await exchange(operation, commands, script)

    client._exchange = taught
    yield
    del client._exchange


async def _probe(client: RedisClient, nonce: str) -> None:
    """Assert that an answer belongs to its question."""
    assert await client.read("probe", ("ECHO", nonce), ("PING",)) == [nonce.encode(), b"PONG"]


async def _cut(client: RedisClient, proxy: Proxy) -> None:
    """Break every connection, and return when the client could know."""
    proxy.cut()
    async with asyncio.timeout(10):
        while not all(  # noqa: ASYNC110
            each._reader.at_eof()
            for node in nodes_of(client)
            for each in node.pool._available_connections
        ):
            await asyncio.sleep(0.001)
