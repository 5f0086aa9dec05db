"""What the server itself can do to its clients."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.dumps import dump
from tests.fixtures.working import a_client, declare_whole, in_redis
from tests.fixtures.working_calls import POLICY, TTL, Calls

from urlmon.domain.alert_state import UNKNOWN
from urlmon.domain.alerting import Decision
from urlmon.domain.restoring import restored
from urlmon.errors import CorruptDataError, StoreError, UnavailableError
from urlmon.testing.builders import an_alert, an_outcome
from urlmon_adapters.redis._keys import bucket_of
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import name_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.servers import RedisServer

RECORD: Final = "AlertStateCache.record"


async def test_scripts_lost(own_client: RedisClient, admin: Redis) -> None:
    """A server that forgot the scripts is given them again, in the same call."""
    calls = Calls(in_redis(own_client))
    for name in Calls.WRITES + Calls.READS:
        call = await calls.prepare(name)
        await admin.script_flush()
        await call()
        loaded = await admin.info("commandstats")
        await call()
        again = await admin.info("commandstats")
        assert loaded["cmdstat_eval"]["calls"] == again["cmdstat_eval"]["calls"]


async def test_all_lost(own_client: RedisClient, admin: Redis) -> None:
    """After everything was lost monitors are unknown until a repair, and no fence went back."""
    working = in_redis(own_client)
    calls = Calls(working)
    first = await (await calls.prepare(RECORD))()
    assert isinstance(first, Decision)
    key = calls.key
    (claimed,) = await working.outbox.claim(request_id="before")
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    await admin.flushall()
    assert not await working.working_state.is_whole()
    assert await working.alert_state.get(*key) == UNKNOWN
    assert await working.outbox.backlog() == 0
    await working.outbox.settle(claimed)
    call = await calls.prepare(RECORD)
    with pytest.raises(UnavailableError, match="the working state was lost"):
        await call()
    await declare_whole(own_client)
    assert isinstance(await call(), Decision)
    after = await working.locks.acquire("job", ttl=TTL)
    assert after is not None
    assert after.fence > lease.fence


async def test_an_alert_ends_though_all_was_lost(own_client: RedisClient, admin: Redis) -> None:
    """An alert that was handed over before everything was lost has its end handed over after."""
    working = in_redis(own_client)
    calls = Calls(working)
    await (await calls.prepare(RECORD))()
    (claimed,) = await working.outbox.claim(request_id="before")
    await working.outbox.settle(claimed)
    begin = claimed.transition
    await admin.flushall()
    alert = an_alert(*calls.key, id=begin.alert_id, cause=begin.cause, opened_at=begin.at)
    state = restored(POLICY, alert, [an_outcome(*calls.key, scheduled_at=begin.at)])
    assert await working.alert_state.seed(*calls.key, state=state)
    await declare_whole(own_client)
    assert await working.outbox.claim(request_id="seeded") == ()
    success = an_outcome(*calls.key, scheduled_at=begin.at + TTL, success=True)
    await working.alert_state.record(calls.key[0], success, policy=POLICY)
    (claimed,) = await working.outbox.claim(request_id="after")
    assert claimed.transition.id == f"{alert.id}:resolved"


async def test_fence_outruns_the_clock(own_client: RedisClient) -> None:
    """The fence grows also while the server's clock is behind."""
    working = in_redis(own_client)
    lease = await working.locks.acquire("job", ttl=TTL)
    assert lease is not None
    await working.locks.release(lease)
    own_client.time.offset = -timedelta(days=1)
    after = await working.locks.acquire("job", ttl=TTL)
    assert after is not None
    assert after.fence > lease.fence


async def test_what_stays(own_client: RedisClient) -> None:
    """Only alert states, the outbox, the schedule and two marks have no end."""
    calls = Calls(in_redis(own_client))
    for name in Calls.WRITES + Calls.FREE_WRITES:
        await (await calls.prepare(name))()
    left = await dump(own_client)
    forever = {key for key, (_, _, milliseconds) in left.items() if milliseconds < 0}
    allowed = re.compile(
        r"alert:{b\d\d\.\d+}:(states|owed|whole|outbox:(items|claims|due|later|dead|lines))$"
        r"|schedule:{b\d\d\.\d+}:(monitors|runs:\w+|queue:\w+)$|session:{denied}:since$"
    )
    assert {key for key in left if allowed.match(key)} == forever
    assert len(left) - len(forever) > 10


async def test_a_lock_is_cleaned_up(own_client: RedisClient) -> None:
    """Redis keeps a lease for as long as it lasts, and its fence for two days."""
    locks = in_redis(own_client).locks
    lease = await locks.acquire("job", ttl=TTL)
    assert lease is not None
    second, day = 1000, 24 * 3600 * 1000
    for ttl in (TTL, 3 * TTL):
        if ttl != TTL:
            await locks.renew(lease, ttl=ttl)
        left = await dump(own_client)
        ends = {key.rpartition(":")[2]: milliseconds for key, (_, _, milliseconds) in left.items()}
        lasts = ttl.total_seconds() * 1000
        assert lasts - 10 * second < ends["lease"] <= lasts + second
        assert 2 * day - 10 * second < ends["fence"] <= 2 * day


