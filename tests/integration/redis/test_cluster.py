"""What a cluster can do to those who call it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
from redis.crc import key_slot
from tests.fixtures.servers import leave_out
from tests.fixtures.working import a_client, client_of, closing, in_redis, nodes_of
from tests.fixtures.working_calls import TTL, Calls

from urlmon.errors import StoreError, UnavailableError
from urlmon_adapters.redis import Keys
from urlmon_adapters.redis._cluster import Cluster
from urlmon_adapters.servers import MissingServerError, RedisClusterServers
from urlmon_adapters.servers.redis import follows, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.servers import RedisEndpoint, RedisServer

PATIENT_SECONDS: Final = 45
SHORT_SECONDS: Final = 0.5


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisClusterServers]:
    """A cluster whose masters the tests may replace, kill and freeze."""
    try:
        servers = RedisClusterServers(tmp_path_factory.mktemp("cluster"), timeout_ms=1_500)
    except MissingServerError as exc:
        leave_out(exc)
    with servers:
        yield servers


@pytest.fixture
async def client(own_cluster: RedisClusterServers) -> AsyncIterator[RedisClient]:
    """A client of that cluster that waits for a failover."""
    async with closing(a_client(own_cluster.url, timeout_seconds=PATIENT_SECONDS)) as client:
        yield client


async def test_work_is_spread(cluster_client: RedisClient) -> None:
    """Every master serves about as many buckets as the others."""
    cluster = _cluster_of(cluster_client)
    masters = await cluster.masters()
    assert len(masters) == 3
    buckets = [cluster._owner(cluster_client.keys.whole(each)) for each in range(16)]
    shares = [buckets.count(each) for each in masters]
    assert sorted(shares) == [5, 5, 6]


async def test_moved(client: RedisClient, own_cluster: RedisClusterServers) -> None:
    """Where a replica takes over in good order, no call fails and nothing is forgotten."""
    locks = in_redis(client).locks
    lease = await locks.acquire("moved", ttl=TTL)
    assert lease is not None
    _take_over(own_cluster, client.keys.lock("moved"))
    assert await locks.acquire("moved", ttl=TTL) is None
    assert await locks.renew(lease, ttl=TTL)


async def test_killed(client: RedisClient, own_cluster: RedisClusterServers) -> None:
    """A call that finds its master dead waits for the next one, and the fence has not gone back."""
    locks = in_redis(client).locks
    lease = await locks.acquire("killed", ttl=TTL)
    assert lease is not None
    await locks.release(lease)
    master = _master_of(own_cluster, client.keys.lock("killed"))
    master.kill()
    after = await locks.acquire("killed", ttl=TTL)
    assert after is not None
    assert after.fence > lease.fence
    _come_back(own_cluster, master)


async def test_killed_and_no_time(own_cluster: RedisClusterServers) -> None:
    """A call that cannot wait for the next master fails in time; nothing was applied."""
    async with _short_client(own_cluster) as client:
        locks = in_redis(client).locks
        await _patiently(lambda: locks.acquire("another job", ttl=TTL))
        master = _master_of(own_cluster, client.keys.lock("no time"))
        master.kill()
        await _noticed(client)
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            await locks.acquire("no time", ttl=TTL)
        assert time.monotonic() - started < 5
        assert not caught.value.maybe_applied
    _come_back(own_cluster, master)


async def test_frozen(own_cluster: RedisClusterServers) -> None:
    """A master that says nothing keeps some calls for their time; later ones find another."""
    async with _short_client(own_cluster) as client:
        locks = in_redis(client).locks
        await _patiently(lambda: locks.acquire("frozen", ttl=TTL))
        master = _master_of(own_cluster, client.keys.lock("frozen"))
        master.pause()
        with pytest.raises(UnavailableError) as caught:
            await locks.acquire("frozen", ttl=TTL)
        assert caught.value.maybe_applied
        await _patiently(lambda: locks.acquire("frozen", ttl=TTL))
        master.resume()
        await asyncio.to_thread(_come_back, own_cluster, master)


async def test_asked_elsewhere(client: RedisClient, own_cluster: RedisClusterServers) -> None:
    """While a slot is on its way, keys that are not there any more are sought where it goes."""
    locks = in_redis(client).locks
    lease = await locks.acquire("elsewhere", ttl=TTL)
    assert lease is not None
    with _moving(own_cluster, client.keys.lock("elsewhere")) as arrive:
        arrive()
        assert await locks.renew(lease, ttl=TTL)
        assert await locks.acquire("elsewhere", ttl=TTL) is None
    assert await locks.renew(lease, ttl=TTL)


async def test_asked_again(client: RedisClient, own_cluster: RedisClusterServers) -> None:
    """A call whose keys are on their way waits until they have arrived."""
    locks = in_redis(client).locks
    await locks.acquire("another job", ttl=TTL)
    with _moving(own_cluster, client.keys.lock("on its way")):
        # Of several keys that are not there, no node knows whether the other has them.
        call = asyncio.create_task(locks.acquire("on its way", ttl=TTL))
        done, _ = await asyncio.wait([call], timeout=0.3)
        assert not done
    assert await call is not None


async def test_asked_for_too_long(own_cluster: RedisClusterServers) -> None:
    """A call whose keys stay on their way fails in time, with the reason."""
    async with _short_client(own_cluster) as client:
        locks = in_redis(client).locks
        await _patiently(lambda: locks.acquire("another job", ttl=TTL))
        with _moving(own_cluster, client.keys.lock("for ever")):
            with pytest.raises(UnavailableError, match="moving these keys") as caught:
                await locks.acquire("for ever", ttl=TTL)
            assert not caught.value.maybe_applied


async def test_scripts_lost(client: RedisClient, own_cluster: RedisClusterServers) -> None:
    """Nodes that forgot the scripts are given them again, in the same call."""
    calls = Calls(in_redis(client))
    for name in Calls.WRITES + Calls.READS:
        call = await calls.prepare(name)
        for node in own_cluster.members:
            with node.driver() as driver:
                driver.script_flush()
        await call()


async def test_woken_by_another_node(
    cluster_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiter is woken also by a message that comes from another node than it listens to."""
    monkeypatch.setattr("urlmon_adapters.redis.locks._LOOK_AGAIN_SECONDS", TTL.total_seconds())
    cluster = _cluster_of(cluster_client)
    locks, channel = in_redis(cluster_client).locks, cluster_client.keys.released("job")
    for node in await cluster.masters():
        asked: list[str] = []

        async def listener(channel: str, node=node, asked=asked):  # noqa: ANN001, ANN202
            asked.append(channel)
            return node.connection()

        monkeypatch.setattr(cluster, "connection", listener)
        lease = await locks.acquire("job", ttl=TTL)
        assert lease is not None
        waiter = asyncio.create_task(locks.acquire("job", ttl=TTL, wait=TTL))
        await _listened(cluster_client, node.name, channel)
        await locks.release(lease)
        got = await asyncio.wait_for(waiter, TTL.total_seconds() / 2)
        assert got is not None
        assert asked == [channel]
        await locks.release(got)


