"""The rights that the page on clusters and Sentinels grants are enough, and its clients work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError
from tests.docs.documents import ROOT, blocks
from tests.docs.test_python_examples import evaluated
from tests.fixtures.servers import leave_out
from tests.fixtures.working import a_client, declare_whole, in_redis
from tests.fixtures.working_calls import TTL, Calls

from urlmon.domain.health import HealthStatus
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.redis import BareClients, Keys, RedisHealthCheck
from urlmon_adapters.servers import MissingServerError, RedisClusterServers, RedisSentinelServers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from urlmon_adapters.servers import RedisEndpoint, RedisServer

PAGE: Final = ROOT / "docs/how-to/redis-cluster-and-sentinel.md"


@pytest.fixture(params=["cluster", "sentinel"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of servers on which the page's user was made, with that user."""
    kind = {"cluster": RedisClusterServers, "sentinel": RedisSentinelServers}[request.param]
    try:
        servers = kind(tmp_path / "servers")
    except MissingServerError as exc:
        leave_out(exc)
    (block,) = [each for each in blocks(PAGE) if each.marker == f"redis {request.param}"]
    with servers:
        for server in servers.members[: 6 if request.param == "cluster" else 3]:
            _make_user(server, block.lines)
        login = f":{servers.members[0].password}@"
        yield servers.url.replace(login, "urlmon:choose-one@", 1)


async def test_rights(url: str) -> None:
    """The user can make every call, is looked at by the health check, and reaches no other keys."""
    client = a_client(url, keys=Keys())
    await declare_whole(client)
    calls = Calls(in_redis(client))
    for name in Calls.WRITES + Calls.READS:
        await (await calls.prepare(name))()
    lease = await calls.stores.locks.acquire("job", ttl=TTL)
    assert lease is not None
    health = await RedisHealthCheck(client, SystemClock()).check()
    assert (health.status, health.problems) == (HealthStatus.PASS, ())
    for node in await client._topology.masters():
        redis = Redis(connection_pool=node.pool)
        for command in (("GET", "another"), ("FLUSHALL",), ("CONFIG", "GET", "dir")):
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*command)
    await client.aclose()


async def test_keys_are_counted(redis_cluster: RedisEndpoint) -> None:
    """The example with the driver's own client counts the keys of all masters."""
    clients = BareClients(redis_cluster.url)
    count_keys = evaluated(PAGE)["count_keys"]

    class Stores:
        redis_cluster = staticmethod(clients.cluster)

    before = await count_keys(Stores)
    keys = [f"test-count:{number}" for number in range(30)]
    for key in keys:
        await clients.cluster().set(key, "1", px=60_000)
    assert await count_keys(Stores) >= before
    assert await count_keys(Stores) >= len(keys)
    await clients.cluster().delete(*keys)
    await clients.aclose()


def _make_user(server: RedisServer, lines: list[str]) -> None:
    with server.driver() as driver:
        for line in lines:
            driver.execute_command(*line.split())