async def test_only_declared_keys(own_client: RedisClient, admin: Redis) -> None:
    """Scripts touch no key but those that are passed to them, and these are in one slot."""
    calls = Calls(in_redis(own_client))
    prepared = [await calls.prepare(name) for name in Calls.WRITES + Calls.READS]
    async with admin.monitor() as monitor:
        for call in prepared:
            await call()
        await own_client.read("test", ("ECHO", "the end"))
        declared: set[str] = set()
        touched = 0
        async for event in monitor.listen():
            words = event["command"].split(" ")
            if words[:2] == ["ECHO", "the"]:
                break
            if words[0] in {"EVALSHA", "EVAL"} and event["client_type"] != "lua":
                count = event["command"].split(f"{own_client.keys.namespace}", 1)[0].split()[-1]
                keys = [word for word in words if word.startswith(own_client.keys.namespace)]
                declared = set(keys[: int(count)])
                assert len({key[key.index("{") : key.index("}")] for key in declared}) == 1
            elif event["client_type"] == "lua" and words[0] not in {"TIME", "INFO", "PUBLISH"}:
                assert words[1] in declared
                touched += 1
    assert touched > 50


@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        ("maxmemory", "1", "raise maxmemory"),
        ("min-replicas-to-write", "1", "min-replicas-to-write"),
    ],
)
async def test_no_writes(
    own_client: RedisClient, admin: Redis, setting: str, value: str, advice: str
) -> None:
    """A server that takes no writes now is unavailable, for a reason that is told."""
    calls = Calls(in_redis(own_client))
    call = await calls.prepare(RECORD)
    await admin.config_set(setting, value)
    with pytest.raises(UnavailableError, match=advice) as caught:
        await call()
    assert not caught.value.maybe_applied
    await admin.config_set(setting, "0")
    assert isinstance(await call(), Decision)


async def test_replica(own_client: RedisClient, admin: Redis) -> None:
    """A replica is unavailable for writing, and still says what it knows."""
    calls = Calls(in_redis(own_client))
    call = await calls.prepare(RECORD)
    decision = await call()
    assert isinstance(decision, Decision)
    key = calls.key
    call = await calls.prepare(RECORD)
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(UnavailableError, match="point REDIS_URL at the master"):
        await call()
    assert await calls.stores.alert_state.get(*key) == decision.state


@pytest.mark.parametrize(
    ("login", "advice"),
    [
        ("", "asks for a password"),
        (":wrong-secret@", "the password was rejected"),
        ("nobody:wrong-secret@", "the password was rejected"),
        ("bob:bobs-secret@", "lacks a permission"),
    ],
)
async def test_login(own_redis: RedisServer, admin: Redis, login: str, advice: str) -> None:
    """A login that is refused is an error that says what to check, and shows no secret."""
    await admin.acl_setuser(
        "bob", enabled=True, passwords=["+bobs-secret"], commands=["+client", "+ping", "+auth"]
    )
    client = a_client(f"redis://{login}127.0.0.1:{own_redis.port}/0")
    call = await Calls(in_redis(client)).prepare(RECORD)
    for _ in range(2):
        with pytest.raises(StoreError, match=advice) as caught:
            await call()
        assert not isinstance(caught.value, UnavailableError)
        assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    await client.aclose()


async def test_no_such_database(own_redis: RedisServer) -> None:
    """A database number that the server does not have is an error."""
    client = a_client(own_redis.url.replace("/0", "/99"))
    with pytest.raises(StoreError, match="refused"):
        await client.read("test", ("PING",))
    await client.aclose()


async def test_too_many_clients(own_redis: RedisServer, admin: Redis) -> None:
    """A server with all the clients that it wants is unavailable."""
    client = a_client(own_redis.url)
    await admin.config_set("maxclients", "1")
    with pytest.raises(UnavailableError, match="maxclients") as caught:
        await client.run_each("test", load("cache_delete"), [()], keys=0)
    assert not caught.value.maybe_applied
    await client.aclose()


async def test_foreign_data(own_client: RedisClient, admin: Redis) -> None:
    """What urlmon did not write is an error of its own, in whatever form it comes."""
    calls = Calls(in_redis(own_client))
    for part, damage in (
        ("down ", "sideways "),
        ("down 1", "down 0"),
        ("down 1 ", "down 1 yesterday "),
        ("default 1", "default x"),
        ("default 1", "default " + "9" * 30),
        ("", "text"),
        ("\0", ""),
        (" triggered ", " ended "),
    ):
        call = await calls.prepare("AlertStateCache.get")
        key, name = _place(own_client, calls)
        row = await admin.hget(key, name)
        assert part in row
        await admin.hset(key, name, row.replace(part, damage, 1) if part else damage)
        with pytest.raises(CorruptDataError):
            await call()
    await admin.set(key, "text")
    with pytest.raises(CorruptDataError):
        await call()


async def test_foreign_data_in_scripts(own_client: RedisClient, admin: Redis) -> None:
    """A script that meets what urlmon did not write fails with the same error."""
    calls = Calls(in_redis(own_client))
    call = await calls.prepare(RECORD)
    key, name = _place(own_client, calls)
    await admin.hset(key, name, "text")
    with pytest.raises(CorruptDataError):
        await call()
    await admin.set(key, "text")
    with pytest.raises(CorruptDataError):
        await call()


def _place(client: RedisClient, calls: Calls) -> tuple[str, str]:
    """Return the hash that the state of the calls' monitor is in, and its field."""
    return client.keys.alerts(bucket_of(calls.key[1]))[0], name_of(*calls.key)
