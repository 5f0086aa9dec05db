"""A Redis of a test's own, and a proxy in front of the shared one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from tests.fixtures.proxy import Proxy
from tests.fixtures.working import a_client, closing

from urlmon_adapters.redis._cluster import Cluster
from urlmon_adapters.redis._replies import items, number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.redis._commands import Reply
    from urlmon_adapters.servers import RedisServer


@pytest.fixture
async def admin(own_redis: RedisServer) -> AsyncIterator[Redis]:
    """The bare driver on that Redis."""
    async with Redis.from_url(own_redis.url, protocol=2, decode_responses=True) as redis:
        yield redis


@pytest.fixture
async def own_client(own_redis: RedisServer) -> AsyncIterator[RedisClient]:
    """A client of that Redis."""
    async with closing(a_client(own_redis.url)) as client:
        yield client


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the shared Redis."""
    async with Proxy(redis_url) as proxy:
        yield proxy


def a_proxied_client(proxy: Proxy, **options: float) -> RedisClient:
    """Return a client that reaches servers through a proxy, also the nodes that it is told of."""
    client = a_client(proxy.url, **options)
    topology = client._topology
    if isinstance(topology, Cluster):
        ask = topology._ask

        async def asked() -> tuple[Reply, str]:
            ranges, host = await ask()
            assert isinstance(ranges, list)
            for _, _, *nodes in map(items, ranges):
                for node in map(items, nodes):
                    node[1] = proxy.ports[number(node[1])]
            return ranges, host

        topology._ask = asked
    return client


@pytest.fixture
async def proxied_client(proxy: Proxy) -> AsyncIterator[RedisClient]:
    """A client that reaches the shared Redis through the proxy."""
    async with closing(a_proxied_client(proxy)) as client:
        yield client
