"""Calls that go together on one connection are as independent as ever."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.proxy import Proxy
from tests.fixtures.working import is_idle

from urlmon.errors import UnavailableError
from urlmon_adapters.redis import RedisClient, build_topology
from urlmon_adapters.redis._scripts import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TEXT: Final = 'return redis.call("INCRBY", KEYS[1], ARGV[2])'
COUNT: Final = Script(_TEXT, hashlib.sha1(_TEXT.encode(), usedforsecurity=False).hexdigest())
CALLS: Final = 6


@pytest.fixture(params=["server", "cluster"])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    """A proxy in front of one Redis, and one in front of each node of a cluster."""
    kind = {"server": "redis_server", "cluster": "redis_cluster"}[request.param]
    async with Proxy(request.getfixturevalue(kind).url) as proxy:
        yield proxy


def _key(client: RedisClient, number: int) -> str:
    return client.keys.released(f"sharing {number}") + ":count"


async def _count(client: RedisClient, number: int) -> object:
    return await client.run("count", COUNT, (_key(client, number),), 1)


async def _counts(client: RedisClient) -> list[int]:
    """Return how often each was counted, and forget it."""
    found = []
    for number in range(CALLS):
        reply = await client.read("look", ("GETDEL", _key(client, number)))
        found.append(int(reply[0] or 0))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("chosen", [1, CALLS - 1])
async def test_cancelled_anywhere(proxied_client: RedisClient, proxy: Proxy, chosen: int) -> None:
    """Whenever one of several is cancelled, the others get their own answers, once applied."""
    client = proxied_client
    await _count(client, 0)
    await _counts(client)
    sent = 0
    for turns in (*range(30), *range(30, 300, 15)):
        proxy.delay = 0.001 * (turns % 2)
        tasks = [asyncio.ensure_future(_count(client, number)) for number in range(CALLS)]
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = tasks[chosen].cancel()
        await asyncio.wait(tasks)
        proxy.delay = 0
        assert tasks[chosen].cancelled() is cancelled
        assert [task.result() for task in tasks if task is not tasks[chosen]] == [1] * (CALLS - 1)
        await client.read("probe", ("ECHO", "hello"))
        counts = await _counts(client)
        sent += cancelled and counts[chosen] == 1
        assert counts[chosen] <= 1
        assert all(count == 1 for number, count in enumerate(counts) if number != chosen)
        assert is_idle(client)
    assert sent  # so that it was cancelled after it was sent, too


async def test_cancelled_while_connecting(redis_url: str) -> None:
    """What is cancelled before there is a connection is not sent with those it waited with."""
    async with Proxy(redis_url) as proxy:
        client = RedisClient(build_topology(proxy.url, largest=2))
        await _count(client, 0)
        await _counts(client)
        proxy.delay = 0.05
        tasks = [asyncio.ensure_future(_count(client, number)) for number in range(CALLS)]
        while proxy.connections < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        proxy.delay = 0
        assert tasks[2].cancelled()
        assert await _counts(client) == [1, 1, 0, 1, 1, 1]
        await client.aclose()


async def test_lost_together(redis_url: str) -> None:
    """Of calls whose connection is lost those that were sent may have been applied, others not."""
    async with Proxy(redis_url) as proxy:
        client = RedisClient(build_topology(proxy.url, largest=1))
        await _count(client, 0)
        await _counts(client)
        proxy.lose_replies(2, to=COUNT.digest.encode())
        proxy.delay = 0.05
        tasks = [asyncio.ensure_future(_count(client, number)) for number in range(CALLS)]
        # Until the second batch, of all but the first, is on its way.
        while proxy.still_to_lose:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        proxy.refusing = True
        late = [asyncio.ensure_future(_count(client, 0)) for _ in range(3)]
        await asyncio.wait([*tasks, *late])
        for task in tasks:
            error = task.exception()
            assert isinstance(error, UnavailableError)
            assert error.maybe_applied
        for task in late:
            error = task.exception()
            assert isinstance(error, UnavailableError)
            assert not error.maybe_applied
        proxy.refusing, proxy.delay = False, 0
        assert await _counts(client) == [1] * CALLS
        assert is_idle(client)
        await client.aclose()


async def test_given_up_together(redis_url: str) -> None:
    """A server that says nothing more is given up in time, by whoever waits for it."""
    async with Proxy(redis_url) as proxy:
        client = RedisClient(build_topology(proxy.url, largest=2), timeout_seconds=0.5)
        await asyncio.gather(*(_count(client, number) for number in range(CALLS)))
        await _counts(client)
        proxy.silent = True
        tasks = [asyncio.ensure_future(_count(client, number)) for number in range(CALLS)]
        await asyncio.wait(tasks)
        for task in tasks:
            error = task.exception()
            assert isinstance(error, UnavailableError)
            assert error.maybe_applied
        proxy.silent = False
        assert await _counts(client) == [1] * CALLS
        assert is_idle(client)
        await client.aclose()