async def test_wrong_form(redis_cluster: RedisEndpoint, redis_url: str) -> None:
    """A URL of the other form is an error that names the right one."""

    async def work(client: RedisClient) -> None:
        for number in range(20):
            await in_redis(client).locks.acquire(f"job {number}", ttl=TTL)

    one_node = redis_cluster.url.replace("+cluster", "").split(",")[0]
    no_cluster = redis_url.replace("redis", "redis+cluster", 1)
    for url, advice in ((one_node, r"redis\+cluster://"), (no_cluster, "redis://")):
        client = a_client(url)
        with pytest.raises(StoreError, match=advice) as caught:
            await work(client)
        assert not isinstance(caught.value, UnavailableError)
        await client.aclose()


async def test_wrong_password(redis_cluster: RedisEndpoint) -> None:
    """A password that the nodes refuse is an error that does not show it."""
    hosts = redis_cluster.url.rpartition("@")[2]
    client = a_client(f"redis+cluster://:wrong-secret@{hosts}")
    with pytest.raises(StoreError, match="password was rejected") as caught:
        await in_redis(client).locks.acquire("job", ttl=TTL)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    await client.aclose()


async def test_one_node_is_enough_to_begin_with(redis_cluster: RedisEndpoint) -> None:
    """Whoever of the nodes the URL names tells of all others; one that is away is passed over."""
    login, _, hosts = redis_cluster.url.rpartition("@")
    async with client_of(f"{login}@127.0.0.1:1,{hosts.split(',')[-1]}") as client:
        working = in_redis(client)
        for number in range(20):
            assert await working.locks.acquire(f"job {number}", ttl=TTL) is not None


