"""What the health check of Redis sees."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.servers import leave_out
from tests.fixtures.working import a_client, declare_whole, nodes_of

from urlmon.domain.health import HealthStatus
from urlmon.testing.clock import FakeClock
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.redis import RedisClient, RedisHealthCheck
from urlmon_adapters.servers import MissingServerError, RedisClusterServers

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

    from urlmon.domain.health import ComponentHealth
    from urlmon_adapters.servers import RedisEndpoint, RedisServer


async def check(client: RedisClient) -> ComponentHealth:
    """Return what the check of a client finds."""
    return await RedisHealthCheck(client, SystemClock()).check()


async def test_healthy(own_client: RedisClient, own_redis: RedisServer) -> None:
    """A server in good order passes, with the facts about it."""
    health = await check(own_client)
    assert (health.name, health.status, health.problems) == ("redis", HealthStatus.PASS, ())
    assert health.version == own_redis.version
    assert 0 < health.latency_us < 5_000_000
    details = dict(health.details)
    assert list(details) == [
        "topology",
        "memory",
        "eviction",
        "persistence",
        "clock offset",
        "working state",
    ]
    assert details["topology"] == "one server"
    assert details["memory"].endswith("without a limit")
    assert details["eviction"] == "noeviction"
    assert details["persistence"] == "no append-only file"


async def test_eviction(own_client: RedisClient, admin: Redis) -> None:
    """A server that may drop keys is worth a warning."""
    await admin.config_set("maxmemory-policy", "allkeys-lru")
    health = await check(own_client)
    assert health.status is HealthStatus.WARN
    assert ("eviction", "allkeys-lru") in health.details
    (problem,) = health.problems
    assert "noeviction" in problem


async def test_memory(own_client: RedisClient, admin: Redis) -> None:
    """A server whose memory is nearly used up is worth a warning, one with room is not."""
    used = (await admin.info("memory"))["used_memory"]
    for limit, status in ((used * 100, HealthStatus.PASS), (used, HealthStatus.WARN)):
        await admin.config_set("maxmemory", limit)
        health = await check(own_client)
        assert health.status is status
        assert " of " in dict(health.details)["memory"]
    (problem,) = health.problems
    assert "maxmemory" in problem


async def test_persistence(own_client: RedisClient, admin: Redis, tmp_path: Path) -> None:
    """A server that keeps a log says so; one whose last save failed is worth a warning."""
    await admin.config_set("appendonly", "yes")
    assert ("persistence", "append-only file") in (await check(own_client)).details
    await admin.config_set("appendonly", "no")
    (tmp_path / "redis" / "dump.rdb").mkdir()
    await admin.bgsave()
    async with asyncio.timeout(10):
        while (await admin.info("persistence"))["rdb_bgsave_in_progress"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (problem,) = (await check(own_client)).problems
    assert "save failed" in problem


@pytest.mark.parametrize("hours", [-1, 1])
async def test_clock(own_client: RedisClient, hours: int) -> None:
    """A clock that is off is worth a warning: leases are measured by it."""
    clock = FakeClock(datetime.now(UTC) + timedelta(hours=hours))
    health = await RedisHealthCheck(own_client, clock).check()
    assert health.status is HealthStatus.WARN
    (problem,) = health.problems
    assert problem.startswith("the server's clock is " + ("+3" if hours < 0 else "-3"))
    assert dict(health.details)["clock offset"][0] == ("+" if hours < 0 else "-")


async def test_replica(own_client: RedisClient, admin: Redis) -> None:
    """A replica does not serve."""
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    health = await check(own_client)
    assert health.status is HealthStatus.FAIL
    assert "replica" in health.problems[0]


async def test_nobody_there(own_client: RedisClient, own_redis: RedisServer) -> None:
    """A server that is away fails the check, and nothing is raised or shown."""
    own_redis.stop()
    health = await check(own_client)
    assert health.status is HealthStatus.FAIL
    assert health.version is None
    assert own_redis.url not in repr(health)
    (problem,) = health.problems
    assert "is the server up?" in problem


async def test_login(own_redis: RedisServer) -> None:
    """A rejected password fails the check, and is not shown."""
    client = a_client(f"redis://:wrong-secret@127.0.0.1:{own_redis.port}/0")
    health = await check(client)
    assert health.status is HealthStatus.FAIL
    assert "password" in health.problems[0]
    assert "secret" not in repr(health)


async def test_a_fault_of_the_check(own_client: RedisClient) -> None:
    """A fault of the check itself is a result as well."""

    class Broken(SystemClock):
        def now(self) -> datetime:
            raise ZeroDivisionError

    health = await RedisHealthCheck(own_client, Broken()).check()
    assert health.status is HealthStatus.FAIL
    assert "ZeroDivisionError" in health.problems[0]


async def test_cluster(cluster_client: RedisClient) -> None:
    """Of a cluster every master is looked at."""
    health = await check(cluster_client)
    assert (health.status, health.problems) == (HealthStatus.PASS, ())
    details = dict(health.details)
    assert details["topology"] == "cluster of 3 masters"
    masters = {node.name for node in nodes_of(cluster_client)}
    assert (
        len([each for each in masters if details.get(f"eviction of {each}") == "noeviction"]) == 3
    )
    assert [fact for name, fact in health.details if name.startswith("replicas")] == ["1"] * 3


async def test_cluster_that_evicts(tmp_path: Path) -> None:
    """One master that may drop keys is worth a warning that names it; so is one on its own."""
    with _a_cluster(tmp_path) as servers:
        _, evicting, _ = servers.masters
        with evicting.driver() as driver:
            driver.config_set("maxmemory-policy", "allkeys-lru")
        servers.replicas[2].kill()
        client = a_client(servers.url, timeout_seconds=2)
        with servers.masters[2].driver() as driver:
            servers.wait_until("it is noticed", lambda: not driver.info()["connected_slaves"])
        await declare_whole(client)
        health = await check(client)
        assert health.status is HealthStatus.WARN
        places = [f"127.0.0.1:{each.port}" for each in (evicting, servers.masters[2])]
        eviction = "keys can vanish when memory runs out: set maxmemory-policy to noeviction"
        lonely = "no replica follows: nobody would take over, and its data are kept once"
        expected = {f"{places[0]}: {eviction}", f"{places[1]}: {lonely}"}
        assert {*health.problems} == expected
        servers.masters[2].kill()
        health = await check(client)
        assert health.status is HealthStatus.FAIL
        assert str(servers.masters[2].port) in health.problems[0]
        await client.aclose()


async def test_one_node_of_a_cluster(redis_cluster: RedisEndpoint) -> None:
    """A URL that names one node alone does not serve."""
    client = a_client(redis_cluster.url.replace("+cluster", "").split(",")[0])
    health = await check(client)
    assert health.status is HealthStatus.FAIL
    assert "redis+cluster://" in health.problems[0]
    await client.aclose()


async def test_sentinel(sentinel_client: RedisClient) -> None:
    """Behind Sentinels the master of the day is looked at."""
    health = await check(sentinel_client)
    assert health.status is HealthStatus.PASS
    details = dict(health.details)
    assert details["topology"].startswith("Sentinels, master 127.0.0.1:")
    assert details["replicas"] in {"1", "2"}  # the former master comes back late


def _a_cluster(folder: Path) -> RedisClusterServers:
    try:
        return RedisClusterServers(folder / "cluster")
    except MissingServerError as exc:
        leave_out(exc)
