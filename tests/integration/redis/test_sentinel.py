"""What a failover by Sentinels does to those who call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.servers import leave_out
from tests.fixtures.working import a_client, closing, in_redis
from tests.fixtures.working_calls import POLICY, TTL

from urlmon.domain.alerting import DecisionKind, MonitorStatus
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import StoreError, UnavailableError
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon_adapters.redis._sentinel import SentinelMaster
from urlmon_adapters.servers import MissingServerError, RedisSentinelServers
from urlmon_adapters.servers.redis import follows, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.redis._nodes import Address
    from urlmon_adapters.servers import RedisServer

PATIENT_SECONDS: Final = 45


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[RedisSentinelServers]:
    """A master, replicas and Sentinels that the test may kill."""
    try:
        servers = RedisSentinelServers(tmp_path / "sentinel", down_ms=1_000)
    except MissingServerError as exc:
        leave_out(exc)
    with servers:
        yield servers


@pytest.fixture
async def client(servers: RedisSentinelServers) -> AsyncIterator[RedisClient]:
    """A client that waits for a failover."""
    async with closing(a_client(servers.url, timeout_seconds=PATIENT_SECONDS)) as client:
        yield client


async def test_replaced(client: RedisClient, servers: RedisSentinelServers) -> None:
    """A master that is replaced while it is well is left for its successor within seconds."""
    working, first = in_redis(client), servers.master
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    await asyncio.to_thread(servers.fail_over)
    successor = servers.master
    assert successor is not first
    started = time.monotonic()
    while _port(client) != successor.port:
        await working.locks.acquire("another job", ttl=TTL)
        await asyncio.sleep(0.05)
        assert time.monotonic() - started < 10
    assert await working.locks.acquire("job", ttl=TTL) is None
    assert await working.locks.renew(lease, ttl=TTL)


async def test_killed(client: RedisClient, servers: RedisSentinelServers) -> None:
    """A call that finds its master dead waits for the next one, which knows what was replicated."""
    working, key = in_redis(client), (TenantId.new(), MonitorId.new())
    outcome = an_outcome(*key, scheduled_at=NOON)
    decision = await working.alert_state.record(key[0], outcome, policy=POLICY)
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    await working.locks.release(lease)
    _replicated(servers)
    servers.master.kill()
    after = await working.locks.acquire("job", ttl=TTL)
    assert after is not None
    assert after.fence > lease.fence
    assert await working.alert_state.get(*key) == decision.state
    again = await working.alert_state.record(key[0], outcome, policy=POLICY)
    assert again.kind is DecisionKind.DUPLICATE
    assert again.transition == decision.transition


async def test_writes_lost(client: RedisClient, servers: RedisSentinelServers) -> None:
    """What the replicas did not get is lost: leases are granted anew, results decided again.

    The fence grows all the same, and what is known of a monitor is older, but true.
    """
    working, key = in_redis(client), (TenantId.new(), MonitorId.new())
    before = an_outcome(*key, scheduled_at=NOON, success=True)
    known = await working.alert_state.record(key[0], before, policy=POLICY)
    master = _cut_off(servers)
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    down = an_outcome(*key, scheduled_at=NOON + TTL)
    lost = await working.alert_state.record(key[0], down, policy=POLICY)
    assert lost.state.status is MonitorStatus.DOWN
    master.kill()
    other = await working.locks.acquire("job", ttl=TTL)
    assert other is not None
    assert other.fence > lease.fence
    assert await working.alert_state.get(*key) == known.state
    again = await working.alert_state.record(key[0], down, policy=POLICY)
    assert again.kind is DecisionKind.APPLIED
    assert again.state.status is MonitorStatus.DOWN
    claims = await working.outbox.claim(request_id="after")
    assert [each.transition.kind for each in claims] == [lost.transition.kind]


async def test_killed_and_no_time(servers: RedisSentinelServers) -> None:
    """A call that cannot wait for the next master fails in time; nothing was applied."""
    client = a_client(servers.url, timeout_seconds=0.5)
    locks = in_redis(client).locks
    assert await locks.acquire("job", ttl=TTL) is not None
    servers.master.kill()
    await asyncio.sleep(0.1)  # until the client could know
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        await locks.acquire("another job", ttl=TTL)
    assert time.monotonic() - started < 5
    assert not caught.value.maybe_applied
    await client.aclose()


async def test_an_outdated_sentinel(client: RedisClient, servers: RedisSentinelServers) -> None:
    """A server that a Sentinel names but is no master is not used: another one is asked."""
    topology = client._topology
    assert isinstance(topology, SentinelMaster)
    (replica, *_), ask, asked = servers.servers[1:], topology._ask, list[tuple[str, int]]()

    async def outdated() -> Address:
        asked.append(await ask() if asked else ("127.0.0.1", replica.port))
        return asked[-1]

    topology._ask = outdated
    topology._doubtful = True
    assert await in_redis(client).locks.acquire("job", ttl=TTL) is not None
    assert [port for _, port in asked] == [replica.port, servers.master.port]


async def test_no_sentinel(client: RedisClient, servers: RedisSentinelServers) -> None:
    """Without Sentinels the master that is known goes on; who does not know it fails at once."""
    locks = in_redis(client).locks
    assert await locks.acquire("job", ttl=TTL) is not None
    for each in servers.sentinels:
        each.kill()
    await asyncio.sleep(2.5)  # what is known is too old now
    assert await locks.acquire("another job", ttl=TTL) is not None
    other = a_client(servers.url, timeout_seconds=PATIENT_SECONDS)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="is the server up"):
        await in_redis(other).locks.acquire("a third job", ttl=TTL)
    assert time.monotonic() - started < 10
    await other.aclose()


async def test_silent_sentinels(servers: RedisSentinelServers) -> None:
    """Sentinels that take questions and never answer delay calls by a moment, but end none."""
    client = a_client(servers.url, timeout_seconds=2.5)
    locks = in_redis(client).locks
    assert await locks.acquire("job", ttl=TTL) is not None
    for each in servers.sentinels:
        each.pause()
    call = asyncio.create_task(locks.acquire("job", ttl=TTL))
    await asyncio.sleep(0)
    call.cancel()  # so the master is doubted, although it is well
    await asyncio.wait([call])
    for _ in range(2):
        await asyncio.gather(*(locks.acquire("job", ttl=TTL) for _ in range(10)))
    await client.aclose()


async def test_one_sentinel_is_enough(servers: RedisSentinelServers) -> None:
    """Sentinels that are away are passed over."""
    for each in servers.sentinels[:2]:
        each.kill()
    client = a_client(servers.url)
    for _ in range(3):
        client._topology._doubtful = True
        await in_redis(client).locks.acquire("job", ttl=TTL)
    await client.aclose()


async def test_wrong_settings(servers: RedisSentinelServers) -> None:
    """A name or a password that is wrong is an error that says so, and shows no secret."""
    password, own = servers.servers[0].password, servers.sentinels[0].password
    for wrong, right, advice in (
        ("/nobody/", "/urlmon/", "know no master of that name"),
        ("wrong-secret", own, "password was rejected"),
        ("wrong-secret", password, "password was rejected"),
        ("", f"?sentinel_password={own}", "asks for a password"),
    ):
        client = a_client(servers.url.replace(right, wrong, 1))
        with pytest.raises(StoreError, match=advice) as caught:
            await in_redis(client).locks.acquire("job", ttl=TTL)
        assert not isinstance(caught.value, UnavailableError)
        assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
        await client.aclose()


def _port(client: RedisClient) -> int:
    """Return where a client believes the master to be."""
    topology = client._topology
    assert isinstance(topology, SentinelMaster)
    assert topology._master is not None
    return topology._master.address[1]


def _cut_off(servers: RedisSentinelServers) -> RedisServer:
    """Keep the replicas from what the master is told from now on; return it."""
    master, *replicas = _replicated(servers)
    for each in replicas:
        with each.driver() as driver:
            driver.config_set("masterauth", "wrong")
    with master.driver() as driver:
        tell(driver, "CLIENT", "KILL", "TYPE", "replica")
    return master


def _replicated(servers: RedisSentinelServers) -> list[RedisServer]:
    """Return the servers, the master first, when the replicas have all that it has."""
    master = servers.master
    replicas = [each for each in servers.servers if each is not master]
    with master.driver() as driver:
        assert driver.wait(len(replicas), 10_000) == len(replicas)
    for each in replicas:
        with each.driver() as driver:
            assert follows(driver)
    return [master, *replicas]