def _cluster_of(client: RedisClient) -> Cluster:
    assert isinstance(client._topology, Cluster)
    return client._topology


def _short_client(servers: RedisClusterServers) -> AbstractAsyncContextManager[RedisClient]:
    """Give a client that gives up soon."""
    return closing(a_client(servers.url, timeout_seconds=SHORT_SECONDS), whole=False)


async def _patiently(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call until it finds a master."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            with suppress(UnavailableError):
                await call()
                return


async def _noticed(client: RedisClient) -> None:
    """Return when a client could know which connections are lost."""
    for node in nodes_of(client):
        for each in node.pool._available_connections:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    while each._reader is not None and not each._reader.at_eof():  # noqa: ASYNC110
                        await asyncio.sleep(0.001)


def _places(servers: RedisClusterServers, key: str) -> list[RedisServer]:
    """Return who serves a key now, and who would do so next."""
    running = next(each for each in servers.members if each.pid is not None)
    with running.driver() as driver:
        slot = key_slot(key.encode())
        for first, last, *nodes in tell(driver, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                by_port = {each.port: each for each in servers.members}
                return [by_port[node[1]] for node in nodes]
    raise AssertionError("nobody serves it")


def _master_of(servers: RedisClusterServers, key: str) -> RedisServer:
    return _places(servers, key)[0]


def _take_over(servers: RedisClusterServers, key: str) -> None:
    """Have the replica of a key's master take over."""
    _, replica = _places(servers, key)
    with replica.driver() as driver:
        servers.wait_until("the replica follows", lambda: follows(driver))
        tell(driver, "CLUSTER", "FAILOVER")
        servers.wait_until("it took over", lambda: driver.info("replication")["role"] == "master")


def _come_back(servers: RedisClusterServers, former: RedisServer) -> None:
    """Return once a node that was away serves again, or follows who took over."""
    if former.pid is None:
        former.start()
    with former.driver() as driver:

        def is_back() -> bool:
            serves = "cluster_state:ok" in tell(driver, "CLUSTER", "INFO")
            return serves and (driver.info("replication")["role"] == "master" or follows(driver))

        servers.wait_until("it is back", is_back)


@contextmanager
def _moving(servers: RedisClusterServers, key: str) -> Iterator[Callable[[], None]]:
    """Keep the slot of a key on its way from one master to another; let it arrive afterwards.

    Yields:
        What lets the keys that are there arrive.
    """
    slot, source = key_slot(key.encode()), _master_of(servers, key)
    target = next(
        master
        for each in range(16)
        if (master := _master_of(servers, Keys().whole(each))) is not source
    )
    with source.driver() as here, target.driver() as there:
        ids = [tell(each, "CLUSTER", "MYID") for each in (here, there)]
        tell(there, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        tell(here, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])

        def arrive() -> None:
            keys = tell(here, "CLUSTER", "GETKEYSINSLOT", slot, 100)
            place = "127.0.0.1", target.port, "", 0, 5_000
            if keys:
                tell(here, "MIGRATE", *place, "AUTH", target.password, "KEYS", *keys)

        try:
            yield arrive
        finally:
            arrive()
            for each in (there, here):
                tell(each, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])


async def _listened(client: RedisClient, node: str, channel: str) -> None:
    """Return when somebody listens to a channel at a node."""
    question = ("PUBSUB", "NUMSUB", channel)
    async with asyncio.timeout(10):
        while (await client.read_masters("test", question))[node] == [[channel.encode(), 0]]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
